"""Dropout rates by position, and the initialisation of networks that come from Keras."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from src.core.errors import UserError
from src.networks.options import Dropout, Rate, Rates

NONE = Dropout()
THESIS = Dropout(pools=0.1, flatten=0.5, hidden=0.5)


class Dropouts(NamedTuple):
    """One rate per position; 0 stands for no dropout there."""

    pools: tuple[float, ...]
    flatten: float
    hidden: tuple[float, ...]


def dropouts(rates: Rate | Dropout | None, pools: int, hidden: int, default: Dropout = NONE) -> Dropouts:
    """The rates of a network with so many pools and hidden linear layers.

    Args:
        rates: one for all positions, or by position; None: the ``default``.

    Raises:
        UserError: another number of rates than of places.
    """
    rates = default if rates is None else rates
    if not isinstance(rates, Dropout):
        rates = Dropout(rates, rates, rates)
    return Dropouts(_each(rates.pools, pools, "pools"), rates.flatten, _each(rates.hidden, hidden, "hidden"))


def _each(rates: Rates, count: int, key: str) -> tuple[float, ...]:
    each = rates if isinstance(rates, tuple) else (rates,) * count
    if len(each) != count:
        raise UserError(
            f"model.dropout.{key}={list(each)}: the network has {count} such places; give as many, or a number"
        )
    return each


def initialise_glorot(model: nn.Module) -> None:
    """Weights uniform by fan-in and fan-out, biases 0, as Keras begins (Glorot and Bengio, AISTATS 2010)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
