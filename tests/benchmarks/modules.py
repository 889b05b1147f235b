"""What the training of all modules of a label tree costs beyond bare loops over the same tensors.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.modules --rounds 3

CPU time of one router and twenty experts (the thesis's maxout networks at a quarter of their width, crops of 28
pixels), each trained by itself: our loop with its augmentation, metrics, validation and checkpoints, against a bare
loop over images that are normalised already. Both in one run, in turn, the least of all rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from src.data.datamodule import ImageData
from src.data.image_set import ImageSet, Splits
from src.data.relabelled import relabelled
from src.methods.hierarchy.tree import from_superclasses
from src.networks.models import build
from src.training.determinism import prepare
from src.training.fitting import Training, fit
from src.training.learners.modular import Modular

SIDE, GROUPS, MEMBERS = 28, 20, 5
BODY = {"name": "maxout", "units": [32, 64, 128], "pieces": 8, "hidden": [64], "hidden_pieces": 4, "width": 0.25}
OPTIM = {"name": "adam", "lr": 0.001}


class Noise(ImageData):
    """Random images of 100 classes in 20 superclasses, as many of each to train on as asked for."""

    def __init__(self, per_class: int, batch: int) -> None:
        super().__init__({"name": "noise"}, batch_size=batch, augment={"flip": True}, normalisation="half",
                         splits={"validation": 1, "calibration": 0})  # fmt: skip
        self.per_class = per_class

    def _load(self) -> Splits:
        generator = torch.Generator().manual_seed(0)
        classes = tuple(map(str, range(GROUPS * MEMBERS)))
        parents = tuple(f"group {k // MEMBERS}" for k in range(len(classes)))

        def noise(count: int) -> ImageSet:
            size = (count * len(classes), 3, SIDE, SIDE)
            images = torch.randint(0, 256, size, generator=generator).to(torch.uint8)
            return ImageSet(images, torch.arange(size[0]) % len(classes), classes, parents)

        return Splits(noise(self.per_class + 1), noise(1))


def modules(data: Noise) -> list[ImageData]:
    superclasses = data.sets["train"].superclasses
    assert superclasses is not None
    tree = from_superclasses(data.classes, superclasses)
    return [relabelled(data, node.targets, node.children) for node in tree.nodes]


def network(data: ImageData) -> nn.Module:
    return build({**BODY, "classes": len(data.classes), "input_shape": [3, SIDE, SIDE]})


def bare(parts: list[ImageData], epochs: int) -> float:
    ready = [part.tensor("train") for part in parts]
    begin = time.process_time()
    for part, (images, labels) in zip(parts, ready, strict=True):
        model = network(part).to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
        for _ in range(epochs):
            batches = zip(images.split(part.batch_size), labels.split(part.batch_size), strict=True)
            for some, answers in batches:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(some), answers).backward()
                optimizer.step()
    return time.process_time() - begin


def ours(parts: list[ImageData], epochs: int) -> float:
    begin = time.process_time()
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            learner = Modular(network(part), OPTIM)
            fit(learner, part, Training(epochs), Path(folder), seed=0, resume_every=20)
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--per-class", type=int, default=26)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    prepare(threads=1, seed=0)
    data = Noise(options.per_class, options.batch)
    data.setup()
    parts = modules(data)
    steps = sum(-(-len(part.sets["train"]) // options.batch) for part in parts) * options.epochs
    bare(parts[1:2], 1), ours(parts[1:2], 1)  # imports and the allocator
    best = [float("inf")] * 2
    for _ in range(options.rounds):
        best = [min(old, run(parts, options.epochs)) for old, run in zip(best, (bare, ours), strict=True)]
    print(f"{len(parts)} modules, {steps} steps: {best[1]:.1f} s of CPU, bare loops {best[0]:.1f} s: "
          f"{best[1] / best[0]:.3f} times")  # fmt: skip


if __name__ == "__main__":
    main()
