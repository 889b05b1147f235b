"""A fitted temperature is the best one."""

import pytest
import torch

from src.statistics.calibration import fit_temperature


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
