"""A small network, images and options for the study of invariance, and numbers by hand."""

from __future__ import annotations

from typing import Any

import torch
import yaml
from torch import Tensor

from src.artifacts.examined_subject import Examined
from src.core.options import options_of
from src.core.paths import CONF
from src.core.result import Result, rows
from src.data.image_set import ImageSet
from src.networks.subjects import Subject
from src.studies.invariance import study
from src.studies.invariance.options import Options
from src.studies.protocol import Run
from tests.fakes.networks import images, subject
from tests.fakes.study import FakeSession

TURNS = {"family": "rot90"}
COUNT = 24


def study_values(**chosen: Any) -> dict[str, Any]:
    """The values of conf/study/invariance.yaml, smaller; ``chosen`` instead of some."""
    plain = yaml.safe_load((CONF / "study" / "invariance.yaml").read_text())
    del plain["defaults"]
    return {**plain, "transformation": TURNS, "permutations": 19, "images_per_class": None, "kept_units": 8, **chosen}


def options(**chosen: Any) -> Options:
    """As the border makes them."""
    return options_of(Options, {key: value for key, value in study_values(**chosen).items() if key != "name"}, "study")


def run(session: Any = None, seed: int = 0) -> Run:
    """A job with few resamples."""
    return Run(session or FakeSession(), seed, 20)


def measured_images() -> ImageSet:
    """Of three classes in turn."""
    return ImageSet(images(COUNT), (torch.arange(COUNT) * 5) % 3, subject().classes)


def studied(session: Any = None, network: Subject | None = None, test: ImageSet | None = None, **chosen: Any) -> Result:
    """The study of one network, as a result."""
    test = test or measured_images()
    findings = study.estimate(Examined(network or subject(), test, test), options(**chosen), run(session))
    result = Result("measure", "n")
    result.add(*study.panels(findings))
    result.conclude(study.verdict(findings))
    return result


def row(result: Result, table: str, network: str = "network") -> dict[str, Any]:
    """The first of a network."""
    return next(each for each in rows(result.tables[table]) if each["network"] == network)


def turned(raw: Tensor) -> Tensor:
    """uint8 (S, C, H, W) -> float (S, 4, C, H, W), by quarter turns."""
    return torch.stack([(raw.float() / 255).rot90(k, (2, 3)) for k in range(4)], 1)


@torch.no_grad()
def answers(own: Subject, raw: Tensor) -> Tensor:
    moved = turned(raw)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (own.mean, own.std))
    return own.model(((moved - mean) / std).flatten(0, 1)).view(len(raw), 4, -1).double()


def nv(values: Tensor) -> Tensor:
    """(S, T, U) -> (U,)."""
    return values.std(1).mean(0) / values.std(0).mean(0)
