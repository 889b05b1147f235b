"""Predicted and measured peak memory of training, beside the rule of the original authors.

    python -m tests.benchmarks.memory --features 1.0 --batches 32,64,128

The lightest, median and heaviest variant of the sweep by the formula. The machine's constant comes from the baseline at
batch 8 alone. The heaviest variant has batches of its own: at 128 images it needs 3 GiB and minutes. Units MiB over
a process that has imported torch; errors against the measured peak.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

from src.methods.widths.variants import variants
from src.networks.memory import Training, calibrate, measure, trace
from src.networks.memory.planning import saved_bytes
from src.networks.models import build

MIB = 2**20
SHAPE, CLASSES = (3, 32, 32), 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=float, default=1.0)
    parser.add_argument("--batches", default="32,64,128")
    parser.add_argument("--heaviest", default="16,24,32", help="batches of the heaviest variant")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--which", default="lightest,median,heaviest")
    options = parser.parse_args()

    constant = calibrate(options.device)["constant"]
    print(f"constant of this machine: {constant / MIB:.0f} MiB", flush=True)
    print(f"{'variant':>14} {'batch':>5} {'no run':>13} {'measured':>8} {'4U+1 GiB':>14}", flush=True)
    ranked = sorted(variants(features=options.features), key=lambda one: saved_bytes(one.widths, 1, SHAPE, CLASSES))
    chosen = {"lightest": ranked[0], "median": ranked[len(ranked) // 2], "heaviest": ranked[-1]}
    for name in options.which.split(","):
        variant = chosen[name]
        widths = list(variant.widths)
        architecture = {"name": "vgg", "classes": CLASSES, "input_shape": list(SHAPE), "widths": widths}
        sizes = options.heaviest if name == "heaviest" else options.batches
        for size in (int(size) for size in sizes.split(",")):
            training = Training(architecture, size, options.precision, options.recompute)
            measured = measure(training, options.device)
            cells = (trace(training, options.device).peak + constant, original_rule(widths, size))
            free, rule = (f"{cell / MIB:6.0f} ({100 * (cell / measured - 1):+.1f}%)" for cell in cells)
            label = f"{name} {variant.name}"
            print(f"{label:>14} {size:>5} {free:>13} {measured / MIB:8.0f} {rule:>14}", flush=True)


def original_rule(widths: Sequence[int], batch: int) -> int:
    """The rule of Mundt et al. 2018: four times their estimate plus 1 GiB."""
    channels, height, side = SHAPE
    count = channels * height * side
    index, repeats = 0, (len(widths) - 6) // 3
    for size in (2, 2, repeats, repeats, repeats):
        count += sum(width * height * side for width in widths[index : index + size])
        index += size
        height, side = height // 2, side // 2
        count += widths[index - 1] * height * side
    count = batch * (count + 2 * widths[-2] + CLASSES)
    architecture = {"name": "vgg", "classes": CLASSES, "input_shape": list(SHAPE), "widths": list(widths)}
    with torch.device("meta"):
        weights = sum(parameter.nbytes for parameter in build(architecture).parameters())
    return 4 * (4 * count + weights) + 2**30


if __name__ == "__main__":
    main()
