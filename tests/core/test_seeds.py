"""Random numbers of images: each its own, whatever the batch, and as even as they have to be."""

from __future__ import annotations

import torch

from src.core.seeds import drawn, uniform


def test_a_row_is_its_numbers_alone() -> None:
    numbers = torch.tensor([7, 0, 123456789])
    rows = drawn(numbers, 6, 3, "noise")
    assert torch.equal(drawn(numbers[1:], 6, 3, "noise"), rows[1:])
    assert torch.equal(drawn(numbers, 2, 3, "noise"), rows[:, :2])
    assert not torch.equal(drawn(numbers, 6, 4, "noise"), rows) and not torch.equal(drawn(numbers, 6, 3, "mask"), rows)


def test_the_mixing_is_the_published_one() -> None:
    """SplitMix64 from the state 1234567; the first two of its well-known outputs, as unsigned numbers."""
    from src.core.seeds import _STEP, _mixed

    made = _mixed(1234567 + _STEP * torch.arange(1, 3))
    assert [value % 2**64 for value in made.tolist()] == [6457827717110365317, 3203168211198807973]


def test_numbers_are_even_and_independent() -> None:
    made = uniform(torch.arange(2000), 64, 0, "x").double()
    assert made.min() >= 0 and made.max() < 1
    counts = torch.histc(made, 50, 0, 1)
    expected = made.numel() / 50
    assert float((counts - expected).square().sum() / expected) < 85.4  # 99.9% of chi-square with 49 degrees
    for one, other in ((made[:-1], made[1:]), (made[:, :-1], made[:, 1:])):
        paired = torch.stack([one.flatten(), other.flatten()])
        assert abs(float(torch.corrcoef(paired)[0, 1])) < 0.01


def test_every_bit_is_drawn_alike() -> None:
    rows = drawn(torch.arange(1000), 16, 1, "bits")
    shares = torch.stack([((rows >> bit) & 1).double().mean() for bit in range(64)])
    assert (shares - 0.5).abs().max() < 0.02
