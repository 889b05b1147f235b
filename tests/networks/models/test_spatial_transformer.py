"""Resampling against torchvision's rotation, the identity at the start, and gradients to where the network looks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from src.core.errors import UserError
from src.networks.models import build
from src.networks.models.spatial_transformer import Resample, SpatialTransformer, resampled, rotations
from tests.networks.models.presets import architecture


def network(shape: list[int], seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build(architecture("spatial_transformer", shape, classes=4, **{"width": 0.25, **options}))


@pytest.mark.parametrize("size", [(12, 12), (9, 14)])
@pytest.mark.parametrize("degrees", [0.0, 30.0, -75.0])
def test_turns_as_torchvision_does(size: tuple[int, int], degrees: float) -> None:
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    maps = rotations(torch.full((2,), math.radians(degrees), dtype=torch.float64), *size)
    expected = rotate(images, degrees, InterpolationMode.BILINEAR)
    rows, columns = torch.meshgrid(*(torch.arange(side) - (side - 1) / 2 for side in size), indexing="ij")
    inside = rows.square() + columns.square() < (min(size) / 2 - 1) ** 2  # what comes from within the image
    assert torch.allclose(resampled(images, maps)[..., inside], expected[..., inside], atol=1e-6)


def test_quarter_turns_and_half_turns_are_exact() -> None:
    square, wide = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.randn(2, 1, 6, 9, dtype=torch.float64)
    quarter, half = (torch.full((2,), angle, dtype=torch.float64) for angle in (math.pi / 2, math.pi))
    assert torch.allclose(resampled(square, rotations(quarter, 8, 8)), torch.rot90(square, 1, (2, 3)), atol=1e-12)
    assert torch.allclose(resampled(wide, rotations(half, 6, 9)), torch.rot90(wide, 2, (2, 3)), atol=1e-12)


def test_a_shift_goes_on_at_the_border_as_the_border() -> None:
    images = torch.randn(1, 2, 5, 8)
    answers = torch.tensor([[1.0, 0, 2 * 3 / 8, 0, 1, -2 * 1 / 5]])  # from three columns further right, one row up
    made = Resample("affine", 5, 8)(images, answers)
    rows, columns = [0, 0, 1, 2, 3], [3, 4, 5, 6, 7, 7, 7, 7]
    assert torch.allclose(made, images[:, :, rows][..., columns], atol=1e-5)


@pytest.mark.parametrize("freedom", ["affine", "rotation"])
@pytest.mark.parametrize("shape", [[1, 28, 28], [3, 32, 32], [2, 12, 17]])
def test_it_begins_with_the_identity(freedom: str, shape: list[int]) -> None:
    model = network(shape, freedom=freedom).eval()
    images = torch.randn(3, *shape)
    steps = dict(model.named_children())
    transformer = steps.pop("stn")
    assert isinstance(transformer, SpatialTransformer)
    assert torch.allclose(transformer(images), images, atol=1e-5)
    assert list(steps) == [name for name, _ in build(architecture("simple_conv", shape)).named_children()]
    assert torch.allclose(model(images), nn.Sequential(*steps.values())(images), atol=1e-4)


@pytest.mark.parametrize("freedom", ["affine", "rotation"])
def test_gradients_reach_where_the_network_looks(freedom: str) -> None:
    model = network([1, 12, 12], freedom=freedom)
    images, labels = torch.randn(6, 1, 12, 12), torch.arange(6) % 4
    nn.functional.cross_entropy(model(images), labels).backward()
    last = model.get_parameter("stn.localisation.fc2.weight")
    assert last.grad is not None and bool(last.grad.any())
    model.get_parameter("stn.localisation.fc2.weight").data.normal_(0.0, 0.1)
    model.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


def test_each_image_is_resampled_by_its_own_answer() -> None:
    torch.manual_seed(0)
    transformer = SpatialTransformer([1, 8, 8], 4, "rotation")
    images = torch.randn(2, 1, 8, 8)
    answers = torch.tensor([[0.0], [math.pi / 2]])
    made = transformer.resample(images, answers)
    assert torch.allclose(made[0], images[0], atol=1e-5)
    assert torch.allclose(made[1], torch.rot90(images[1], 1, (1, 2)), atol=1e-5)


def test_width_scales_the_localisation_network() -> None:
    for width, kernels in ((1.0, 20), (0.25, 5), (0.01, 1)):
        model = network([1, 28, 28], width=width)
        assert model.get_parameter("stn.localisation.c1.weight").shape == (kernels, 1, 5, 5)
        assert model.get_parameter("stn.localisation.fc2.weight").shape == (6, kernels)


def test_equal_seeds_give_equal_networks() -> None:
    images = torch.randn(2, 1, 8, 8)
    one, other = (network([1, 8, 8], seed=3)(images) for _ in range(2))
    assert torch.equal(one, other) and not torch.equal(one, network([1, 8, 8], seed=4)(images))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"freedom": "rotations"}, "did you mean 'rotation'"),
        ({"localisation": 0}, r"model\.localisation=0"),
        ({"kernels": -1}, r"model\.kernels=-1"),
        ({"pool": "median"}, r"model\.pool=median"),
        ({"input_shape": [1, 3, 3], "pools": []}, "the localisation network of spatial_transformer pools 2 times"),
        ({"input_shape": [1, 3, 3]}, r"needs images of at least 4x4"),
    ],
)
def test_mistakes_end_in_one_line(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        build(architecture("spatial_transformer", [1, 28, 28]) | change)
    assert "\n" not in str(caught.value)
