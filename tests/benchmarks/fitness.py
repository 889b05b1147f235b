"""What cheaper answers cost a search for modules: racing and half precision, on trained networks and real images.

    python -m tests.benchmarks.fitness --seeds 6 --precision bf16 experiment=modularize outputs=FOLDER

The rest of the command line is of a job that searches modules, run once for each seed. The network, genes and images of
its search are taken: it searches with all images in float32, then with racing, then in the other precision, and what
the modules come to is judged on all images in float32. "Same order": in every generation of the first search its
candidates are also judged in the other precision. A processor without bf16 computes it in float32 and rounds weights
and maps after each layer: the same answers but for the order of the sums.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from scipy import stats
from torch import Tensor, nn

from src.artifacts import modules
from src.methods.modularity import judges
from src.methods.modularity.ensemble import tournament
from src.methods.modularity.evaluation import Evaluator, Judge, OneByOne
from src.methods.modularity.search import fitness_of_all, image_rungs, ranking, search
from src.methods.modularity.search_state import SearchState
from src.networks.slicing import SlicePlan
from src.networks.slicing.fused import FusedNetwork, LayerWeights
from src.networks.slicing.network import State
from src.run import run
from tests.benchmarks.search import Rows, show

RACES = ((0.25,), (0.25, 0.5))


class Comparison:
    """Collects what the jobs' searches come to; stands in for ``judge_for`` and ``search`` while they run."""

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self.asked: dict[str, Any] = {}
        self.outcomes: dict[str, list[tuple[float, float, float]]] = {}  # fitness, accuracy, share of images judged
        self.correlations: list[float] = []
        self.same_parents: list[float] = []

    def judge_for(self, *positional: Any, **named: Any) -> Any:
        self.asked = {"positional": positional, "named": named}
        return judges.judge_for(*positional, **named)

    def search(self, evaluate: Callable[[Tensor, int], Tensor], *positional: Any, **named: Any) -> SearchState:
        """The job's own search, and beside it the cheaper ones."""
        layout, order, sensitive, labels, weight, settings = positional
        if settings.racing:
            raise SystemExit("search.racing: leave it to this benchmark")
        settings = replace(settings, patience=None)
        generations: list[tuple[Tensor, Tensor]] = []

        def recorded(keep: Tensor, part: int) -> Tensor:
            generations.append((keep, evaluate(keep, part)))
            return generations[-1][1]

        exact = search(recorded, layout, order, sensitive, labels, weight, settings)
        full = sum(logits.numel() for _, logits in generations)
        states = {"all images, float32": (exact, 1.0)}
        for shares in RACES:
            seen, parts = image_rungs(labels, shares, settings.seed)
            judged = [0]

            def raced(keep: Tensor, part: int, seen: Any = seen, parts: Any = parts, judged: Any = judged) -> Tensor:
                logits = evaluate(keep, 0)[..., seen[parts[part]]]
                judged[0] += logits.numel()
                return logits

            chosen = replace(settings, racing=shares)
            state = search(raced, layout, order, sensitive, labels[seen], weight, chosen)
            states[f"racing over {list(shares)}"] = state, judged[0] / full
        if self.precision:
            other = Evaluator(rounding_judge(self.precision, *self.asked["positional"][2:], self.asked["named"]))

            def rounded(keep: Tensor, part: int) -> Tensor:
                of_row = [c for c in range(len(keep)) for _ in range(keep.shape[1])]
                return other.logits(keep.flatten(0, 1), of_row).unflatten(0, keep.shape[:2])

            for (keep, logits), generation in zip(generations, exact.history, strict=True):
                ranks = [
                    _fitness(answers, labels, keep, weight, generation.alpha, settings)
                    for answers in (logits, rounded(keep, 0))
                ]
                self.correlations += [float(stats.spearmanr(*rows).statistic) for rows in zip(*ranks, strict=True)]
                first, second = (ranking(rank)[:, : settings.parents] for rank in ranks)
                same = (first[:, :, None] == second[:, None]).any(2)
                self.same_parents.append(same.double().mean().item())
            states[f"all images, {self.precision}"] = search(
                rounded, layout, order, sensitive, labels, weight, settings
            ), 1.0  # fmt: skip
        for name, (state, share) in states.items():
            judged_again = evaluate(state.keep[:, None], 0)
            accuracy = (judged_again[:, 0].argmax(0) == labels).double().mean().item()
            difference = _difference(judged_again, labels, state.keep[:, None], weight, settings)
            value = settings.alpha * accuracy + (1 - settings.alpha) * difference
            self.outcomes.setdefault(name, []).append((value, accuracy, share))
        return search(evaluate, *positional, **named)

    def rows(self) -> Rows:
        """Against the first of the searches, paired by job."""
        exact, *_ = self.outcomes.values()
        table = []
        for name, outcomes in self.outcomes.items():
            differences = [100 * (a[0] - b[0]) for a, b in zip(outcomes, exact, strict=True)]
            table.append({
                "search": name, "fitness": f"{100 * _mean([a[0] for a in outcomes]):.2f}",
                "against all": "" if outcomes is exact else _interval(differences),
                "accuracy %": f"{100 * _mean([a[1] for a in outcomes]):.2f}",
                "images judged": f"{_mean([a[2] for a in outcomes]):.0%}", "jobs": str(len(outcomes)),
            })  # fmt: skip
        return table


