"""Dropout rates by position: after the pools, after flatten, and after the hidden linear layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from src.core.errors import UserError, suggestion

Rates = float | Sequence[float]
KEYS = ("pools", "flatten", "hidden")
THESIS: dict[str, Any] = {"pools": 0.1, "flatten": 0.5, "hidden": 0.5}


class Dropouts(NamedTuple):
    """One rate per position; 0 stands for no dropout there."""

    pools: tuple[float, ...]
    flatten: float
    hidden: tuple[float, ...]


def dropouts(given: float | Mapping[str, Any] | None, pools: int, hidden: int, default: Mapping[str, Any]) -> Dropouts:
    """The rates of a network with so many pools and hidden linear layers.

    Args:
        given: one rate for all positions; or ``pools``, ``flatten`` and ``hidden``, of which pools and hidden are a
            number or one number per place, and what is left out is 0; or None for the ``default``.

    Raises:
        UserError: a rate outside 0 to below 1, an unknown key, or another number of rates than of places.
    """
    if given is None:
        given = default
    elif not isinstance(given, Mapping):
        _check(given, "model.dropout")
        given = dict.fromkeys(KEYS, given)
    for key in given:
        if key not in KEYS:
            raise UserError(f"model.dropout.{key}={given[key]}: no such position; {suggestion(str(key), KEYS)}")
    after_pools = _rates(given.get("pools", 0.0), pools, "pools")
    (flatten,) = _rates(given.get("flatten", 0.0), 1, "flatten")
    return Dropouts(after_pools, flatten, _rates(given.get("hidden", 0.0), hidden, "hidden"))


def _rates(given: Rates, count: int, key: str) -> tuple[float, ...]:
    rates = [given] * count if isinstance(given, int | float) else list(given)
    if len(rates) != count:
        raise UserError(f"model.dropout.{key}={rates}: the network has {count} such places; give as many, or a number")
    for rate in rates:
        _check(rate, f"model.dropout.{key}")
    return tuple(rates)


def _check(rate: object, key: str) -> None:
    if not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise UserError(f"{key}={rate}: give a number from 0 to below 1")


def initialise_glorot(model: nn.Module) -> None:
    """Weights uniform by fan-in and fan-out, biases 0, as Keras begins (Glorot and Bengio, AISTATS 2010)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
