"""Randomisation of weights on a small network: what changes, what must not, and complexity by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from src.core.errors import UserError
from src.methods.relevance.randomisation import (
    Step,
    complexity,
    layers_in_steps,
    randomisation,
    rise_of_complexity,
)

IMAGES = torch.rand(3, 2, 6, 6, generator=torch.Generator().manual_seed(0))
NAMES = ["0", "1", "3", "4", "7"]  # with parameters or statistics


def network() -> nn.Sequential:
    torch.manual_seed(5)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4, affine=False), nn.ReLU(),
        nn.Flatten(), nn.Linear(4 * 36, 3),
    )  # fmt: skip
    for _ in range(3):
        model(torch.rand(8, 2, 6, 6) * 3 - 1)  # statistics that are not those of the start
    return model


def gradient(model: nn.Module) -> Tensor:
    images = IMAGES.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(model(images)[:, 1].sum(), images)
    return (slopes * images).sum(1)


def states(order: str, seed: int = 0, steps: int = 8) -> tuple[list[Step], list[dict[str, Tensor]]]:
    """What the network was at every step."""
    seen: list[dict[str, Tensor]] = []

    def attribute(model: nn.Module) -> Tensor:
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return gradient(model)

    return list(randomisation(network(), attribute, seed=seed, order=order, steps=steps)), seen  # type: ignore[arg-type]


def test_the_network_and_the_random_state_stay_to_the_bit() -> None:
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    steps = list(randomisation(model, gradient, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert before.keys() == model.state_dict().keys() and model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert len(steps) == 4 and steps[-1].signed.abs().max() < 0.9


def test_layers_are_grouped_with_their_norms_in_either_order() -> None:
    model = network()
    assert layers_in_steps(model, "bottom_up", 8) == [("0", "1"), ("3", "4"), ("7",)]
    assert layers_in_steps(model, "top_down", 8) == [("7",), ("4", "3"), ("1", "0")]
    assert layers_in_steps(model, "top_down", 2) == [("7",), ("4", "3", "1", "0")]
    assert layers_in_steps(model, "bottom_up", 1) == [tuple(NAMES)]


def test_a_residual_network_is_covered_once_and_from_its_ends() -> None:
    model = resnet18()
    groups = layers_in_steps(model, "top_down", 6)
    names = [name for group in groups for name in group]
    expected = {name.rpartition(".")[0] for name in model.state_dict()}
    assert len(groups) == 6 and len(names) == len(set(names)) and set(names) == expected
    assert names[0] == "fc" and names[-1] == "conv1"


@pytest.mark.parametrize("order", ["top_down", "bottom_up"])
def test_each_step_changes_its_layers_and_no_others(order: str) -> None:
    steps, seen = states(order)
    assert steps[0].layers == () and steps[0].signed.eq(1).all() and steps[0].absolute.eq(1).all()
    assert all(torch.equal(value, network().state_dict()[name]) for name, value in seen[0].items())
    for step, before, after in zip(steps[1:], seen, seen[1:], strict=False):
        changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert changed == set(step.layers)


def test_a_batch_norm_forgets_its_statistics() -> None:
    _, seen = states("top_down")
    for norm in ("1", "4"):
        assert not seen[0][f"{norm}.running_mean"].eq(0).any() and seen[0][f"{norm}.num_batches_tracked"] == 3
        assert seen[-1][f"{norm}.running_mean"].eq(0).all() and seen[-1][f"{norm}.running_var"].eq(1).all()


def test_both_orders_end_in_the_same_network_and_other_seeds_in_another() -> None:
    down, seen_down = states("top_down")
    up, seen_up = states("bottom_up")
    assert all(torch.equal(value, seen_up[-1][name]) for name, value in seen_down[-1].items())
    assert torch.equal(down[-1].signed, up[-1].signed)
    again, _ = states("top_down")
    assert all(torch.equal(one.signed, two.signed) for one, two in zip(down, again, strict=True))
    assert not torch.equal(states("top_down", seed=1)[1][-1]["7.weight"], seen_down[-1]["7.weight"])


def test_layers_of_one_shape_do_not_get_the_same_weights() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    seen: list[Tensor] = []

    def attribute(changed: nn.Module) -> Tensor:
        seen.append(torch.stack([weight.detach().clone() for weight in changed.parameters() if weight.ndim == 2]))
        return torch.rand(1, 2, 2)

    list(randomisation(model, attribute, seed=0))
    assert not torch.equal(seen[-1][0], seen[-1][1])


def test_a_map_that_ignores_the_network_stays_and_gets_no_more_complex() -> None:
    steps = list(randomisation(network(), lambda _: IMAGES[:, 0], seed=0))
    assert all(step.signed.eq(1).all() and step.absolute.eq(1).all() for step in steps)
    assert rise_of_complexity(steps[0], steps[-1]).eq(0).all()


def test_signs_count_in_one_correlation_only() -> None:
    turned = iter([IMAGES[:, 0] - 0.5, 0.5 - IMAGES[:, 0]])
    steps = list(randomisation(network(), lambda _: next(turned), seed=0, steps=1))
    assert steps[1].signed.eq(-1).all() and steps[1].absolute.eq(1).all()


def test_a_constant_map_has_no_correlation() -> None:
    steps = list(randomisation(network(), lambda _: torch.ones(2, 3, 3), seed=0, steps=1))
    assert all(step.signed.isnan().all() and step.absolute.isnan().all() for step in steps)
    assert rise_of_complexity(steps[0], steps[1]).isnan().all()


def test_complexity_by_hand() -> None:
    maps = torch.tensor([[[0.0, 0], [1, 1]], [[0, 0], [0, 1]], [[5, 5], [5, 5]], [[0, 1], [2, 3]], [[0, 0], [0, 0]]])
    maps[4] = torch.tensor([[0, 0.004], [0.016, 1]])  # bins 0, 0, 1 and 99
    half, quarter = math.log(2), math.log(4)
    one_of_four = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    expected = [half, one_of_four, 0, quarter, 0.5 * math.log(2) + 0.5 * math.log(4)]
    assert complexity(maps).tolist() == pytest.approx(expected)
    assert torch.equal(complexity(-4 * maps[:4]), complexity(maps[:4]))
    assert complexity(torch.tensor([[[1, math.nan]]])).isnan().all()


def test_rise_by_hand() -> None:
    first, last = (
        Step((), torch.ones(2), torch.ones(2), torch.tensor(values, dtype=torch.float64)) for values in ([2, 0], [3, 1])
    )
    assert rise_of_complexity(first, last).tolist()[0] == 0.5 and rise_of_complexity(first, last)[1].isnan()


def test_what_cannot_be_randomised_is_refused_by_name() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.ones(1))

    with pytest.raises(UserError, match=r"'1' \(Scale\)"):
        layers_in_steps(nn.Sequential(nn.Linear(2, 2), Scale()), "top_down", 4)
    with pytest.raises(UserError, match="no parameters"):
        layers_in_steps(nn.Sequential(nn.ReLU()), "top_down", 4)
    with pytest.raises(UserError, match="steps=0"):
        layers_in_steps(network(), "top_down", 0)


def test_the_random_state_stays_where_a_layer_fails() -> None:
    class Broken(nn.Linear):
        ready = False

        def reset_parameters(self) -> None:
            super().reset_parameters()
            if self.ready:
                raise RuntimeError("no")

    model = nn.Sequential(Broken(2, 2))
    Broken.ready = True
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="no"):
        list(randomisation(model, lambda _: torch.rand(1, 2, 2, generator=torch.Generator()), seed=0))
    assert torch.equal(torch.get_rng_state(), state)
