"""Spreads over transformations and images against every activation kept and measured plainly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.methods.invariance.passes import Examination, Setup
from src.methods.invariance.ratio import mean_of_finite
from src.methods.invariance.variance import Variances, variances
from src.networks.activations import evaluating, layers_of, recording
from tests.methods.invariance.sets import Rotations, network, photos


def everything(model: nn.Module, images: Tensor, transformations: Rotations) -> dict[str, Tensor]:
    """Every activation (S, T, ...) in float64."""
    found: dict[str, Tensor] = {}
    flat = transformations(images.double() / 255).flatten(0, 1)
    double = network().double()
    double.load_state_dict(model.state_dict())
    keep = lambda name, _, map_: found.__setitem__(name, map_.clone())  # noqa: E731
    with torch.no_grad(), evaluating(double), recording(double, keep):
        double(flat)
    return {name: map_.unflatten(0, (len(images), len(transformations))) for name, map_ in found.items()}


def plain_ratio(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    spread, sample = values.std(1).mean(0), values.std(0).mean(0)
    return spread, sample, spread / sample


def measured(images: Tensor, labels: Tensor | None = None, model: nn.Module | None = None, **setup: Any) -> Variances:
    model = network() if model is None else model
    return variances(Examination(model, images, Rotations(), setup=Setup(**setup)), labels)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-9)])
@pytest.mark.parametrize("before", ["none", "sum", "mean", "max"])
def test_every_unit_of_every_layer(dtype: torch.dtype, tolerance: float, before: str) -> None:
    images = photos()
    model = network()
    model(torch.rand(20, 3, 8, 8))  # statistics of the norm that are not the initial ones
    kept = everything(model, images, Rotations())
    found = measured(images, model=model, before=before, dtype=dtype)
    assert [each.layer.name for each in found.layers] == ["0", "1", "2", "3", "4", "5", "7"] == list(kept)
    for each in found.layers:
        values = kept[each.layer.name]
        if before != "none" and values.ndim == 5:
            values = values.amax((3, 4)) if before == "max" else values.sum((3, 4))
            values = values / (each.layer.shape[1] ** 2 if before == "mean" else 1)
        spread, sample, ratio = plain_ratio(values)
        torch.testing.assert_close(each.ratio.transformation, spread, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(each.ratio.sample, sample, atol=tolerance, rtol=tolerance)
        finite = each.ratio.values.isfinite()
        torch.testing.assert_close(each.ratio.values[finite], ratio[finite], atol=10 * tolerance, rtol=10 * tolerance)
        assert each.kept.shape == (12, 4, min(32, values[0, 0].numel()))


def test_averages_after_the_statistics_are_of_the_spreads() -> None:
    images = photos()
    kept = everything(network(), images, Rotations())
    for each in measured(images, after="mean", dtype=torch.float64).layers:
        spread, sample, _ = plain_ratio(kept[each.layer.name])
        if spread.ndim == 3:
            spread, sample = spread.mean((1, 2)), sample.mean((1, 2))
        torch.testing.assert_close(each.ratio.values, spread / sample, atol=1e-9, rtol=1e-9, equal_nan=True)


def test_within_classes() -> None:
    images, labels = photos(15), torch.tensor([2, 0, 0, 2, 5, 5, 0, 2, 5, 5, 0, 5, 2, 0, 2])
    kept = everything(network(), images, Rotations())
    found = measured(images, labels, dtype=torch.float64)
    for each in found.layers:
        values = kept[each.layer.name]
        own = torch.stack([plain_ratio(values[labels == label])[2] for label in (0, 2, 5)])
        mean = own.nanmean(0)
        assert each.stratified is not None
        torch.testing.assert_close(each.stratified, mean, atol=1e-9, rtol=1e-9, equal_nan=True)
        plain = plain_ratio(values)[2]
        torch.testing.assert_close(each.ratio.values, plain, atol=1e-9, rtol=1e-9, equal_nan=True)
        # units are drawn in any order, but images keep theirs
        spread = each.kept.double().std(1).mean(0)
        assert all(bool((plain_ratio(values)[0] - value).abs().min() < 1e-6) for value in spread)
    last = found.layers[-1].class_units
    assert last is not None and last.shape == (3, 5) and found.layers[0].class_units is None


def test_within_classes_there_is_less_spread_over_images() -> None:
    """Stratified lies above: what differs between classes is not in its denominator."""
    labels = torch.arange(30) % 3
    images = (photos(30) // 4 + (labels * 60).to(torch.uint8)[:, None, None, None]).to(torch.uint8)
    found = measured(images, labels)
    assert all(mean_of_finite(each.ratios(stratified=True)) > each.ratio.mean for each in found.layers)
    assert found.over_layers(stratified=True) > found.over_layers()
    assert found.over_units(stratified=True) > found.over_units()


@pytest.mark.parametrize("change", [{"batch": 4}, {"batch": 12}, {"batch": 1000}, {"memory_gb": 0.0006}])
def test_chunks_and_groups_change_nothing(change: dict[str, Any]) -> None:
    images, labels = photos(14), torch.arange(14) % 2
    setup: dict[str, Any] = {"dtype": torch.float64}
    one, other = measured(images, labels, **setup), measured(images, labels, **setup, **change)
    assert one.groups == 1 and (other.groups > 1) == ("memory_gb" in change)
    for each, same in zip(one.layers, other.layers, strict=True):
        torch.testing.assert_close(each.ratio.values, same.ratio.values, atol=1e-11, rtol=1e-11, equal_nan=True)
        torch.testing.assert_close(each.stratified, same.stratified, atol=1e-11, rtol=1e-11, equal_nan=True)


def test_the_order_of_images_changes_nothing() -> None:
    images, order = photos(20), torch.randperm(20, generator=torch.Generator().manual_seed(1))
    one, other = (measured(given, dtype=torch.float64) for given in (images, images[order]))
    for each, same in zip(one.layers, other.layers, strict=True):
        torch.testing.assert_close(each.ratio.values, same.ratio.values, atol=1e-11, rtol=1e-11, equal_nan=True)


def test_identity_and_constants_have_no_spread() -> None:
    images = photos()
    still = variances(Examination(network(), images, Rotations([lambda x: x, lambda x: x.clone()])))
    assert all(each.ratio.mean == 0 and float(each.ratio.transformation.max()) == 0 for each in still.layers)
    constant = network()
    with torch.no_grad():
        constant[0].weight.zero_()  # type: ignore[operator]
    found = measured(images, model=constant)
    for each in found.layers:
        assert each.ratio.dead == each.ratio.values.numel() and each.ratio.infinite == 0
        assert each.ratio.mean != each.ratio.mean


def test_a_unit_that_only_the_transformation_moves_is_infinite() -> None:
    images = photos(1).repeat(6, 1, 1, 1)
    found = measured(images)
    assert all(each.ratio.infinite > 0 for each in found.layers)
    assert all(each.ratio.infinite + each.ratio.dead == each.ratio.values.numel() for each in found.layers)


class Symmetrised(nn.Module):
    """The mean over the group of a network's answers: exactly invariant but for rounding."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = network(), nn.Linear(5, 3)

    def forward(self, images: Tensor) -> Tensor:
        turned = [self.inner(images.rot90(k, (2, 3))) for k in range(4)]
        found: Tensor = self.out(torch.stack(turned).mean(0))
        return found


