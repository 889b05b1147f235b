"""Where image sets come from: a name, and options as plain values.

Each source is a function ``name(**options) -> Splits`` in a file of this folder, imported only when it is asked for.
The option ``only`` (class numbers or names, renumbered in that order) works with every source.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from src.core.errors import UserError, suggestion
from src.data.image_set import Splits
from src.data.mixing import subset

SOURCES: dict[str, str] = {
    "glyphs": "src.data.sources.glyphs:glyphs",
    "digits": "src.data.sources.digits:digits",
    "mnist": "src.data.sources.idx:mnist",
    "fashion_mnist": "src.data.sources.idx:fashion_mnist",
    "kmnist": "src.data.sources.idx:kmnist",
    "cifar10": "src.data.sources.downloads:cifar10",
    "cifar100": "src.data.sources.downloads:cifar100",
    "svhn": "src.data.sources.downloads:svhn",
    "imagenette": "src.data.sources.downloads:imagenette",
    "image_folder": "src.data.sources.image_folder:image_folder",
    "parquet": "src.data.sources.parquet:parquet",
}
"""Source name -> module:function."""

_KEPT = 4
_cache: OrderedDict[str, Splits] = OrderedDict()


def load_source(name: str, options: Mapping[str, Any] | None = None) -> Splits:
    """Load a source.

    Args:
        name: one of `SOURCES`.
        options: its keyword arguments, and ``only``.

    Raises:
        UserError: unknown name or option, a value that is not allowed, a file that is missing or damaged.
    """
    if name not in SOURCES:
        raise UserError(f"data.source.name={name}: no such source; {suggestion(str(name), SOURCES)}")
    function = _import(SOURCES[name])
    given = {key: value for key, value in (options or {}).items() if key != "name"}
    parameters = inspect.signature(function).parameters
    for option in given:
        if option not in parameters and option != "only":
            raise UserError(
                f"data.source.{option}: '{name}' has no such option; {suggestion(option, {*parameters, 'only'})}"
            )
    missing = [key for key, p in parameters.items() if p.default is p.empty and given.get(key) is None]
    if missing:
        raise UserError(f"data.source.{missing[0]}: '{name}' needs it")
    later = None if "only" in parameters else given.pop("only", None)
    splits: Splits = function(**given)
    return splits if later is None else subset(splits, later)


def load_cached(name: str, options: Mapping[str, Any] | None = None) -> Splits:
    """`load_source`, remembering the last few, so that data modules of one process share their images."""
    key = json.dumps([name, dict(options or {})], sort_keys=True, default=str)
    if key not in _cache:
        _cache[key] = load_source(name, options)
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]


def _import(address: str) -> Callable[..., Splits]:
    module, function = address.split(":")
    found: Callable[..., Splits] = getattr(importlib.import_module(module), function)
    return found
