"""A search without a network: each kernel helps or harms each class, and a module's logit is their sum.

Run as a program it searches slowly, to be killed: ``python -m tests.methods.modularity.toy_search CHECKPOINT SECONDS``.
"""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from src.methods.modularity.genome import GenomeLayout
from src.methods.modularity.search import search
from src.methods.modularity.search_settings import SearchSettings
from src.methods.modularity.search_state import SearchState

CLASSES, IMAGES = 5, 100
LAYOUT = GenomeLayout((12, 20, 30), (6, 10, 10))
SETTINGS = SearchSettings(
    generations=8, population=12, parents=6, keep_parents=3, mutation_percent=10, thresholds={2: 0.9, 4: 0.7},
    min_ensembles=10, max_ensembles=40, patience=None, seed=3,
)  # fmt: skip


class Toy:
    """``evaluate`` of a search; counts what it is asked."""

    def __init__(self, seconds: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(7)
        self.labels = torch.arange(IMAGES) % CLASSES
        self.useful = torch.randn(CLASSES, LAYOUT.kernels, generator=generator)
        self.noise = torch.randn(CLASSES, LAYOUT.kernels, IMAGES, generator=generator)
        ranked = [
            part.argsort(dim=1, descending=True) + first
            for part, first in zip(
                self.useful.split(LAYOUT.group_sizes, dim=1), LAYOUT.first_kernel.tolist(), strict=True
            )
        ]
        self.order = torch.cat(ranked, dim=1)
        self.seconds = seconds
        self.calls = 0
        self.judged = 0  # modules of a class times images
        self.parts = [slice(0, IMAGES)]

    def __call__(self, keep: Tensor, part: int) -> Tensor:
        self.calls += 1
        time.sleep(self.seconds * CLASSES)
        self.judged += keep.shape[1] * (self.parts[part].stop - self.parts[part].start)
        skill = (keep.float() @ self.useful[:, :, None] / 8) * (self.labels == torch.arange(CLASSES)[:, None])[:, None]
        return (skill + (keep.float() @ self.noise) / 6)[..., self.parts[part]]

    def search(self, checkpoint: Path | None = None, settings: SearchSettings = SETTINGS, **more) -> SearchState:
        sensitive = torch.tensor([True, False, False])
        weight = torch.ones(LAYOUT.kernels, dtype=torch.int64)
        weight[:12] = 2
        return search(self, LAYOUT, self.order, sensitive, self.labels, weight, settings, checkpoint=checkpoint, **more)


if __name__ == "__main__":
    torch.set_num_threads(1)
    Toy(float(sys.argv[2])).search(Path(sys.argv[1]))
