"""A patched network is the composition by hand, in one network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from src.methods.modularity.patched import FLOOR, Patch, PatchedNetwork
from src.methods.modularity.patching import Range, compose, module_score
from src.statistics.calibration import Platt

WEAK_MEAN, WEAK_STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.25, 0.3, 0.2])
MEAN, STD = torch.tensor([0.1, 0.2, 0.6]), torch.tensor([0.5, 0.2, 0.35])


def network(classes: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, classes)).eval()


def normalised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)


@pytest.mark.parametrize("score", ["margin", "logit"])
@pytest.mark.parametrize("calibration", [Platt(1.75, -0.5), Range(-0.5, 2.25), Range(0.25, 0.25)], ids=str)
@pytest.mark.parametrize("targets", [[(1, 3)], [(2, 0), (0, 3)]], ids=["one target", "two targets"])
@torch.no_grad()
def test_it_equals_the_composition_by_hand(score, calibration, targets):
    weak, temperature = network(3, 0), 1.6
    modules = [network(4, 1 + index) for index in range(len(targets))]
    patches = [
        Patch.of(target, column, module, calibration, score)
        for (target, column), module in zip(targets, modules, strict=True)
    ]
    scale, shift = WEAK_STD / STD, (WEAK_MEAN - MEAN) / STD
    patched = PatchedNetwork(weak, patches, scale.tolist(), shift.tolist(), temperature).eval()

    images = torch.rand(50, 3, 6, 6, generator=torch.Generator().manual_seed(9))
    inside = normalised(images, MEAN, STD)
    scores = {
        target: calibration(module_score(module(inside), column, score))
        for (target, column), module in zip(targets, modules, strict=True)
    }
    weak_images = normalised(images, WEAK_MEAN, WEAK_STD)
    expected = compose((weak(weak_images).double() / temperature).softmax(1), scores)
    found = patched(weak_images)
    assert found.dtype == torch.float64 and found.shape == (50, 3)
    assert torch.allclose(found.exp(), expected.clamp_min(FLOOR), atol=1e-5)
    assert torch.equal(found.argmax(1), expected.argmax(1))
    untouched = [column for column in range(3) if column not in dict(targets)]
    assert torch.equal(
        found.exp()[:, untouched] > 0.5, (weak(weak_images) / temperature).softmax(1)[:, untouched] > 0.5
    )
    # what the test would not notice if it were left out
    assert not torch.allclose(found.exp(), compose(weak(weak_images).double().softmax(1), scores), atol=1e-3)
    assert not torch.allclose(patched.weak(weak_images), patched.weak(inside), atol=1e-3)


def test_a_score_below_zero_is_the_smallest_logarithm_and_not_nan():
    patched = PatchedNetwork(
        network(3, 0), [Patch(1, 0, network(2, 1), 0.0, -5.0, False, "logit")], [1.0] * 3, [0.0] * 3
    )
    found = patched(torch.rand(4, 3, 6, 6))
    assert torch.isfinite(found).all()
    assert torch.allclose(found[:, 1].exp(), torch.full((4,), FLOOR, dtype=torch.float64))


@pytest.mark.parametrize("calibration", [Platt(0.3, 4.0), Range(2.0, 7.0), Range(3.0, 3.0)], ids=str)
def test_a_patch_stores_its_calibration_as_a_line(calibration):
    patch = Patch.of(1, 2, nn.Identity(), calibration, "logit")
    scores = torch.linspace(-5, 9, 15)
    line = patch.slope * scores.double() + patch.intercept
    assert patch.sigmoid == isinstance(calibration, Platt)
    assert torch.allclose(line.sigmoid() if patch.sigmoid else line, calibration(scores))


def test_calibration_normalisation_and_temperature_are_part_of_the_weights():
    names = set(PatchedNetwork(network(3, 0), [], [1.0] * 3, [0.0] * 3).state_dict())
    assert {"slopes", "intercepts", "scale", "shift", "temperature"} <= names


def test_without_patches_it_is_the_weak_network():
    weak, images = network(3, 0), torch.rand(5, 3, 6, 6)
    found = PatchedNetwork(weak, [], [1.0] * 3, [0.0] * 3)(images)
    assert torch.allclose(found, weak(images).double().log_softmax(1))
