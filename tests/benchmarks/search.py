"""What the search asks thousands of times, every idea measured in one run: ratios, growth, and the floor.

    python -m tests.benchmarks.search                         the published width; about six minutes on idle cores
    python -m tests.benchmarks.search --width 0.125           that of the README's main job
    python -m tests.benchmarks.search --only ways --rounds 3

The plain loop is what its users would write: per candidate a new slim network, its weights loaded, run batch by batch
in inference mode. All ways judge the same candidates on the same images, in turn, each on one thread by that thread's
processor time, so that other work on the machine moves both sides alike. Their logits are compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from src.methods.modularity.ensemble import tournament
from src.methods.modularity.evaluation import OneByOne
from src.methods.modularity.genome import GenomeLayout, heuristic_population
from src.methods.modularity.judges import processor_has_bf16
from src.methods.modularity.search import image_rungs, next_population, search
from src.methods.modularity.search_settings import SearchSettings
from src.networks.cost import cost
from src.networks.models.cnnsplitter import RESCNN, SIMCNN
from src.networks.models.layout import ConvolutionalNetwork, Layout
from src.networks.slicing import Runner, SlicedNetwork, SlicePlan, extract, plan_for, slice_tensors
from src.networks.slicing.fused import FusedNetwork
from src.networks.slicing.native import NativeNetwork, NoCompiler
from src.networks.slicing.network import tensors_of
from tests.networks.slicing.nets import at_least_one

SHAPE = (3, 32, 32)
FAMILIES = {"simcnn": SIMCNN, "rescnn": RESCNN}
BATCH = 128
PAPER = SearchSettings(patience=None)
Rows = list[dict[str, str]]


class Bench:
    """A network of random weights, images, and candidates as a search breeds them."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.layout = FAMILIES[options.model].scaled(options.width)
        self.model = ConvolutionalNetwork(self.layout, 10, SHAPE).eval()
        self.plan = plan_for(self.model, SHAPE)
        self.images = torch.randn(options.images, *SHAPE)
        self.tensors = {name: tensor.detach() for name, tensor in tensors_of(self.model).items()}
        self.rounds, self.count = options.rounds, options.candidates
        self.genome = GenomeLayout.paper(self.plan.sizes)
        parts = [torch.randperm(size) + first for size, first in zip(self.plan.sizes, self.plan.offsets, strict=False)]
        self.order = torch.cat(parts)[None]

    def runners(self) -> dict[str, Runner]:
        """The ways that this machine has."""
        ways: dict[str, Runner] = {
            "functional": SlicedNetwork(self.model, self.plan, channels_last=True),
            "fused": FusedNetwork(self.model, self.plan),
        }
        if processor_has_bf16():
            ways["fused, bf16"] = FusedNetwork(self.model, self.plan, torch.bfloat16)
        try:
            ways["native"] = NativeNetwork(self.model, self.plan)
        except NoCompiler as error:
            print(error)
        return ways

    def population(self, generation: int, size: int = 100, seed: int = 0) -> Tensor:
        """bool (size, K): candidates of one class after so many generations of random selection."""
        generator = torch.Generator().manual_seed(seed)
        population = heuristic_population(self.genome, size, [PAPER.other_ratios] * self.genome.layers, generator)[None]
        for number in range(generation):
            fitness = torch.rand(1, size, generator=generator)
            population = next_population(
                population, fitness, parents=size // 2, keep_parents=size // 5, mutation_percent=5.0, seed=seed,
                generation=number,
            )  # fmt: skip
        return self.genome.decode(population, self.order)[0]

    def plain(self, keep: Tensor) -> Tensor:
        """Logits (n, classes) by the plain loop."""
        return run_plain(self.layout, self.plan, self.tensors, keep, self.images, BATCH)

    @torch.inference_mode()
    def one_by_one(self, runner: Runner, keep: Tensor) -> Tensor:
        """(P, n) of class 3 on this thread, nothing shared."""
        step = runner.batch or len(self.images)
        states = [runner.start(part) for part in self.images.split(step)]
        begin = time.thread_time()
        rows = []
        for row in keep:
            weights = runner.cut(row, [3])
            rows.append(torch.cat([runner.finish(weights, state)[:, 0] for state in states]))
        self.seconds = (time.thread_time() - begin) / len(keep)
        return torch.stack(rows)


