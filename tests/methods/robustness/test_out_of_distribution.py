from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from src.core.errors import UserError
from src.methods.robustness.out_of_distribution import auroc, false_positive_rate


def scores() -> tuple[torch.Tensor, torch.Tensor]:
    """With ties."""
    generator = torch.Generator().manual_seed(0)
    return (
        (torch.randn(300, generator=generator) + 1).mul(5).round(),
        torch.randn(200, generator=generator).mul(5).round(),
    )


def test_auroc_is_sklearns() -> None:
    known, unknown = scores()
    truth = [1] * 300 + [0] * 200
    assert auroc(known, unknown) == pytest.approx(roc_auc_score(truth, torch.cat([known, unknown]).numpy()))
    assert auroc(known, known) == 0.5


@pytest.mark.parametrize("recall", [0.5, 0.95, 1.0])
def test_false_positives_are_sklearns_first_point_of_that_recall(recall: float) -> None:
    known, unknown = scores()
    truth = [1] * 300 + [0] * 200
    false, true, _ = roc_curve(truth, torch.cat([known, unknown]).numpy(), drop_intermediate=False)
    assert false_positive_rate(known, unknown, recall=recall) == pytest.approx(false[true >= recall - 1e-9][0])


def test_by_hand() -> None:
    known, unknown = torch.tensor([0.9, 0.8, 0.7, 0.2]), torch.tensor([0.75, 0.1])
    assert auroc(known, unknown) == (2 + 2 + 1 + 1) / 8
    assert false_positive_rate(known, unknown, recall=0.75) == 0.5
    assert false_positive_rate(known, unknown, recall=0.5) == 0.0


def test_what_cannot_be_judged_is_refused() -> None:
    some = torch.ones(3)
    with pytest.raises(UserError, match="scores of unknown images"):
        auroc(some, torch.empty(0))
    with pytest.raises(UserError, match="scores of known images"):
        false_positive_rate(torch.tensor([1.0, torch.nan]), some)
    with pytest.raises(UserError, match=r"recall=0: give a share above 0"):
        false_positive_rate(some, some, recall=0)
