"""What a study needs: a run without a bar, a network for images large enough to be corrupted, and such images."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from src.networks.models import build
from src.networks.subjects import Subject
from src.studies.protocol import Run
from tests.fakes.networks import ARCHITECTURE

SIDE = 16  # pixels, the least that can be corrupted


class FakeSession:
    """Keeps the events.

    Args:
        folder: of the job, for studies that leave a file there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.events: list[str] = []
        self.folder = folder

    def stage(self, name: str, total: int | None = None) -> AbstractContextManager[Any]:
        return nullcontext(lambda *_, **__: None)

    def event(self, text: str) -> None:
        self.events.append(text)


def run(session: FakeSession | None = None, resamples: int = 20) -> Run:
    """Of a job with seed 0."""
    return Run(session or FakeSession(), 0, resamples)  # type: ignore[arg-type]


def network(seed: int = 0) -> Subject:
    """Random weights, three classes."""
    torch.manual_seed(seed)
    architecture = {**ARCHITECTURE, "input_shape": [3, SIDE, SIDE]}
    names = ("class 0", "class 1", "class 2")
    return Subject(build(architecture).eval(), architecture, names, (0.5, 0.4, 0.3), (0.25, 0.3, 0.25))


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    """uint8 (count, 3, 16, 16)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
