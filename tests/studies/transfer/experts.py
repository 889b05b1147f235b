"""Two made up experts: their accuracies do not vary over images, so that intervals are over experts alone."""

from __future__ import annotations

import torch

from src.artifacts.changed_networks import Spent
from src.core.estimate import Estimate
from src.statistics.bootstrap import Resampled
from src.studies.transfer.few_images import SCRATCH, WARM, ExpertFindings, Start, TargetFindings, target_findings
from src.studies.transfer.tree import ArrangedFindings, TreeFindings


def constant(value: float) -> Resampled:
    return Resampled(value, torch.full((50,), value, dtype=torch.float64))


def on_target() -> TargetFindings:
    first: dict[tuple[Start, int], float] = {(WARM, 4): 0.9, (SCRATCH, 4): 0.5, (WARM, 8): 0.9, (SCRATCH, 8): 0.8}
    second: dict[tuple[Start, int], float] = {(WARM, 4): 0.7, (SCRATCH, 4): 0.5, (WARM, 8): 0.7, (SCRATCH, 8): 0.8}
    experts = [
        ExpertFindings(
            name, chance, 30, constant(0.95), constant(zero), {key: constant(value) for key, value in few.items()}
        )
        for name, chance, zero, few in (("a", 0.5, 0.6, first), ("b", 0.25, 0.4, second))
    ]
    return target_findings(experts, [4, 8], seed=0)


def both_trees() -> TreeFindings:
    def accuracy(value: float) -> Estimate:
        return Estimate(value, value - 0.1, value + 0.1, 100, "images")

    whole, routers = Spent(900, 90, 9 * 10**9, 1.0, 90), Spent(300, 30, 3 * 10**9, 1.0, 30)
    return TreeFindings(
        {
            "source": ArrangedFindings(accuracy(0.5), accuracy(-0.25), 5, 0, 5, whole),
            "moved": ArrangedFindings(accuracy(0.625), accuracy(-0.125), 7, 4, 3, routers),
            "anew": ArrangedFindings(accuracy(0.75), accuracy(0.0), 7, 0, 7, whole),
        },
        0.625,
    )
