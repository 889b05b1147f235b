"""Invariance: ours in one pass, against tmeasures 1.2.11 and against the bare forward pass over the same images.

    uv run python -m tests.benchmarks.invariance

The workload is a network of four convolutions (13 recorded activations, 104,586 units, each position by itself), 512
images 3x32x32 and 16 rotations. Both go through it in turn within one run; the package runs in an environment of its
own, which is made once in the temporary folder, in a process with as many threads for torch as ours. What counts is
the quickest round of each. The floor is what the network alone needs for the same images, transformed before.

First, on fewer images and in float64, all ratios of both are compared. The border is drawn out: with black corners some
units are constant under some rotations, and there the package's values are wrong (its variances fall below 0). Only
ratios and differences are printed, and the floor's seconds, which say how busy the machine is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from src.imageops.transformations import transformation_set
from src.methods.invariance.passes import Examination, Setup, Transformations
from src.methods.invariance.variance import variances
from tests.benchmarks.peers import environment

PEER = ("tmeasures==1.2.11", "torch", "torchvision", "scikit-learn", "statsmodels", "safetensors")

WORKER = """
import json, sys, time
import torch, torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
import tmeasures
from tmeasures import pytorch as measures

torch.set_num_threads(int(sys.argv[2]))
given = load_file(sys.argv[1] + "/given.safetensors")


class Rotation:
    def __init__(self, grid):
        self.grid = grid

    def __call__(self, image):
        return F.grid_sample(image[None], self.grid, padding_mode="border", align_corners=False)[0]