def test_a_symmetrised_network_is_invariant_under_its_group() -> None:
    found = measured(photos(), model=Symmetrised(), layers=["out"], dtype=torch.float64)
    assert found.layers[0].ratio.mean < 1e-12
    single = measured(photos(), model=Symmetrised(), layers=["out"])
    assert single.layers[0].ratio.mean < 1e-5


def test_noise_is_as_variable_under_noise_as_between_images() -> None:
    generator = torch.Generator().manual_seed(0)
    noises = [lambda x: torch.rand(x.shape, generator=generator, dtype=x.dtype)] * 24
    linear = Setup(layers=("Conv2d", "!4"))  # a standard deviation of few rarely active values is biased
    found = variances(Examination(network(), photos(400), Rotations(noises), setup=linear))
    for each in found.layers:
        assert abs(each.ratio.mean - 1) < 0.03


def test_maps_turned_back_of_an_equivariant_layer_stay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    kernel = torch.rand(4, 3, 3, 3)
    with torch.no_grad():
        turned = torch.stack([kernel.rot90(k, (2, 3)) for k in range(4)])
        model[0].weight.copy_(turned.sum(0))  # type: ignore[operator]
    plain = measured(photos(), model=model, dtype=torch.float64)
    back = measured(photos(), model=model, dtype=torch.float64, same_equivariance=True)
    assert [each.layer.name for each in back.layers] == ["0", "1"]
    assert plain.layers[0].ratio.mean > 0.5 and back.layers[0].ratio.mean < 1e-6
    with pytest.raises(UserError, match="same_equivariance: none of the chosen layers has a map"):
        measured(photos(), model=model, layers=["3"], same_equivariance=True)


class OverBatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.conv(images - images.mean(0)).mean((2, 3))
        return found


def test_bad_input() -> None:
    images = photos(6)
    with pytest.raises(UserError, match="class 1 has a single one"):
        measured(images, torch.tensor([0, 0, 0, 1, 0, 2]))
    with pytest.raises(UserError, match="nothing in the network fits 'convolution'"):
        measured(images, layers=["convolution"])
    with pytest.raises(UserError, match=r"changes by .* with the other images of the batch"):
        measured(images, model=OverBatch())
    with pytest.raises(UserError, match=r"makes images \(3, 4, 8\) of \(3, 8, 8\)"):
        variances(Examination(network(), images, Rotations([lambda x: x[:, :, :4]] * 2)))
    with pytest.raises(UserError, match="images: 1; a spread over images needs at least two"):
        measured(images[:1])
    with pytest.raises(UserError, match=r"memory_gb=1e-06: .* even with one transformation at a time"):
        measured(images, memory_gb=1e-6)
    with pytest.raises(UserError, match="after=mean: with before=sum"):
        Setup(before="sum", after="mean")


def test_a_constant_image_and_class_have_a_stated_value() -> None:
    images = torch.full((6, 3, 8, 8), 90, dtype=torch.uint8)
    found = measured(images)  # turning a constant image changes nothing, nor does another copy of it
    assert all(each.ratio.dead == each.ratio.values.numel() for each in found.layers)


def test_a_pass_leaves_no_hook_and_the_mode_as_it_was() -> None:
    model = network().train()
    measured(photos(), model=model)
    assert model.training and not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("change", [{}, {"before": "sum"}, {"after": "mean"}])
def test_a_small_unit_beside_large_ones_is_not_dead(change: dict[str, Any]) -> None:
    """Single precision has as many digits for values of a millionth; its spreads are judged by its own size."""
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))
    with torch.no_grad():
        for values in (model[0].weight, model[0].bias):
            values[1] = values[0] * 2.0**-24  # exact
            values[2] = 0.0  # type: ignore[index]
    (only,) = measured(photos(), torch.arange(12) % 2, model=model, **change).layers
    large, small, nothing = only.ratio.values
    assert bool(large.isfinite().all()) and torch.equal(large, small) and bool(nothing.isnan().all())
    assert only.stratified is not None and torch.equal(only.stratified[0], only.stratified[1])


def test_slabs_equal_whole_blocks() -> None:
    from src.methods.invariance.moments import Moments

    block = torch.randn(5, 4, 70_000)
    slabs, whole = (
        Moments(70_000, 4, slice(1, 3), within=True, dtype=torch.float32, device=torch.device("cpu")) for _ in range(2)
    )
    whole.shift.copy_(block[0, 1:3])
    slabs.add(block)
    whole._at_once(block)
    for each in (slabs, whole):
        each.flush()
    torch.testing.assert_close(slabs.first, whole.first, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(slabs.second, whole.second, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(slabs.spread, whole.spread, atol=1e-5, rtol=1e-5)
    assert len(layers_of(network(), torch.rand(2, 3, 8, 8))) == 7
