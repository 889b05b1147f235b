"""Candidates per second: our evaluator against a plain loop that builds, loads and runs a network per candidate.

    python -m tests.benchmarks.candidates --width 0.25 --images 400 --candidates 20 --threads 2

Both judge the same kept kernels with the same tensors and number of threads (the loop's are intra-op, ours are
workers with one intra-op thread each), in turn within one process; their logits are compared. The plain loop is
already spared what the original did besides: decoding images, and computing known candidates again.
``--kind layer`` measures candidates that lose kernels of one layer only, as a study of layer sensitivity asks for.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import torch
from torch import Tensor

from src.methods.modularity.evaluation import Evaluator
from src.networks.models.cnnsplitter import RESCNN, SIMCNN
from src.networks.models.layout import ConvolutionalNetwork, Layout
from src.networks.slicing import SlicePlan, plan_for, slice_tensors
from src.networks.slicing.network import tensors_of
from tests.networks.slicing.nets import at_least_one

FAMILIES = {"simcnn": SIMCNN, "rescnn": RESCNN}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(FAMILIES), default="simcnn")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--candidates", type=int, default=10, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--share", type=float, default=0.6, help="of the kernels kept")
    parser.add_argument("--kind", choices=("population", "layer"), default="population")
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    layout = FAMILIES[options.model].scaled(options.width)
    model = ConvolutionalNetwork(layout, 10, (3, 32, 32)).eval()
    plan = plan_for(model, (3, 32, 32))
    images = torch.randn(options.images, 3, 32, 32)
    evaluator = Evaluator(model, plan, images, batch=options.batch, workers=options.threads)
    tensors = {name: tensor.detach() for name, tensor in tensors_of(model).items()}

    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    for number in range(-1, options.rounds):  # round -1 warms up
        keep = candidates(plan, options.candidates, options.share, options.kind, number)
        begin = time.perf_counter()
        plain = [run_plain(layout, plan, tensors, one, images, options.batch)[:, 3] for one in keep]
        middle = time.perf_counter()
        ours = evaluator.logits(keep, 3)
        end = time.perf_counter()
        expected = torch.stack(plain)
        error = (ours - expected).abs().max() / expected.std()
        assert error < 1e-3, f"the logits differ by {error:.2g} of their standard deviation"
        if number >= 0:
            seconds["plain"].append(middle - begin)
            seconds["ours"].append(end - middle)
            rates = ", ".join(f"{name} {options.candidates / times[-1]:.2f}/s" for name, times in seconds.items())
            print(f"round {number}: {rates}, logits differ by {error:.1e} of their standard deviation")
    plain_rate, our_rate = (options.candidates / statistics.median(seconds[name]) for name in ("plain", "ours"))
    ratio = statistics.median(plain / ours for plain, ours in zip(seconds["plain"], seconds["ours"], strict=True))
    print(f"medians: plain {plain_rate:.2f}/s, ours {our_rate:.2f}/s, ratio {ratio:.2f} (threads {options.threads})")


def candidates(plan: SlicePlan, count: int, share: float, kind: str, number: int) -> Tensor:
    """bool (count, K): new ones each round."""
    generator = torch.Generator().manual_seed(1000 + number)
    keep = torch.rand(count, plan.kernels, generator=generator) < share
    if kind == "layer":
        group = torch.arange(count) * len(plan.groups) // count  # layer after layer
        keep |= plan.group_index[None] != group[:, None]
    return at_least_one(plan, keep)


@torch.inference_mode()
def run_plain(
    layout: Layout, plan: SlicePlan, tensors: dict[str, Tensor], keep: Tensor, images: Tensor, batch: int
) -> Tensor:
    """A new slim network, its weights loaded, run batch by batch: logits (n, classes)."""
    counts = {
        member: int(keep[part].sum())
        for group, part in zip(plan.groups, plan.slices(), strict=True)
        for member in group.members
    }
    widths = iter([counts[f"conv_{index}"] for index in range(len(counts))])
    tokens = tuple(next(widths) if isinstance(token, int) else token for token in layout.tokens)
    slim = ConvolutionalNetwork(replace(layout, tokens=tokens), 10, (3, 32, 32)).eval()
    slim.load_state_dict(slice_tensors(plan, tensors, keep))
    return torch.cat([slim(part) for part in images.split(batch)])


if __name__ == "__main__":
    main()