class Images(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


def network():
    steps = json.loads(sys.argv[3])
    model = nn.Sequential(*(getattr(nn, kind)(*options) for kind, *options in steps))
    model.load_state_dict({name[6:]: value for name, value in given.items() if name.startswith("model.")})
    return model.eval()


def run(count, dtype):
    model = network().to(dtype)
    recorded = measures.AutoActivationsModule(model, filter=lambda layer: not isinstance(layer, nn.Sequential))
    rotations = measures.PyTorchTransformationSet([Rotation(grid[None].to(dtype)) for grid in given["grids"]])
    options = measures.PyTorchMeasureOptions(batch_size=64, verbose=False)
    with torch.no_grad():
        return measures.NormalizedVarianceInvariance().eval(
            Images(given["images"][:count].to(dtype)), rotations, recorded, options)


print("ready", flush=True)
for line in sys.stdin:
    count, dtype = line.split()
    wall, cpu = time.perf_counter(), time.process_time()
    found = run(int(count), getattr(torch, dtype))
    took = time.perf_counter() - wall, time.process_time() - cpu
    layers = found.numpy().layers if hasattr(found, "numpy") else found.layers
    save_file({str(k): torch.as_tensor(layer).double().contiguous() for k, layer in enumerate(layers)},
              sys.argv[1] + "/found.safetensors")
    print(json.dumps(took), flush=True)
"""

STEPS: list[list[Any]] = [
    *(["Conv2d", 3, 16, 3, 1, 1], ["ReLU"], ["Conv2d", 16, 16, 3, 1, 1], ["ReLU"], ["MaxPool2d", 2]),
    *(["Conv2d", 16, 32, 3, 1, 1], ["ReLU"], ["Conv2d", 32, 32, 3, 1, 1], ["ReLU"], ["MaxPool2d", 2]),
    *(["Flatten"], ["Linear", 2048, 64], ["ReLU"], ["Linear", 64, 10]),
]


class Took(NamedTuple):
    wall: float
    cpu: float


class Grids:
    """Rotations by the very grids that the package is given, for equal values."""

    identity: int | None = None

    def __init__(self, grids: Tensor) -> None:
        self.grids = grids
        self.names = tuple(str(number) for number in range(len(grids)))

    def __len__(self) -> int:
        return len(self.grids)

    def __call__(self, images: Tensor, members: slice | Sequence[int] = slice(None)) -> Tensor:
        moved = [
            nn.functional.grid_sample(
                images, grid.to(images).expand(len(images), -1, -1, -1), padding_mode="border", align_corners=False
            )
            for grid in self.grids[members]
        ]
        return torch.stack(moved, 1)

    def undo(self, maps: Tensor, members: slice | Sequence[int] = slice(None)) -> Tensor:
        raise NotImplementedError

    def valid(self, height: int, width: int) -> Tensor:
        return torch.ones(height, width, dtype=torch.bool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128, help="images times rotations in one pass of ours")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = nn.Sequential(*(getattr(nn, kind)(*rest) for kind, *rest in STEPS)).eval()
    images = torch.rand(options.images, 3, 32, 32)
    grids = grids_of(16)
    with tempfile.TemporaryDirectory() as folder, Peer(Path(folder), model, images, grids, options.threads) as peer:
        print(f"largest difference of a ratio, float64, 48 images: {difference(peer, model, images, grids):.1e}")
        compare(peer, model, images, options)


def grids_of(count: int) -> Tensor:
    """float64 (count, 32, 32, 2): rotations by whole parts of a turn."""
    angles = torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count)
    cosine, sine, none = angles.cos(), angles.sin(), torch.zeros_like(angles)
    maps = torch.stack([torch.stack([cosine, -sine, none], 1), torch.stack([sine, cosine, none], 1)], 1)
    return nn.functional.affine_grid(maps, [count, 3, 32, 32], align_corners=False)


def difference(peer: Peer, model: nn.Module, images: Tensor, grids: Tensor) -> float:
    """The largest over all units that both give a finite ratio."""
    peer.run(48, "float64")
    theirs = list(peer.found())
    with_grids: Transformations = Grids(grids)
    own = variances(Examination(model, images[:48], with_grids, setup=Setup(dtype=torch.float64))).layers
    # what only shows another layer's values in another shape is recorded by the package, but not by ours
    theirs = [layer for layer, step in zip(theirs, STEPS, strict=True) if step[0] != "Flatten"]
    worst, compared = 0.0, 0
    for each, other in zip(own, theirs, strict=True):
        finite = each.ratio.values.isfinite()
        compared += int(finite.sum())
        apart = (each.ratio.values - other.view(each.ratio.values.shape))[finite].abs()
        worst = max(worst, float(apart.max()))
    print(f"{compared:,} units of {len(own)} layers compared")
    return worst


def compare(peer: Peer, model: nn.Module, images: Tensor, options: argparse.Namespace) -> None:
    rotations = transformation_set(
        {"family": "rotation", "degrees": 360, "count": 16, "corners": "reflect", "fill": 0.0}
    )
    with torch.inference_mode():
        moved = torch.cat([rotations(part).flatten(0, 1) for part in images.split(32)])
    rows: dict[str, list[Took]] = {"package": [], "ours": [], "floor": [], "floor, channels last": []}
    setup = Setup(batch=options.batch)
    variances(Examination(model, images[:64], rotations, setup=setup))  # warms up
    for _ in range(options.rounds):
        rows["package"].append(peer.run(options.images, "float32"))
        rows["ours"].append(timed(lambda: variances(Examination(model, images, rotations, setup=setup))))
        rows["floor"].append(timed(lambda: forward(model, moved, options.batch)))
        last = moved.contiguous(memory_format=torch.channels_last)
        rows["floor, channels last"].append(timed(lambda last=last: forward(model, last, options.batch)))
    best = {name: Took(*(min(times) for times in zip(*took, strict=True))) for name, took in rows.items()}
    ours = best.pop("ours")
    print(f"{options.images} images x 16 rotations, {options.threads} threads; the floor takes "
          f"{best['floor'].cpu:.2f} s of CPU")  # fmt: skip
    print(
        f"package / ours: {best['package'].cpu / ours.cpu:.2f} of CPU, {best['package'].wall / ours.wall:.2f} of wall"
    )
    for name in ("floor", "floor, channels last"):
        print(f"ours / {name}: {ours.cpu / best[name].cpu:.2f} of CPU, {ours.wall / best[name].wall:.2f} of wall")


def forward(model: nn.Module, images: Tensor, batch: int) -> None:
    with torch.inference_mode():
        for part in images.split(batch):
            model(part)


def timed(work: Any) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


class Peer:
    """The package in a process of its own."""

    def __init__(self, folder: Path, model: nn.Module, images: Tensor, grids: Tensor, threads: int) -> None:
        self.folder = folder
        state = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
        save_file({**state, "images": images, "grids": grids.contiguous()}, folder / "given.safetensors")
        python = environment("invariance", PEER)
        command = [str(python), "-c", WORKER, str(folder), str(threads), json.dumps(STEPS)]
        single = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive", "PYTHONPATH": ""}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **single}
        )
        self._read("ready")

    def run(self, count: int, dtype: str) -> Took:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count} {dtype}\n")
        self.process.stdin.flush()
        return Took(*json.loads(self._read("[")))

    def found(self) -> list[Tensor]:
        kept = load_file(self.folder / "found.safetensors")
        return [kept[str(number)] for number in range(len(kept))]

    def _read(self, start: str) -> str:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.startswith(start):
                return line
        raise SystemExit("the package's process ended; its message stands above")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    main()
