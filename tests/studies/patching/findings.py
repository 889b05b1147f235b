"""Findings of two made up modules and of a made up patch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from src.artifacts.trial import BIAS, PATCHED, WEAK
from src.core.estimate import Estimate
from src.methods.modularity.patch_metrics import Comparison
from src.methods.modularity.search_state import Generation
from src.methods.modularity.sensitivity import SensitivityCurves
from src.networks.cost import Cost
from src.studies.patching.module_findings import Favourites, ModuleFindings
from src.studies.patching.patch_findings import Changed, PatchFindings, TargetFindings


def interval(value: float, low: float | None = None) -> Estimate:
    return Estimate(value, value - 0.125 if low is None else low, value + 0.125, 40, "images")


def two_modules() -> ModuleFindings:
    return ModuleFindings(
        classes=("disc", "ring"),
        layers=("first", "second"),
        accuracy={"strong": interval(0.75), "calibrated": interval(0.625), "raw": interval(0.5)},
        against_strong={"strong": interval(0.0), "calibrated": interval(-0.125), "raw": interval(-0.25)},
        kernels=torch.tensor([4, 6]),
        all_kernels=8,
        kernels_retained=torch.tensor([0.5, 0.75]),
        costs=[Cost(100, 1000), Cost(200, 3000)],
        strong_cost=Cost(400, 4000),
        auc=torch.tensor([0.875, 1.0], dtype=torch.float64),
        auc_logit=torch.tensor([0.5, 1.0], dtype=torch.float64),
        recall_strong=torch.tensor([1.0, 0.5], dtype=torch.float64),
        recall_composed=torch.tensor([0.75, 0.5], dtype=torch.float64),
        evaluator="native",
        search=[
            Generation(0, 0.5, 0.25, 0.125, 0.4, 0.9, 0.75, 0.7, 8, True),
            Generation(1, 0.75, 0.5, 0.25, 0.6, 0.9, 0.625, 0.6, 4, True),
        ],
        curves=SensitivityCurves(torch.tensor([[0.25, 0.5], [0.75, 1.0]], dtype=torch.float64), (0.5, 0.75), 1.0),
        sensitive=torch.tensor([True, False]),
        sensitivity_note="the first layer is sensitive",
        kept_kernels=torch.tensor([[0.5, 0.25], [1.0, 0.75]], dtype=torch.float64),
        differences=torch.tensor([[0.0, 0.5], [0.5, 0.0]]),
        favourites=Favourites(
            of="disc",
            layer="second",
            kernels=torch.tensor([3, 0]),
            kept=torch.tensor([True, False]),
            images=torch.zeros(2, 2, 3, 4, 4, dtype=torch.uint8),
            labels=torch.tensor([[0, 0], [1, 0]]),
            filters=torch.linspace(-1, 1, 54).view(2, 3, 3, 3),
            filters_kept=torch.tensor([False, True]),
        ),
    )


def target(name: str, gain_low: float, lost: float) -> TargetFindings:
    """A patch that gains 0.25 of F1 over the tuned bias, not below ``gain_low``, and loses ``lost`` on the others."""

    def metrics(f1: Estimate, accuracy: Estimate) -> dict[str, Estimate]:
        return {"precision": f1, "recall": f1, "f1": f1, "other_accuracy": accuracy}

    f1 = {WEAK: 0.25, PATCHED: 0.75, BIAS: 0.5}
    estimates = {method: metrics(interval(value), interval(0.5)) for method, value in f1.items()}

    def gains(reference: str) -> dict[str, dict[str, Estimate]]:
        return {
            method: metrics(
                interval(value - f1[reference], gain_low if method == PATCHED else None),
                interval(-lost if method == PATCHED else 0.0),
            )
            for method, value in f1.items()
        }

    return TargetFindings(name, Comparison(estimates, gains(WEAK)), Comparison(estimates, gains(BIAS)))


def patch(targets: Sequence[TargetFindings], mended: int = 2) -> PatchFindings:
    return PatchFindings(
        targets=targets,
        images=40,
        target_images=10,
        trained_on=6,
        labelled=9,
        draws=3,
        weak_macs=1_000_000,
        module_macs=500_000,
        strong_macs=4_000_000,
        mended=changed(mended),
        broken=changed(0),
        before=torch.tensor([[3, 1], [2, 2]]),
        after=torch.tensor([[4, 0], [0, 4]]),
        classes=("ring", "disc"),
    )


def changed(count: int) -> Changed:
    """Images that were called rings and are called discs."""
    images = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
    return Changed(count, images, torch.zeros(count, dtype=torch.int64), torch.ones(count, dtype=torch.int64))