def ways(bench: Bench) -> Rows:
    """Every way of running candidates against the plain loop."""
    runners = bench.runners()
    seconds: dict[str, list[float]] = {name: [] for name in ("plain loop", *runners)}
    distances: dict[str, list[Tensor]] = {name: [] for name in seconds}
    macs = []
    for number in range(-1, bench.rounds):  # round -1 warms up
        keep = candidates(bench.plan, bench.count, 0.6, "population", number)
        begin = time.thread_time()
        answers = {"plain loop": torch.stack([bench.plain(row)[:, 3] for row in keep])}
        plain = (time.thread_time() - begin) / len(keep)
        spent = {"plain loop": plain}
        for name, runner in runners.items():
            answers[name] = bench.one_by_one(runner, keep)
            spent[name] = bench.seconds
        if number < 0:
            continue
        slim = extract(bench.model, bench.plan, keep[0])
        macs.append(cost(slim, SHAPE).macs * len(bench.images))
        with torch.inference_mode():
            exact = torch.cat([slim.double()(part.double()) for part in bench.images[:64].split(32)])[:, 3]
        for name, rows in answers.items():
            seconds[name].append(spent[name])
            distances[name].append((rows[0, :64] - exact).pow(2).mean().sqrt() / exact.std())
    floor = statistics.median(macs) / matrix_rate()
    table = []
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(seconds["plain loop"], times, strict=True)]
        distance = torch.stack(distances[name]).mean() / torch.stack(distances["plain loop"]).mean()
        table.append({
            "way": name, "s per candidate": f"{statistics.median(times):.3f}",
            "x plain loop": f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            "distance from float64": f"{distance:.2f} x", "x floor": f"{statistics.median(times) / floor:.2f}",
        })  # fmt: skip
    table.append({"way": "floor: the same multiply-adds as one matrix product", "s per candidate": f"{floor:.3f}"})
    return table


def workers(bench: Bench) -> Rows:
    """Two workers of one thread against the plain loop on two, by the clock."""
    table = []
    for name, runner in bench.runners().items():
        judge = OneByOne(bench.model, bench.plan, bench.images, runner=runner, workers=2, memory=1)
        ratios = []
        for number in range(-1, bench.rounds):
            keep = candidates(bench.plan, 2 * bench.count, 0.6, "population", number)
            torch.set_num_threads(2)
            plain = clock(lambda keep=keep: [bench.plain(row) for row in keep])
            torch.set_num_threads(1)
            ours = clock(lambda keep=keep, judge=judge: judge.judged(keep, [[3]] * len(keep)))
            if number >= 0:
                ratios.append(plain / ours)
        table.append({"way": name, "x plain loop on two threads": f"{statistics.median(ratios):.2f}"})
    return table


def sharing(bench: Bench) -> Rows:
    """What equal beginnings and known candidates save, in a population of the tenth generation."""
    table = []
    before, keep = bench.population(9, 40), bench.population(10, 40)
    known = {row.numpy().tobytes() for row in before}
    fresh = torch.stack([row for row in keep.unique(dim=0) if row.numpy().tobytes() not in known])
    for name, runner in bench.runners().items():
        seconds = {}
        for shares in (False, True, False, True):
            judge = OneByOne(
                bench.model, bench.plan, bench.images, runner=runner, memory=1 << 30 if shares else 1, batch=None
            )
            seconds[shares] = processor(lambda judge=judge: judge.judged(fresh, [[3]] * len(fresh)))
        table.append({"way": name, "equal beginnings computed once": f"{seconds[False] / seconds[True]:.2f} x"})
    table.append(
        {"way": "known candidates remembered", "equal beginnings computed once": f"{len(keep) / len(fresh):.2f} x"}
    )
    return table