class RoundedNetwork(FusedNetwork):
    """Computes in float32 what a processor with bf16 does: all weights and maps are rounded, sums are not."""

    def _typed(self, tensor: Tensor | None) -> Any:
        return None if tensor is None else tensor.detach().bfloat16().float()

    def start(self, images: Tensor) -> State:
        return super().start(images.bfloat16())

    def run(self, weights: Sequence[LayerWeights], state: State, start: int = 0, stop: int | None = None) -> State:
        for layer in range(start, len(self.layers) if stop is None else stop):
            present, remembered = super().run(weights, state, layer, layer + 1)
            state = present.bfloat16().float(), remembered.bfloat16().float()
        return state


def rounding_judge(precision: Any, model: nn.Module, plan: SlicePlan, images: Tensor, named: Any) -> Judge:
    """A judge in ``precision``, or in what stands for it on this processor."""
    if images.device.type == "cpu" and not judges.processor_has_bf16():
        return OneByOne(model, plan, images, runner=RoundedNetwork(model, plan), workers=named["workers"])
    way = "fused" if images.device.type == "cpu" else "folded"
    return judges.judge_for(way, precision, model, plan, images, workers=named["workers"])[0]  # type: ignore[arg-type]


def _fitness(logits: Tensor, labels: Tensor, keep: Tensor, weight: Tensor, alpha: float, settings: Any) -> Tensor:
    """(N, P), as the search ranks them."""
    return fitness_of_all(_judged(logits, labels, keep, weight, alpha, settings), logits, labels, settings)


def _difference(logits: Tensor, labels: Tensor, keep: Tensor, weight: Tensor, settings: Any) -> float:
    return _judged(logits, labels, keep, weight, settings.alpha, settings).difference[0].item()


def _judged(logits: Tensor, labels: Tensor, keep: Tensor, weight: Tensor, alpha: float, settings: Any) -> Any:
    return tournament(
        logits, labels, keep, weight, class_order=range(len(keep)), alpha=alpha, difference_weight=1 - settings.alpha,
        thresholds=settings.thresholds, minimum=settings.min_ensembles, maximum=settings.max_ensembles,
        keep_incumbent=False,
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _interval(differences: Sequence[float]) -> str:
    """Mean and 95% interval by Student's t."""
    mean = _mean(differences)
    if len(differences) < 2 or len(set(differences)) == 1:
        return f"{mean:+.2f}"
    low, high = stats.t.interval(0.95, len(differences) - 1, mean, stats.sem(differences))
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--precision", choices=("bf16", "tf32"), default="")
    options, command = parser.parse_known_args()
    comparison = Comparison(options.precision)
    with (
        patch.object(modules, "judge_for", comparison.judge_for),
        patch.object(modules, "search", comparison.search),
    ):
        for seed in range(options.seeds):
            run(*command, f"seed={seed}", "report=none", "logger=csv")
    show("What cheaper answers cost a search", comparison.rows())
    if comparison.correlations:
        ranks, parents = comparison.correlations, comparison.same_parents
        print(
            f"same order, {options.precision}: Spearman {_mean(ranks):.4f} (lowest of a class and generation "
            f"{min(ranks):.4f}), the same parents {_mean(parents):.1%} (lowest {min(parents):.1%})"
        )


if __name__ == "__main__":
    main()
