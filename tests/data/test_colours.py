from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from src.data.colours import colour_components, draw_colours, shift_colours


def images(count: int = 60) -> Tensor:
    """Colours that vary most along (2, 1, 0)."""
    generator = torch.Generator().manual_seed(0)
    along = torch.randn(count, 1, 8, 8, generator=generator) * torch.tensor([2.0, 1.0, 0.0]).view(1, 3, 1, 1)
    noise = torch.randn(count, 3, 8, 8, generator=generator)
    return (100 + 15 * along + 3 * noise).round().clamp(0, 255).to(torch.uint8)


def test_components_are_the_principal_ones_of_all_pixels() -> None:
    some = images()
    found = colour_components(some)
    pixels = some.permute(1, 0, 2, 3).reshape(3, -1).numpy().astype(np.float64)
    np.testing.assert_allclose((found.T @ found).numpy(), np.cov(pixels, bias=True), atol=1e-3)
    lengths = found.norm(dim=1)
    assert torch.equal(lengths, lengths.sort().values)
    for first in range(3):
        for second in range(first):
            assert abs(float(found[first] @ found[second])) < 1e-2, "they are at right angles"
    direction = (found[2] / found[2].norm()).abs()
    torch.testing.assert_close(direction, torch.tensor([2.0, 1.0, 0.0]) / 5**0.5, atol=0.02, rtol=0)


def test_each_image_gets_one_colour_of_its_own() -> None:
    some = images(4).contiguous(memory_format=torch.channels_last)
    components = torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0], [5.0, 10.0, 200.0]])
    shares = torch.tensor([[0.0, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.3, 0.0, -1.0]])
    made = shift_colours(some, shares, components)
    for number, shift in enumerate(([0, 0, 0], [2, 3, 0], [5, 10, 200], [-5, -10, -200])):  # -4.7 is rounded
        expected = (some[number].int() + torch.tensor(shift).view(3, 1, 1)).clamp(0, 255)
        assert torch.equal(made[number].int(), expected)
    assert made.dtype == torch.uint8 and made.is_contiguous(memory_format=torch.channels_last)


def test_draws_are_normal_and_a_pure_function_of_the_moment() -> None:
    drawn = draw_colours(4000, 3, 0.1, seed=1, epoch=2, step=3)
    torch.testing.assert_close(drawn.std(0), torch.full((3,), 0.1), atol=0.005, rtol=0)
    torch.testing.assert_close(drawn.mean(0), torch.zeros(3), atol=0.01, rtol=0)
    assert torch.equal(drawn, draw_colours(4000, 3, 0.1, seed=1, epoch=2, step=3))
    for change in ({"seed": 0}, {"epoch": 0}, {"step": 0}):
        assert not torch.equal(drawn, draw_colours(4000, 3, 0.1, **({"seed": 1, "epoch": 2, "step": 3} | change)))