def racing(_: Bench) -> Rows:
    """What racing saves; what it costs in fitness is in the study's README."""
    table = []
    for shares in ((), (0.25,), (0.25, 0.5)):
        settings = replace(PAPER, generations=4, racing=shares)
        judged = [0]
        labels = torch.arange(200) % 4
        order, parts = image_rungs(labels, shares, 0)
        useful = torch.randn(4, 40)

        def evaluate(
            keep: Tensor, part: int, parts: Any = parts, judged: Any = judged, seen: Any = labels[order]
        ) -> Tensor:
            judged[0] += keep.shape[1] * (parts[part].stop - parts[part].start)
            skill = (keep.float() @ useful[:, :, None]) * (seen == torch.arange(4)[:, None])[:, None]  # noqa: B023
            return (skill + torch.randn(*keep.shape[:2], 200) * 3)[..., parts[part]]

        layout = GenomeLayout.paper((20, 20))
        ranks = torch.stack([torch.cat([torch.randperm(20), torch.randperm(20) + 20]) for _ in range(4)])
        search(evaluate, layout, ranks, torch.zeros(2).bool(), labels[order], torch.ones(40), settings)
        if not shares:
            everything = judged[0]
        table.append({"racing": str(list(shares)), "images judged": f"{judged[0] / everything:.0%}"})
    return table


def growth(bench: Bench) -> Rows:
    """The tournament's part of a generation, at the paper's sizes, by classes and population."""
    runner = bench.runners().get("native") or bench.runners()["fused"]
    keep = candidates(bench.plan, 2, 0.6, "population", 0)
    bench.one_by_one(runner, keep)
    each = bench.seconds / len(bench.images)
    table = []
    for classes, population in ((5, 100), (10, 16), (10, 50), (10, 100), (20, 100), (100, 100)):
        images = 100 * classes
        labels = torch.arange(images) % classes
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(classes, population, images, generator=generator)
        logits += 4.0 * (labels == torch.arange(classes)[:, None])[:, None]
        kept = torch.rand(classes, population, bench.plan.kernels, generator=generator) < 0.6
        seconds = processor(
            lambda logits=logits, labels=labels, kept=kept, classes=classes: tournament(
                logits, labels, kept, bench.plan.multiplicity, class_order=range(classes), alpha=0.9,
                difference_weight=0.1, thresholds=PAPER.thresholds, minimum=50, maximum=500, keep_incumbent=True,
            )
        )  # fmt: skip
        judging = 0.8 * classes * population * images * each
        table.append({
            "classes": str(classes), "population": str(population), "images": str(images),
            "tournament s": f"{seconds:.2f}", "candidates s": f"{judging:.1f}",
            "share": f"{seconds / (seconds + judging):.1%}",
        })  # fmt: skip
    return table


PARTS: dict[str, Callable[[Bench], Rows]] = {part.__name__: part for part in (ways, workers, sharing, racing, growth)}


@torch.inference_mode()
def matrix_rate() -> float:
    """Multiply-adds per second of one thread in a large product of float32, by the faster of torch's two libraries.

    The one behind ``@`` leaves half of some processors' vectors idle; convolutions go to the other.
    """
    side = 1024
    left, right = torch.randn(side, side), torch.randn(side, side)
    pairs = [(left, right)]
    if torch.backends.mkldnn.is_available():
        pairs.append((left.to_mkldnn(), right.to_mkldnn()))
    return max(
        side**3 / min(processor(lambda: F.linear(*pair)) for _ in range(6))  # noqa: B023
        for pair in pairs
    )


def clock(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def processor(work: Callable[[], Any]) -> float:
    """Seconds of all threads of this process."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def candidates(plan: SlicePlan, count: int, share: float, kind: str, number: int) -> Tensor:
    """bool (count, K): new ones each round; ``kind`` "layer": each loses kernels of one layer alone."""
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
    slim = ConvolutionalNetwork(replace(layout, tokens=tokens), 10, SHAPE).eval()
    slim.load_state_dict(slice_tensors(plan, tensors, keep))
    return torch.cat([slim(part) for part in images.split(batch)])


def show(title: str, rows: Rows) -> None:
    table = Table(title=title, box=box.ASCII_DOUBLE_HEAD, title_justify="left")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name, justify="left" if name == names[0] else "right")
    for row in rows:
        table.add_row(*[row.get(name, "") for name in names])
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(FAMILIES), default="simcnn")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--candidates", type=int, default=2, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(options)
    print(f"{options.model} at {options.width:g} of its width, {options.images} images, torch {torch.__version__}")
    for name in options.only:
        show((PARTS[name].__doc__ or name).splitlines()[0], PARTS[name](bench))


if __name__ == "__main__":
    main()
