"""A bag of local features sees what it says it sees; gates of squeeze and excitation against timm's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.networks.models import build
from src.networks.models.bagnet import strides_of
from src.networks.models.resnet import Gate

BASE = {"name": "bagnet", "classes": 4, "input_shape": [3, 24, 24], "kernels": 4, "batch_norm": False}


@pytest.mark.parametrize(("field", "pools"), [(1, None), (5, None), (9, None), (9, [1]), (15, [0, 1])])
def test_a_place_hangs_on_its_field_alone(field: int, pools: list[int] | None) -> None:
    torch.manual_seed(0)
    model = build({**BASE, "field": field, "pools": pools}).double()
    images = torch.rand(1, 3, 24, 24, dtype=torch.float64, requires_grad=True)
    maps = nn.Sequential(*list(model)[:-1])(images)
    maps[0, :, 1, 1].sum().backward()
    assert images.grad is not None
    touched = (images.grad[0] != 0).any(0)
    rows, columns = touched.any(1).nonzero().flatten(), touched.any(0).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == field and int(columns.max() - columns.min()) + 1 == field
    assert torch.allclose(model(images), maps.mean((2, 3)))


def test_fields_that_cannot_be() -> None:
    assert strides_of(9, [1]) == [1, 2, 1] and strides_of(1, []) == []
    with pytest.raises(UserError, match=r"model\.field=8: with model\.pools=\[\] the fields are 1, 3, 5, 7, 9"):
        build({**BASE, "field": 8})
    with pytest.raises(UserError, match="larger than images of 24x24"):
        build({**BASE, "field": 25})


def test_a_gate_by_its_formula() -> None:
    torch.manual_seed(0)
    gate, images = Gate(8, 2), torch.rand(3, 8, 5, 4)
    units = (images.mean((2, 3)) @ gate.fc0.weight.T + gate.fc0.bias).relu()
    share = (units @ gate.fc1.weight.T + gate.fc1.bias).sigmoid()
    assert torch.allclose(gate(images), images * share[:, :, None, None])


def test_se_resnext_has_the_parameters_of_timm() -> None:
    """timm's seresnext50_32x4d without its stem and head; a gate there has as many units."""
    import timm

    theirs = timm.create_model("seresnext50_32x4d", num_classes=4)
    ours = build({"name": "resnet", "classes": 4, "input_shape": [3, 32, 32], "blocks": [3, 4, 6, 3],
                  "bottleneck": True, "groups": 32, "inside": 2.0, "squeeze": 16})  # fmt: skip
    stem = {"ours": 64 * 3 * 9, "theirs": 64 * 3 * 49}
    count = {"ours": sum(p.numel() for p in ours.parameters()), "theirs": sum(p.numel() for p in theirs.parameters())}
    assert count["ours"] - stem["ours"] == count["theirs"] - stem["theirs"]
