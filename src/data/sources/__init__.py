"""Where image sets come from: a name, and options as plain values.

Each source is a function of its options in a file of this folder, imported only when it is asked for. It may leave out
the classes that ``only``, which all options have, does not name.
"""

import importlib
import inspect
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from src.core.errors import UserError, suggestion
from src.core.options import options_of
from src.data.image_set import Splits
from src.data.mixing import subset

SOURCES: dict[str, str] = {
    "glyphs": "glyphs",
    "digits": "digits",
    "mnist": "idx",
    "fashion_mnist": "idx",
    "kmnist": "idx",
    "cifar10": "downloads",
    "cifar100": "downloads",
    "svhn": "downloads",
    "imagenette": "downloads",
    "image_folder": "image_folder",
    "parquet": "parquet",
}
"""Source name, which is that of its function -> module."""

_KEPT = 4
_cache: OrderedDict[str, Splits] = OrderedDict()


def load_source(name: str, options: Mapping[str, Any] | None = None) -> Splits:
    """Load one of `SOURCES` by what its options are made of.

    Raises:
        UserError: unknown name or option, a value that is not allowed, a file that is missing or damaged.
    """
    if name not in SOURCES:
        raise UserError(f"data.source.name={name}: no such source; {suggestion(str(name), SOURCES)}")
    source = getattr(importlib.import_module(f"src.data.sources.{SOURCES[name]}"), name)
    (parameter,) = inspect.signature(source, eval_str=True).parameters.values()
    values = {key: value for key, value in (options or {}).items() if key != "name"}
    checked = options_of(parameter.annotation, values, "data.source")
    splits: Splits = source(checked)
    return splits if checked.only is None else subset(splits, checked.only)


def load_cached(name: str, options: Mapping[str, Any] | None = None) -> Splits:
    """`load_source`, remembering the last few, so that data modules of one process share their images."""
    key = json.dumps([name, dict(options or {})], sort_keys=True, default=str)
    if key not in _cache:
        _cache[key] = load_source(name, options)
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]
