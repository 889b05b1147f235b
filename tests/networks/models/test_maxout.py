"""Maxout networks: the layer against a loop, the published sizes, positions of dropout, mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from src.core.errors import UserError
from src.networks.cost import Cost, cost
from src.networks.models import build
from src.networks.models.maxout import Maxout

MODELS = Path(__file__).parents[3] / "conf" / "model"
CROP = [3, 28, 28]


def preset(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((MODELS / f"{name}.yaml").read_text()))


def network(name: str, classes: int) -> nn.Module:
    with torch.device("meta"):
        return build({**preset(name), "classes": classes, "input_shape": CROP})


def test_a_unit_is_the_largest_of_its_consecutive_pieces() -> None:
    x = torch.randn(2, 12, 3, 4).contiguous(memory_format=torch.channels_last)
    made = Maxout(4)(x)
    assert made.shape == (2, 3, 3, 4) and made.is_contiguous(memory_format=torch.channels_last)
    for unit in range(3):
        assert torch.equal(made[:, unit], x[:, 4 * unit : 4 * unit + 4].amax(1))
    assert torch.equal(Maxout(3)(x[:, :, 0, 0]), torch.stack([x[:, k : k + 3, 0, 0].amax(1) for k in (0, 3, 6, 9)], 1))


@pytest.mark.parametrize(
    ("name", "classes", "parameters", "macs"),
    [
        ("maxout_thesis", 100, 37_548_132, 972_235_776),  # reported: 37,538,912
        ("maxout_notebook", 100, 3_597_668, 34_834_944),
        ("maxout_router_thesis", 20, 2_353_172, 64_828_672),
        ("maxout_expert_thesis", 100, 2_358_372, 64_833_792),
        ("maxout_router_notebook", 20, 496_532, 8_982_144),
        ("maxout_expert_notebook", 100, 224_484, 5_171_328),
    ],
)
def test_presets_have_the_published_sizes(name: str, classes: int, parameters: int, macs: int) -> None:
    assert cost(network(name, classes), CROP) == Cost(parameters, macs)


def test_multiply_adds_of_the_whole_study() -> None:
    """A hard-gated image visits the router and one expert: 129.7 M against 972.2 M, or 14.2 M against 34.8 M."""
    for version, active, whole in (("thesis", 129.7, 972.2), ("notebook", 14.2, 34.8)):
        parts = [network(f"maxout_router_{version}", 20), network(f"maxout_expert_{version}", 100)]
        assert round(sum(cost(part, CROP).macs for part in parts) / 1e6, 1) == active
        assert round(cost(network(f"maxout_{version}", 100), CROP).macs / 1e6, 1) == whole
    # 21 modules in store; the thesis reports 49,525,812, which is 21 experts
    sizes = [
        cost(network(f"maxout_{part}_thesis", out), CROP).parameters for part, out in (("router", 20), ("expert", 100))
    ]
    assert sizes[0] + 20 * sizes[1] == 49_520_612 and 21 * sizes[1] == 49_525_812


def names_and_rates(model: nn.Module) -> list[tuple[str, float]]:
    return [(name, module.p) for name, module in model.named_modules() if isinstance(module, nn.Dropout)]


def test_dropout_by_position() -> None:
    thesis = [("dropout_pool_0", 0.1), ("dropout_pool_1", 0.1), ("dropout_flatten", 0.5), ("dropout_3", 0.5)]
    assert names_and_rates(network("maxout_thesis", 5)) == thesis
    assert names_and_rates(network("maxout_notebook", 5)) == [("dropout_3", 0.5)]
    expert = [("dropout_pool_0", 0.1), ("dropout_flatten", 0.5), ("dropout_2", 0.5)]
    assert names_and_rates(network("maxout_expert_notebook", 5)) == expert
    small = {"name": "maxout", "classes": 3, "input_shape": [1, 7, 5], "units": [4, 4], "hidden": [6, 5], "pieces": 2}
    assert names_and_rates(build({**small, "dropout": 0.0})) == []
    listed = build({**small, "dropout": {"pools": [0.3], "hidden": [0.0, 0.2]}})
    assert names_and_rates(listed) == [("dropout_pool_0", 0.3), ("dropout_3", 0.2)]
    order = ["conv_0", "maxout_0", "pool_0", "dropout_pool_0", "conv_1", "maxout_1", "flatten"]
    assert [name for name, _ in listed.named_children()][:7] == order


def test_initialisation_is_glorot_and_pools_round_up() -> None:
    torch.manual_seed(0)
    model = build({"name": "maxout", "classes": 3, "input_shape": [3, 7, 5], "units": [16, 32], "hidden": [64]})
    assert model.get_submodule("fc_2").weight.shape == (256, 32 * 4 * 3)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            inputs, outputs = module.weight[0].numel(), module.weight.shape[0]
            if isinstance(module, nn.Conv2d):
                outputs *= 9
            limit = (6 / (inputs + outputs)) ** 0.5
            assert 0.95 * limit < float(module.weight.detach().abs().max()) <= limit
            assert not bool(module.bias.any())


def test_width_multiplies_units_and_hidden_units() -> None:
    model = build({"name": "maxout", "classes": 3, "input_shape": [3, 8, 8], "width": 0.125})
    shapes = [module.weight.shape[0] for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert shapes == [16 * 8, 32 * 8, 64 * 8, 32 * 4, 3]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"units": []}, r"model\.units=\[\]: allowed is a list of whole numbers from 1 that is not empty"),
        ({"pieces": 0}, r"model\.pieces=0: allowed is a whole number from 1"),
        ({"hidden": [2.5]}, r"model\.hidden=\[2\.5\]: allowed is a list of whole numbers from 1"),
        ({"pools": [3]}, r"model\.pools=\[3\]: the convolutions are numbered 0 to 2"),
        ({"dropout": {"pool": 0.1}}, "did you mean 'pools'"),
        ({"dropout": {"pools": [0.1]}}, r"model\.dropout\.pools=\[0\.1\]: the network has 2 such places"),
        ({"dropout": {"hidden": 1.5}}, r"model\.dropout\.hidden=1\.5: allowed is a number from 0 to below 1"),
    ],
)
def test_mistakes_are_named_in_one_line(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        build({"name": "maxout", "classes": 3, "input_shape": [3, 8, 8], **change})
    assert "\n" not in str(error.value)
