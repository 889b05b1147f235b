"""Trunk and head together are the network, with its own weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.networks.models import build
from src.networks.models.splitting import trunk_and_head

MODELS: list[dict[str, Any]] = [
    {"name": "maxout", "units": [4, 6], "pieces": 2, "hidden": [8]},
    {"name": "vgg_module", "width": 0.125},
    {"name": "rescnn", "width": 0.0625, "batch_norm": True},
]
SHAPE = {"classes": 3, "input_shape": [3, 32, 32]}


@pytest.mark.parametrize("options", MODELS, ids=lambda options: options["name"])
def test_head_after_trunk_is_the_network(options: dict[str, Any]) -> None:
    model = build({**options, **SHAPE}).eval()
    trunk, head = trunk_and_head(model)
    images = torch.randn(2, 3, 32, 32)
    maps = trunk(images)
    assert maps.dim() == 4 and torch.equal(head(maps), model(images))
    own = {id(parameter) for parameter in model.parameters()}
    parts = [{id(parameter) for parameter in part.parameters()} for part in (trunk, head)]
    assert parts[0] | parts[1] == own and not parts[0] & parts[1]
    assert {name for part in (trunk, head) for name in part.state_dict()} == set(model.state_dict())


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="Linear cannot be split"):
        trunk_and_head(nn.Linear(2, 2))
