"""What training costs the host per optimiser step, beyond the same tensors in a bare loop.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.overhead --rounds 5

Process CPU time with one thread, in one run, the contestants in turn, the least of all rounds. The bare loop has its
normalised images in memory and computes no metrics; ours indexes, normalises (and with ``--augment`` crops and flips)
uint8 images, sets the learning rate, sums metrics and logs them, validates nothing, and writes its checkpoints.
The cost per step is the slope between a short and a long training, the start-up a training of one step.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from src.data.datamodule import ImageData
from src.data.image_set import ImageSet, Splits
from src.networks.models import build
from src.training.determinism import prepare
from src.training.fitting import Training, fit
from src.training.learners.modular import Modular
from src.training.learners.monolithic import Monolithic
from src.training.learners.stepping import Stepping
from src.training.learners.width_variant import WidthVariant

ARCHITECTURE = {
    "name": "simcnn_weak", "width": 1 / 16, "pools": [0, 1], "batch_norm": True, "dropout": 0.0, "classes": 10,
    "input_shape": [3, 8, 8],
}  # fmt: skip
OPTIM = {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}


class Noise(ImageData):
    """Random images, by default of 8 pixels; two of them to validate with."""

    def __init__(self, count: int, batch: int, augment: bool, side: int = 8) -> None:
        how = {"crop_padding": 1, "flip": True} if augment else None
        super().__init__({"name": "noise"}, batch_size=batch, augment=how, normalisation="half")
        self.count, self.side = count, side

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        self.sets["validation"] = self.sets["test"]

    def _load(self) -> Splits:
        generator = torch.Generator().manual_seed(0)

        def noise(count: int) -> ImageSet:
            images = torch.randint(0, 256, (count, 3, self.side, self.side), generator=generator).to(torch.uint8)
            return ImageSet(images, torch.arange(count) % 10, tuple("0123456789"))

        return Splits(noise(self.count), noise(2))


def bare(data: Noise) -> None:
    """The loop that is the measure."""
    model = build(ARCHITECTURE).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    images, labels = data.tensor("train")
    batches = list(zip(images.split(data.batch_size), labels.split(data.batch_size), strict=True))
    begin = time.process_time()
    for some, answers in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(some), answers).backward()
        optimizer.step()
    SPENT["bare"] = time.process_time() - begin


SPENT: dict[str, float] = {}


LEARNERS: dict[str, Callable[[Noise], Stepping]] = {
    "variant": lambda data: WidthVariant(ARCHITECTURE, OPTIM, data.batch_size),
    "modular": lambda data: Modular(build(ARCHITECTURE), OPTIM),
    "monolithic": lambda data: Monolithic(ARCHITECTURE, OPTIM),
}


def ours(name: str, data: Noise) -> None:
    with tempfile.TemporaryDirectory() as folder:
        learner = LEARNERS[name](data)
        begin = time.process_time()
        fit(learner, data, Training(1), Path(folder), seed=0)
        SPENT[name] = time.process_time() - begin


def least(run: Callable[[Noise], None], name: str, data: Noise, best: dict[str, float]) -> None:
    run(data)
    best[name] = min(best.get(name, float("inf")), SPENT[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--augment", action="store_true")
    options = parser.parse_args()
    prepare(threads=1, seed=0)
    contestants = {"bare": bare, **{name: partial(ours, name) for name in LEARNERS}}
    sets = [Noise(steps * options.batch, options.batch, options.augment) for steps in (1, options.steps)]
    for data in sets:
        data.setup()
    for name, run in contestants.items():
        least(run, name, sets[0], {})  # imports and the allocator
    best: list[dict[str, float]] = [{}, {}]
    for _ in range(options.rounds):
        for name, run in contestants.items():
            for data, found in zip(sets, best, strict=True):
                least(run, name, data, found)
    steps = {name: (best[1][name] - best[0][name]) / (options.steps - 1) * 1e6 for name in contestants}
    for name, microseconds in steps.items():
        extra = microseconds - steps["bare"]
        print(f"{name:10} {microseconds:7.0f} us per step, {extra:+6.0f} over bare ({microseconds / steps['bare']:.2f} "
              f"times); a training of one step {best[0][name]:.3f} s")  # fmt: skip


if __name__ == "__main__":
    main()
