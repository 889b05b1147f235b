"""Copies of the image, the largest over them, and the symmetry that follows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from src.core.errors import UserError
from src.networks.models import build
from src.networks.models.ti_pooling import CopyMax, RotatedCopies
from tests.networks.models.presets import architecture

EIGHT = [0, 45, 90, 135, 180, 225, 270, 315]


def network(shape: list[int], seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build(architecture("ti_pooling", shape, classes=4, **{"width": 0.25, **options}))


def test_copies_of_an_image_follow_each_other_and_quarter_turns_are_exact() -> None:
    images = torch.randn(3, 2, 5, 5)
    made = RotatedCopies([0, 90, 180, -90], 5)(images).view(3, 4, 2, 5, 5)
    for turn in range(4):
        assert torch.equal(made[:, turn], torch.rot90(images, turn, (2, 3)))


def test_other_angles_are_turned_as_torchvision_does() -> None:
    images, angles = torch.randn(2, 3, 14, 14), [30, 120, -50.0, 352.5]
    made = RotatedCopies(angles, 14)(images).view(2, 4, 3, 14, 14)
    places = torch.arange(14) - 6.5
    inside = places[:, None].square() + places.square() < 6**2
    for copy, angle in enumerate(angles):
        expected = rotate(images, angle, InterpolationMode.BILINEAR)
        assert torch.allclose(made[:, copy][..., inside], expected[..., inside], atol=1e-4), angle


def test_the_largest_is_over_the_copies_of_one_image() -> None:
    x = torch.randn(6, 2, 4, 4, requires_grad=True)
    made = CopyMax(3)(x)
    assert torch.equal(made, torch.stack([x[:3].max(0).values, x[3:].max(0).values]))
    equal = torch.ones(4, 1, requires_grad=True)
    CopyMax(4)(equal).sum().backward()
    assert equal.grad is not None and equal.grad.flatten().tolist() == [0.25] * 4


@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_equals_the_network_written_out(batch_norm: bool) -> None:
    model = network([3, 12, 12], angles=[0, 90, 180], batch_norm=batch_norm).eval()
    steps = dict(model.named_children())
    names = list(steps)
    trunk = nn.Sequential(*(steps[name] for name in names[1 : names.index("ti")]))
    head = nn.Sequential(*(steps[name] for name in names[names.index("ti") + 1 :]))
    images = torch.randn(2, 3, 12, 12)
    features = torch.stack([trunk(torch.rot90(images, turn, (2, 3))) for turn in range(3)])
    assert torch.allclose(model(images), head(features.max(0).values.flatten(1)), atol=1e-5)
    plain = build(architecture("simple_conv", [3, 12, 12], batch_norm=batch_norm))
    assert [*names[1 : names.index("ti")], *names[names.index("ti") + 1 :]] == [n for n, _ in plain.named_children()]


@pytest.mark.parametrize("angles", [[0, 90, 180, 270], [270, 0, 180, 90], EIGHT, [10, 100, 190, 280]])
@pytest.mark.parametrize("shape", [[1, 28, 28], [3, 17, 17]])
def test_quarter_turns_change_nothing(angles: list[float], shape: list[int]) -> None:
    model = network(shape, angles=angles, width=0.125).double().eval()
    images = torch.randn(2, *shape, dtype=torch.float64)
    for turn in range(1, 4):
        assert torch.allclose(model(torch.rot90(images, turn, (2, 3))), model(images), atol=1e-12)


@torch.no_grad()
def test_without_the_whole_group_a_turn_changes_the_logits() -> None:
    for angles in ([0], [0, 90], [0, 45, 180, 270]):
        model = network([1, 12, 12], angles=angles).eval()
        images = torch.randn(4, 1, 12, 12)
        assert float((model(torch.rot90(images, 1, (2, 3))) - model(images)).abs().max()) > 1e-3


def test_in_single_precision_features_are_equal_to_the_bit() -> None:
    """The copies are the same images, and a maximum does not ask for their order."""
    model = network([1, 28, 28]).eval()
    assert isinstance(model, nn.Sequential)
    until = [name for name, _ in model.named_children()].index("ti") + 1
    images = torch.randn(3, 1, 28, 28)
    for turn in range(1, 4):
        assert torch.equal(model[:until](torch.rot90(images, turn, (2, 3))), model[:until](images))


def test_gradients_reach_every_weight() -> None:
    model = network([1, 12, 12], angles=EIGHT, pool="blur")
    nn.functional.cross_entropy(model(torch.randn(6, 1, 12, 12)), torch.arange(6) % 4).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


def test_turning_needs_no_weights_in_the_checkpoint() -> None:
    assert network([1, 8, 8], angles=EIGHT).state_dict().keys() == network([1, 8, 8]).state_dict().keys()


def test_equal_seeds_give_equal_networks() -> None:
    images = torch.randn(2, 1, 8, 8)
    one, other = (network([1, 8, 8], seed=3)(images) for _ in range(2))
    assert torch.equal(one, other) and not torch.equal(one, network([1, 8, 8], seed=4)(images))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"angles": []}, r"model\.angles=\[\]: allowed is a list of degrees, such as \[0, 90\]"),
        ({"angles": 4}, r"model\.angles=4: allowed is a list of degrees"),
        ({"angles": [0, "up"]}, r"model\.angles=\[0, 'up'\]"),
        ({"angles": [0, float("nan")]}, r"model\.angles=\[0, nan\]"),
        ({"angles": [0, 90, 360]}, "two are the same turn"),
        ({"input_shape": [1, 28, 30]}, "give square images"),
        ({"input_shape": [1, 2, 2]}, "ti_pooling pools 2 times and needs images of at least 4x4"),
        ({"hidden": 0}, r"model\.hidden=0"),
    ],
)
def test_mistakes_end_in_one_line(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        build(architecture("ti_pooling", [1, 28, 28]) | change)
    assert "\n" not in str(caught.value)
