"""VGG-19 and the module VGG against the published sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from src.networks.cost import cost
from src.networks.models import build
from src.networks.slicing import plan_for
from tests.networks.models.test_maxout import names_and_rates, preset

IMAGE = [3, 224, 224]
MODULES = {2: 3_928_770, 11: 3_929_931, 47: 3_934_575, 378: 3_977_274}  # parameters by outputs


def network(name: str, classes: int) -> nn.Module:
    with torch.device("meta"):
        return build({**preset(name), "classes": classes, "input_shape": IMAGE})


def test_presets_have_the_published_sizes() -> None:
    found = cost(network("vgg19", 378), IMAGE)
    assert found.parameters == 141_118_906 and round(found.macs / 1e9, 2) == 19.63
    modules = {classes: cost(network("vgg_module_animals", classes), IMAGE) for classes in MODULES}
    assert {classes: each.parameters for classes, each in modules.items()} == MODULES
    assert round(sum(each.macs for each in modules.values()) / 1e9, 2) == 7.58  # one of each level
    assert (
        sum(each.parameters * count for each, count in zip(modules.values(), (1, 2, 11, 47), strict=True))
        == 242_000_835
    )


@pytest.mark.parametrize(("name", "pools"), [("vgg19", [1, 3, 7, 11]), ("vgg_module_animals", [0, 1, 3, 5])])
def test_dropout_follows_the_first_four_pools_and_surrounds_the_hidden_layers(name: str, pools: list[int]) -> None:
    model = network(name, 2)
    layers = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    rates = {f"dropout_pool_{index}": 0.1 for index in pools} | {"dropout_flatten": 0.5}
    rates |= {f"dropout_relu_{layers + number}": 0.5 for number in (0, 1)}
    assert dict(names_and_rates(model)) == rates
    assert (
        dict(
            names_and_rates(
                build({"name": preset(name)["name"], "classes": 2, "input_shape": [3, 32, 32], "width": 0.1})
            )
        )
        == rates
    )


def test_dropout_acts_in_training_alone_and_where_it_should() -> None:
    model = build({"name": "vgg_module", "classes": 2, "input_shape": [3, 32, 32], "width": 0.25, "dropout": 0.0})
    assert not names_and_rates(model)
    dropped = build({"name": "vgg_module", "classes": 2, "input_shape": [3, 32, 32], "width": 0.25, "dropout": 0.9})
    dropped.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(dropped.eval()(images), model(images))
    seen: dict[str, torch.Tensor] = {}
    for name in ("fc_8", "fc_9", "conv_1"):
        dropped.get_submodule(name).register_forward_pre_hook(
            lambda _, inputs, name=name: seen.update({name: inputs[0]})
        )
    dropped.train()(images)
    assert all(float((values == 0).float().mean()) > 0.7 for values in seen.values()) and len(seen) == 3


def test_a_slice_plan_sees_through_the_dropouts() -> None:
    model = build({"name": "vgg_module", "classes": 2, "input_shape": [3, 32, 32], "width": 0.25})
    assert plan_for(model, [3, 32, 32]).kernels == 8 + 16 + 32 * 2 + 64 * 4
