"""A patch on a page, and its sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from src.core.result import Result, rows
from src.studies.patching.patch_panels import patch_panels, patch_verdict
from tests.studies.patching.findings import interval, patch, target, two_modules


def test_one_target_has_no_column() -> None:
    result = Result("patch", "test")
    result.add(*patch_panels(patch([target("disc", 0.125, 0.0)])))
    weak, patched, bias = rows(result.tables["patch"])
    assert "target" not in weak and (weak["method"], weak["labelled"], patched["labelled"]) == ("weak", 6, 9)
    assert (patched["f1"], patched["f1_low"], patched["f1_gain"], patched["f1_gain_low"]) == (0.75, 0.625, 0.25, 0.125)
    assert bias["f1_gain"] == 0
    assert "with its module 1.00 M + 0.50 M multiply-adds, the strong network 4.00 M." in (result.captions["patch"])
    assert list(result.images) == ["mended"]  # nothing was broken
    mended = next(figure for figure in result.figures if figure.table == "mended")
    assert mended.caption.startswith("2 of 40 test images; 2 of them are shown.")
    assert mended.labels == ("ring → disc",) * 2
    confusion, after = rows(result.tables["confusion"]), result.figures[-1]
    assert confusion[2] == {"class": "disc", "answer": "ring", "before": 0.5, "after": 0.0}
    assert after.caption == "Share of each class's test images with each answer."


def test_images_that_are_still_missed_have_a_reason() -> None:
    findings = replace(patch([target("disc", 0.125, 0.0)]), after=torch.tensor([[4, 0], [1, 3]]))
    after = list(patch_panels(findings))[-1].figures[-1]
    assert "1 of 4 images of 'disc' are still missed, 1 of them for 'ring'" in after.caption


def test_several_targets_have_rows_and_metrics_of_their_own() -> None:
    findings = patch([target("disc", 0.125, 0.0), target("ring", -0.125, 0.0)])
    table = next(iter(patch_panels(findings)))
    assert [row["target"] for row in table.rows] == ["disc"] * 3 + ["ring"] * 3
    verdict = patch_verdict(findings, two_modules())
    assert verdict.kind == "no success"
    assert verdict.sentence.startswith(
        "Patching helps 'disc': its F1 is 25.0% by the weak network, 50.0% with a tuned bias, and 75.0% with the "
        "patch, +25.0 [+12.5, +37.5] points over the tuned bias; accuracy on the other classes -0.0 points. Patching "
        "does not help 'ring' (its gain may be chance): its F1"
    )
    assert verdict.metrics["ring/f1_patched"] == interval(0.75)
    assert verdict.metrics["ring/f1_gain_over_tuned_bias"] == interval(0.25, -0.125)


@pytest.mark.parametrize(
    ("gain_low", "lost", "said"),
    [
        (0.1, 0.01, "helps 'disc': its"),
        (0.1, 0.011, "does not help 'disc' (the other classes lose more than 1%): its"),
        (0.0, 0.0, "does not help 'disc' (its gain may be chance): its"),
        (-0.1, 0.2, "does not help 'disc' (its gain may be chance and the other classes lose more than 1%): its"),
    ],
)
def test_a_patch_that_does_not_help_says_why(gain_low: float, lost: float, said: str) -> None:
    verdict = patch_verdict(patch([target("disc", gain_low, lost)]), two_modules())
    assert verdict.sentence.startswith(f"Patching {said}")


def test_one_targets_metrics_have_plain_names() -> None:
    verdict = patch_verdict(patch([target("disc", 0.125, 0.0)]), two_modules())
    assert verdict.kind == "success" and verdict.metrics["f1_weak"] == interval(0.25)
    assert verdict.metrics["auc"].value == pytest.approx(0.9375)
    assert verdict.metrics.keys() == verdict.units.keys()
