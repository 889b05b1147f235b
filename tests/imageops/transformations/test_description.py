"""Descriptions: the files of conf/transformation, and what is said of wrong ones."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from src.core.errors import UserError
from src.imageops.transformations import interpolation_error, transformation_set
from src.imageops.transformations.composition import SINGLE, family_of
from tests.imageops.transformations.conftest import drawn, random_images

FILES = sorted((Path(__file__).parents[3] / "conf" / "transformation").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_describes_a_set_and_names_all_keys(file: Path) -> None:
    options = yaml.safe_load(file.read_text())
    made = transformation_set(options)
    assert made(random_images(2, 16, 16)).shape == (2, len(made), 3, 16, 16)
    assert len(set(made.names)) == len(made) == len(made.values)
    assert set(options) == {"family"} | {field.name for field in fields(family_of(options))} - {"where"}


def test_every_family_has_a_file() -> None:
    assert {file.stem for file in FILES} == {*SINGLE, "rotation_scale"}


PARTS = [{"family": "rotation"}, {"family": "scale"}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("rotation", r"transformation=rotation: give a mapping with a family, e\.g\. transformation\.family=rotation"),
        ({}, r"transformation\.family=None: known: blur, brightness, composition"),
        ({"family": "rotatoin"}, r"transformation\.family=rotatoin: did you mean 'rotation'"),
        ({"family": "rotation", "degree": 90}, r"transformation\.degree: the family rotation .* mean 'degrees'"),
        ({"family": "rot90", "corners": "fill"}, r"transformation\.corners: the family rot90 has no such key"),
        ({"family": "rotation", "where": "x"}, r"transformation\.where: the family rotation has no such key"),
        ({"family": "rotation", "degrees": 361}, r"transformation\.degrees=361: allowed is a number above 0 to 360"),
        ({"family": "rotation", "degrees": 0}, r"degrees=0: allowed is a number above 0 to 360"),
        ({"family": "rotation", "degrees": True}, r"degrees=true: allowed is a number"),
        ({"family": "rotation", "degrees": float("nan")}, r"degrees=nan: allowed is a number"),
        ({"family": "rotation", "count": 1}, r"transformation\.count=1: allowed is a whole number from 2"),
        ({"family": "rotation", "count": 2.0}, r"count=2\.0: allowed is a whole number"),
        ({"family": "rotation", "corners": "dics"}, r"corners=dics: allowed is fill, reflect, disc; did you mean"),
        ({"family": "rotation", "fill": 255}, r"fill=255: allowed is a number from 0 to 1"),
        ({"family": "shear", "degrees": 175}, r"degrees=175: allowed is a number above 0 to 170"),
        ({"family": "shear", "count": 1}, r"count=1: allowed is a whole number from 2"),
        ({"family": "scale", "low": 0}, r"low=0: allowed is a number above 0 to 1"),
        ({"family": "scale", "low": 1.1}, r"low=1\.1: allowed is a number above 0 to 1"),
        ({"family": "scale", "high": 0.9}, r"high=0\.9: allowed is a number from 1"),
        ({"family": "scale", "low": 1, "high": 1}, r"high=1: low and high are both 1"),
        ({"family": "scale", "count": 2}, r"count=2: allowed is a whole number from 3"),
        ({"family": "brightness", "low": -1}, r"low=-1: allowed is a number above 0"),
        ({"family": "contrast", "high": None}, r"high=null: allowed is a number from 1"),
        ({"family": "translation", "shift": 1.5}, r"shift=1\.5: allowed is a number above 0 to 1"),
        ({"family": "translation", "shift": 40, "side": 32}, r"shift=40: allowed is a number above 0 to 32"),
        ({"family": "translation", "side": 0}, r"side=0: allowed is null or a whole number from 1"),
        ({"family": "translation", "directions": 6}, r"directions=6: allowed is 4, 8"),
        ({"family": "translation", "count": 0}, r"count=0: allowed is a whole number from 1"),
        ({"family": "blur", "low": -0.1}, r"low=-0\.1: allowed is a number from 0"),
        ({"family": "blur", "high": 0}, r"high=0: allowed is a number above 0"),
        ({"family": "blur", "low": 3}, r"high=2: it is below low=3; swap them"),
        ({"family": "noise", "seed": -1}, r"seed=-1: allowed is a whole number from 0"),
        ({"family": "noise", "count": "9"}, r"count=9: allowed is a whole number from 2"),
        ({"family": "composition"}, r"transformation\.parts: 0 given; list at least two families"),
        ({"family": "composition", "parts": PARTS[0]}, r"transformation\.parts=.*: give a list of mappings"),
        ({"family": "composition", "parts": ["scale", *PARTS]}, r"transformation\.parts\.0=scale: give a mapping"),
        (
            {"family": "composition", "parts": [PARTS[0], {"family": "scale", "low": 2}]},
            r"transformation\.parts\.1\.low=2: allowed",
        ),
        (
            {"family": "composition", "parts": [PARTS[0] | {"fill": 0.5}, PARTS[1]]},
            r"transformation\.parts\.0\.fill=0\.5: it is one for all parts; set it beside parts",
        ),
        (
            {"family": "composition", "parts": [{"family": "composition", "parts": PARTS}, PARTS[0]]},
            r"transformation\.parts\.0\.family=composition: list its parts themselves",
        ),
        ({"family": "composition", "parts": PARTS, "corners": "none"}, r"corners=none: allowed is fill"),
        (
            {"family": "composition", "parts": [{"family": "flips"}, {"family": "blur"}], "corners": "disc"},
            r"transformation\.corners=disc: no part leaves corners",
        ),
    ],
)
def test_mistakes_are_named_in_one_line(options: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        transformation_set(options)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"^data\.augment\.transformation"):
        transformation_set(options, "data.augment.transformation")
    with pytest.raises(UserError, match=message):
        drawn(options, torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.Generator())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "rot90"}, r"transformation\.family=rot90: it changes the size of 8x12 images"),
        ({"family": "rotation"}, r"transformation: a rotation by 90 degrees changes the size of 8x12 images"),
        ({"family": "translation", "shift": 2, "side": 8}, r"side=8: the images have 8x12 pixels; set it to"),
        (
            {"family": "composition", "parts": [{"family": "blur"}, {"family": "rot90"}]},
            r"transformation\.parts\.1\.family=rot90: it changes the size",
        ),
    ],
)
def test_sizes_that_cannot_be_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        transformation_set(options)(torch.zeros(1, 3, 8, 12))
    if options["family"] != "rotation":  # of which no angle of just 90 degrees is drawn
        with pytest.raises(UserError, match=message):
            drawn(options, torch.zeros(1, 3, 8, 12, dtype=torch.uint8), torch.Generator())


def test_maps_that_are_not_square_cannot_be_turned_back_either() -> None:
    with pytest.raises(UserError, match="changes the size of 4x6"):
        transformation_set({"family": "rot90"}).undo(torch.zeros(1, 4, 2, 4, 6))


def test_without_a_pixel_to_compare_there_is_no_interpolation_error() -> None:
    with pytest.raises(UserError, match="no pixel of 2x2 images stays within them"):
        interpolation_error(transformation_set({"family": "rotation"}), torch.zeros(1, 1, 2, 2))
