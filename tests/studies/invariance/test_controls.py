"""What the transformation does to the images themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from src.imageops.transformations import interpolation_error, transformation_set
from src.studies.invariance.controls import controls
from tests.fakes.study import FakeSession
from tests.studies.invariance.given import COUNT, TURNS, measured_images, nv, options, studied, turned


def test_interpolation_is_the_measure_of_the_image_itself() -> None:
    few = measured_images()
    session: Any = FakeSession()
    turns = transformation_set(TURNS)
    found = controls(few, turns, ["sum", "none", "max"], options(), session)
    assert found is not None and found.images == COUNT and found.errors.tolist() == [0.0] * 4
    exact = found.by_way
    pixels = turned(few.images).flatten(2).double()
    assert exact["none"].image == pytest.approx(float(nv(pixels).mean()), rel=1e-4)
    within = torch.stack([nv(pixels[few.labels == label]) for label in range(3)])
    assert exact["none"].image_stratified == pytest.approx(float(within.mean()), rel=1e-4)
    assert exact["none"].interpolation == exact["max"].interpolation == exact["max"].image == 0
    assert exact["sum"].image < 1e-4, "turned, an image sums to the same"
    rotations = transformation_set({"family": "rotation", "count": 8})
    turned_by_eighths = controls(few, rotations, ["none"], options(), session)
    assert turned_by_eighths is not None and torch.equal(
        turned_by_eighths.errors, interpolation_error(rotations, few.images.float() / 255)
    )
    rough = turned_by_eighths.by_way["none"]
    assert 0.05 < rough.interpolation < rough.image and rough.interpolation < rough.interpolation_stratified
    assert not session.events


def test_where_no_pixel_always_holds_the_image_there_is_no_control() -> None:
    session = FakeSession()
    result = studied(session, transformation={"family": "translation", "shift": 0.6}, untrained=False)
    assert any("no pixel always holds the image" in event for event in session.events)
    assert "interpolation" not in result.tables and "pixels" not in result.tables
    assert set(result.tables["layers_sum"]["network"]) == {"network"}
