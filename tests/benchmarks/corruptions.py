"""Corruptions: ours, batched, against a published package that takes one image at a time.

    uv run python -m tests.benchmarks.corruptions --size 32 --images 64 --threads 2
    uv run python -m tests.benchmarks.corruptions --size 224 --images 4 --threads 2

Both corrupt the same random images with the parameters of ImageNet-C, which are the only ones that the package has, in
turn within one run, one round after the other. The package (imagecorruptions, PyPI) runs in an environment of its own,
which is made once in the temporary folder, in as many processes as ours has threads, each with its share of the images.

Processes of both begin with having used 31 MB, as one has that runs a network: the C library then keeps memory that is
freed, instead of handing it back after each operation, which can cost more than the operation.

What the versions pinned here do not run any more is printed as failing, and measured all the same with the one renamed
argument passed on (``multichannel`` of scikit-image's Gaussian). ``--current`` also says what fails with today's
versions of what the package needs. Only ratios are printed: how many times as long the package takes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.methods.robustness.corruptions import NAMES, SEVERITIES, corrupt
from tests.benchmarks.peers import environment

PEER = "imagecorruptions==1.1.2"  # without its own needs: opencv-python asks for a graphics library
PINNED = (
    "numpy==1.26.4",  # the last before 2.0, which took np.float_ away (fog)
    "scikit-image==0.20.0",  # the first for Python 3.11; before it, the Gaussian still had `multichannel`
    "scipy==1.10.1",
    "opencv-python-headless==4.9.0.80",
    "pillow==10.4.0",
    "setuptools==69.5.1",  # has pkg_resources, which 81 and later have not: nothing can be imported without it
)
CURRENT = ("numpy", "scikit-image", "scipy", "opencv-python-headless", "pillow", "setuptools<81")

WORKER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import cv2, numpy as np
import imagecorruptions, imagecorruptions.corruptions as parts
cv2.setNumThreads(1)
images = np.load(sys.argv[1])
np.ones(31 << 20, np.uint8)
original = parts.gaussian
def renamed(image, sigma, multichannel=None, **others):
    return original(image, sigma, channel_axis=-1 if multichannel else None, **others)
def run(name, severity, count):
    for image in images[:count]:
        imagecorruptions.corrupt(image, corruption_name=name, severity=severity)
failing = {}
for name in imagecorruptions.get_corruption_names("all"):
    try:
        run(name, 1, 1)
    except Exception as error:
        failing[name] = f"{type(error).__name__}: {error}"
parts.gaussian = renamed
print(json.dumps(failing), flush=True)
for line in sys.stdin:
    name, severity = line.split()
    begin = time.perf_counter()
    run(name, int(severity), len(images))
    print(json.dumps(time.perf_counter() - begin), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="of ours")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument("--current", action="store_true", help="also say what fails with today's versions")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.ones(31 << 20, dtype=torch.uint8)  # as in the package's processes: memory that is freed is kept from now on
    images = photograph_like(options.images, options.size)
    if options.current:
        with Peer(environment("corruptions", CURRENT, [PEER], wheels_only=True), images[:1], 1) as peer:
            report("with today's versions and setuptools<81 (with a later one nothing can be imported)", peer.failing)
    with Peer(environment("corruptions", PINNED, [PEER], wheels_only=True), images, options.threads) as peer:
        report(f"with {', '.join(PINNED)}", peer.failing)
        compare(peer, torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(options.device), options)


def compare(peer: Peer, images: torch.Tensor, options: argparse.Namespace) -> None:
    """Print the ratio of each corruption over its severities, and of all; the quickest of the rounds counts."""
    theirs, own = dict.fromkeys(options.only, 0.0), dict.fromkeys(options.only, 0.0)
    for name in options.only:
        for severity in SEVERITIES:
            ours(images, name, severity)  # warms up
            rounds = [(peer.seconds(name, severity), ours(images, name, severity)) for _ in range(options.rounds)]
            best = [min(times) for times in zip(*rounds, strict=True)]
            theirs[name] += best[0]
            own[name] += best[1]
        note = "  (through the renamed argument)" if name in peer.failing else ""
        print(f"{name:18} {theirs[name] / own[name]:8.2f}{note}", flush=True)
    ratios = {name: theirs[name] / own[name] for name in options.only}
    rest = [name for name in options.only if name != "glass_blur"]
    least = min(ratios, key=ratios.__getitem__)
    print(
        f"{'all together':18} {sum(theirs.values()) / sum(own.values()):8.2f}, without glass_blur "
        f"{sum(theirs[name] for name in rest) / sum(own[name] for name in rest):.2f}, median "
        f"{statistics.median(ratios.values()):.2f}, least {ratios[least]:.2f} ({least}); {len(images)} images of "
        f"{options.size} pixels, {options.threads} threads, ours on {images.device}"
    )


def ours(images: torch.Tensor, name: str, severity: int) -> float:
    """Seconds."""
    synchronise(images)
    begin = time.perf_counter()
    corrupt(images, name, severity, preset="large")
    synchronise(images)
    return time.perf_counter() - begin


def synchronise(images: torch.Tensor) -> None:
    if images.is_cuda:
        torch.cuda.synchronize()


class Peer:
    """The package in processes of its own: how long all images take, the processes started and warm."""

    def __init__(self, python: Path, images: np.ndarray[Any, Any], processes: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        single = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        self.workers = []
        for number, share in enumerate(np.array_split(images, processes)):
            np.save(self.folder / f"{number}.npy", share)
            command = [str(python), "-c", WORKER, str(self.folder / f"{number}.npy")]
            self.workers.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, **single, "PYTHONPATH": ""},
                )
            )
        first, *_ = [self._read(worker) for worker in self.workers]
        self.failing: dict[str, str] = first

    def seconds(self, name: str, severity: int) -> float:
        """Of the slowest process."""
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.write(f"{name} {severity}\n")
            worker.stdin.flush()
        return max(self._read(worker) for worker in self.workers)

    def _read(self, worker: subprocess.Popen[str]) -> Any:
        assert worker.stdout is not None
        while line := worker.stdout.readline():
            if line[0] in "{0123456789":  # the package itself prints, too
                return json.loads(line)
        raise SystemExit("the package's process ended; its message stands above")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.close()
            worker.wait()
        shutil.rmtree(self.folder)


def report(which: str, failing: dict[str, str]) -> None:
    print(f"the package {which}: {len(failing)} of 19 fail")
    for name, error in failing.items():
        print(f"  {name}: {error}")


def photograph_like(count: int, size: int) -> np.ndarray[Any, Any]:
    """uint8 (count, size, size, 3): as much detail at every scale."""
    generator = torch.Generator().manual_seed(0)
    made = torch.zeros(count, 3, size, size)
    side = 4
    while side <= size:
        layer = torch.randn(count, 3, side, side, generator=generator)
        made += torch.nn.functional.interpolate(layer, (size, size), mode="bilinear") / side**0.5
        side *= 2
    return (made * 60 + 128).clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


if __name__ == "__main__":
    main()
