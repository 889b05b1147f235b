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


def test_a_trunk_may_end_earlier() -> None:
    model = build({**MODELS[0], **SHAPE}).eval()
    trunk, head = trunk_and_head(model, "conv_1")
    images = torch.randn(2, 3, 32, 32)
    assert trunk(images).shape == (2, 4, 16, 16) and torch.equal(head(trunk(images)), model(images))


def test_a_residual_pair_stays_whole() -> None:
    model = build({**MODELS[2], **SHAPE}).eval()
    images = torch.randn(2, 3, 32, 32)
    steps = model._steps  # type: ignore[operator]
    first = next(place for place, (what, _) in enumerate(steps) if what == "keep")
    trunk, head = trunk_and_head(model, steps[first + 1][1])
    assert torch.equal(head(trunk(images)), model(images)), "the pair's input is the head's"
    with pytest.raises(UserError, match="lies within a residual pair"):
        trunk_and_head(model, steps[first + 2][1])


def test_mistakes_are_named() -> None:
    model = build({**MODELS[0], **SHAPE})
    with pytest.raises(UserError, match=r"trunk\.until=conv_9: the network has no such module; it has conv_0"):
        trunk_and_head(model, "conv_9")
    with pytest.raises(UserError, match="nothing comes before it"):
        trunk_and_head(model, "conv_0")
    with pytest.raises(UserError, match="Linear cannot be split"):
        trunk_and_head(nn.Linear(2, 2))
