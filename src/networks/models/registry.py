"""Networks by name: our own, and others by a prefix (``torchvision:``, ``timm:``, ``python:package.module:name``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import nn

from src.core.errors import UserError, suggestion

Factory = TypeVar("Factory", bound=Callable[..., nn.Module])
_FACTORIES: dict[str, Callable[..., nn.Module]] = {}
PREFIXES = ("torchvision:", "timm:", "python:")


def register(name: str) -> Callable[[Factory], Factory]:
    """Decorator: ``build`` finds the function under ``name`` and calls it with classes, input_shape and the options."""

    def keep(factory: Factory) -> Factory:
        if name in _FACTORIES:
            raise ValueError(f"two models are called '{name}'")
        _FACTORIES[name] = factory
        return factory

    return keep


def names() -> list[str]:
    """Names of our own networks, sorted; the prefixes reach more."""
    return sorted(_FACTORIES)


def options(name: str) -> list[str]:
    """Options that the network ``name`` takes besides name, classes and input_shape."""
    return [key for key in inspect.signature(_FACTORIES[name]).parameters if key not in ("classes", "input_shape")]


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """Builds a network with fresh weights (torch's global generator) from its architecture as data.

    ``architecture``: ``name``, ``classes`` (number of outputs), ``input_shape`` [channels, height, width], and the
    named network's options, as in ``{"name": "simcnn", "classes": 10, "input_shape": [3, 32, 32], "width": 0.25}``.
    The network maps images float (n, C, H, W) to logits (n, classes).
    Raises UserError for an unknown name or option, a missing package, and an input that the network cannot take.
    """
    rest = dict(architecture)
    name, classes, input_shape = _required(rest)
    if name.startswith(PREFIXES):
        from src.networks.models import foreign  # late: the prefixes bring heavy packages

        return foreign.build(name, classes, input_shape, rest)
    if name not in _FACTORIES:
        raise UserError(f"model.name={name}: {suggestion(name, names())} or a prefix: {', '.join(PREFIXES)}")
    for key in rest:
        if key not in options(name):
            raise UserError(f"model.{key}={rest[key]}: {name} has no such option; {suggestion(key, options(name))}")
    return _FACTORIES[name](classes=classes, input_shape=input_shape, **rest)


def _required(rest: dict[str, Any]) -> tuple[str, int, tuple[int, int, int]]:
    for key in ("name", "classes", "input_shape"):
        if key not in rest:
            raise UserError(f"model.{key} is missing: give name, classes and input_shape [channels, height, width]")
    name, classes, shape = str(rest.pop("name")), rest.pop("classes"), rest.pop("input_shape")
    if not _is_positive_int(classes):
        raise UserError(f"model.classes={classes}: give a whole number of at least 1")
    if isinstance(shape, str) or len(list(shape)) != 3 or not all(_is_positive_int(size) for size in shape):
        raise UserError(f"model.input_shape={shape}: give [channels, height, width], whole numbers of at least 1")
    channels, height, width = shape
    return name, int(classes), (int(channels), int(height), int(width))


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
