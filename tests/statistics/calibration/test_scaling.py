"""Platt scaling is the logistic regression it claims to be."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from src.statistics.calibration import Platt, class_weights, fit_platt, fit_temperature


def data(n: int = 400, gap: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    positive = torch.rand(n, generator=generator) < 0.2
    return 30 + 8 * (torch.randn(n, generator=generator) + gap * positive), positive


@pytest.mark.parametrize("balanced", [False, True])
def test_it_equals_sklearn(balanced: bool) -> None:
    scores, positive = data()
    k, m = int(positive.sum()), int((~positive).sum())
    soft = np.where(positive, (k + 1) / (k + 2), 1 / (m + 2))
    weight = np.where(positive, (k + m) / (2 * k), (k + m) / (2 * m)) if balanced else np.ones(k + m)
    # A soft target is the image twice, once with each label.
    x = np.concatenate([scores.numpy()] * 2)[:, None].astype(float)
    y = np.repeat([1, 0], k + m)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit(x - 30, y, sample_weight=np.concatenate([weight * soft, weight * (1 - soft)]))
    found = fit_platt(scores, positive, weight=class_weights(positive.long(), 2) if balanced else None)
    assert found.slope == pytest.approx(model.coef_[0, 0], rel=1e-4)
    expected = model.predict_proba(x[: k + m] - 30)[:, 1]
    assert torch.allclose(found(scores), torch.from_numpy(expected), atol=1e-4)


def test_probabilities_have_the_right_mean() -> None:
    scores, positive = data()
    assert fit_platt(scores, positive)(scores).mean().item() == pytest.approx(positive.double().mean().item(), abs=0.01)
    balanced = fit_platt(scores, positive, weight=class_weights(positive.long(), 2))(scores)
    halves = (balanced[positive].mean() + balanced[~positive].mean()) / 2
    assert halves.item() == pytest.approx(0.5, abs=0.01)


def test_separable_scores_stay_finite() -> None:
    scores = torch.cat([torch.linspace(-1e4, -9e3, 50), torch.linspace(9e3, 1e4, 20)])
    positive = scores > 0
    found = fit_platt(scores, positive)
    probabilities = found(scores)
    assert 0 < found.slope < 1 and probabilities[positive].min() > 0.9 and probabilities[~positive].max() < 0.1
    assert found == fit_platt(scores, positive)
    gap = fit_platt(torch.tensor([0.0, 1.0]), torch.tensor([False, True]))
    assert gap(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([1 / 3, 2 / 3], abs=1e-6)  # Platt's targets


def test_order_turns_with_the_classes_and_constant_scores_say_the_share() -> None:
    scores, positive = data()
    assert fit_platt(-scores, positive).slope == pytest.approx(-fit_platt(scores, positive).slope, rel=1e-6)
    flat = fit_platt(torch.full((10,), 3.0), torch.arange(10) < 3)
    assert flat.slope == 0 and flat(torch.zeros(1)).item() == pytest.approx((3 * 4 / 5 + 7 / 9) / 10)
    assert Platt(2.0, -1.0)(torch.tensor([0.5])).tolist() == [0.5]


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        fit_platt(torch.randn(5), torch.ones(5).bool())
    with pytest.raises(ValueError, match="NaN"):
        fit_platt(torch.tensor([0.0, torch.nan]), torch.tensor([True, False]))


def test_class_weights_let_every_class_count_alike() -> None:
    labels = torch.tensor([0, 0, 0, 0, 2, 2, 3])
    weights = class_weights(labels, 5)  # classes 1 and 4 have no image
    assert weights.dtype == torch.float64
    sums = [weights[labels == k].sum().item() for k in (0, 2, 3)]
    assert sums == pytest.approx([7 / 3] * 3)
    assert weights[0].item() == pytest.approx(7 / 12) and weights.sum().item() == pytest.approx(7)
    assert torch.equal(class_weights(torch.arange(6) % 3, 3), torch.ones(6, dtype=torch.float64))


def logits_of(scale: float, n: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels drawn from the softmax of some logits, which are then multiplied by ``scale``."""
    generator = torch.Generator().manual_seed(1)
    true = 2 * torch.randn(n, 4, generator=generator)
    return scale * true, torch.multinomial(true.softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_temperature_is_the_best_of_a_fine_grid(scale: float, weighted: bool) -> None:
    logits, labels = logits_of(scale)
    weight = torch.linspace(0, 5, len(labels)) if weighted else None
    grid = scale * torch.logspace(-0.5, 0.5, 2001, dtype=torch.float64)
    scaled = (logits.double() / grid[:, None, None]).log_softmax(2)  # (t, n, N)
    losses = -scaled[:, torch.arange(len(labels)), labels] * (1.0 if weight is None else weight)
    best = grid[losses.sum(1).argmin()]
    found = fit_temperature(logits, labels, weight=weight)
    assert found == pytest.approx(best.item(), rel=2e-3)
    assert found == pytest.approx(scale, rel=0.35), "the labels were drawn at that temperature"


def test_a_temperature_has_bounds_and_ignores_the_weights_size() -> None:
    logits, labels = logits_of(1.0)
    weight = torch.rand(len(labels), generator=torch.Generator().manual_seed(0))
    assert fit_temperature(logits, labels, weight=weight) == pytest.approx(
        fit_temperature(logits, labels, weight=1000 * weight)
    )
    right = 5.0 * torch.eye(3)
    surest = fit_temperature(right, torch.arange(3))  # ever surer is ever better, until no double tells it any more
    assert 0.01 <= surest < 1 and (right / surest).softmax(1).diagonal().min() > 1 - 1e-6
    assert fit_temperature(right, torch.tensor([1, 2, 0])) == pytest.approx(100.0)  # ever less sure is


def test_a_shift_of_an_images_logits_changes_no_temperature() -> None:
    logits, labels = logits_of(1.0)
    moved = logits + 1000 * torch.arange(len(labels))[:, None] / len(labels)
    assert fit_temperature(moved, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-3)


def test_classes_without_probability():
    logits, labels = logits_of(1.0)
    impossible = torch.zeros_like(logits, dtype=torch.bool)
    impossible[:150, 3] = labels[:150] != 3
    cut = logits.masked_fill(impossible, -torch.inf)
    grid = torch.logspace(-0.5, 0.5, 2001, dtype=torch.float64)
    losses = -(cut.double() / grid[:, None, None]).log_softmax(2)[:, torch.arange(len(labels)), labels]
    found = fit_temperature(cut, labels)
    assert found == pytest.approx(grid[losses.sum(1).argmin()].item(), rel=2e-3)
    wrong = torch.cat([cut, torch.tensor([[0.0, 0, 0, -torch.inf]])])
    assert fit_temperature(wrong, torch.cat([labels, torch.tensor([3])])) == pytest.approx(found)
    assert fit_temperature(wrong[-1:], torch.tensor([3])) == 1.0
