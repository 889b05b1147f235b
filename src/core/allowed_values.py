"""Values of the configuration that nothing further down would refuse in one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from src.core.errors import UserError, suggestion


def _whole(least: int) -> tuple[str, Callable[[Any], bool]]:
    return f"a whole number from {least}", lambda value: type(value) is int and value >= least


def _one(*words: str) -> tuple[str, Callable[[Any], bool]]:
    return ", ".join(words), lambda value: value in words


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _is_class(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and value != "")


#: What values are allowed where no reader further down would say so in one line: (in words, test). A key that starts
#: with `*.` is the last part of a key, wherever it stands.
VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("words without ..", lambda value: _is_folder(value)),
    "label": ("words without ..", lambda value: _is_folder(value)),
    "device": ("auto, cpu, cuda, cuda:1", lambda value: bool(re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(value)))),
    "jobs_at_once": ("auto or a whole number from 1", lambda value: value == "auto" or _whole(1)[1](value)),
    "workers": ("auto or a whole number from 1", lambda value: value == "auto" or (type(value) is int and value >= 1)),
    "target_class": (
        "a class by number or name, or a list of different ones",
        lambda value: (
            all(map(_is_class, _listed(value))) and len(set(map(str, _listed(value)))) == len(_listed(value)) > 0
        ),
    ),
    "module": ("a node of the tree by number or name", _is_class),
    "module_score": _one("margin", "logit"),
    "calibration": _one("platt", "min_max", "percentile", "outlier"),
    "report.name": _one("page", "none"),
    "logger.name": _one("csv", "wandb"),
    "logger.mode": _one("auto", "online", "offline", "disabled"),
    "until": ("null, or a stage of the task: strong, modules", lambda value: value in (None, "strong", "modules")),
    "prune": _one("none", "unused", "all_leftovers"),
    "sweep.max_failures": ("null or a whole number from 1", lambda value: value is None or _whole(1)[1](value)),
    "importance.confidence": ("a number from 0 to 1", _is_share),
    "sensitivity.layers": (
        "auto, or a list of layer numbers",
        lambda value: value == "auto" or (isinstance(value, list) and all(type(layer) is int for layer in value)),
    ),
    "sensitivity.ratios": (
        "a list of numbers above 0, up to 1",
        lambda value: isinstance(value, list) and value != [] and all(_is_share(ratio) and ratio for ratio in value),
    ),
    "resume_every": _whole(0),
    "shift.corruptions": ("all, or a list of names", lambda value: value == "all" or isinstance(value, list)),
    "shift.severities": ("a list of 1 to 5", lambda value: isinstance(value, list)),
    "shift.images": ("null or a whole number from 1", lambda value: value is None or _whole(1)[1](value)),
    "shift.batch": _whole(1),
    "learning_images": ("null or a whole number from 1", lambda value: value is None or _whole(1)[1](value)),
    "latency_images": _whole(1),
    "single_images": _whole(1),
    "temperature": _one("none", "fit"),
    "views": _one("whole", "centre", "five", "ten"),
    "match": _one("parameters", "macs", "data"),
    "control": _one("random", "none"),
    "modules": _one("separate", "together", "trunk"),
    "finetune_epochs": _whole(0),
    "expert_cap": (
        "null, smallest or a whole number from 1",
        lambda value: value in (None, "smallest") or _whole(1)[1](value),
    ),
    "replacement.seed": ("null or a whole number from 0", lambda value: value is None or _whole(0)[1](value)),
    "*.groups": _whole(2),
    "*.seed": _whole(0),
    "*.data_seed": _whole(0),
    "*.threads": _whole(1),
    "*.resamples": _whole(2),
    "*.random_draws": _whole(1),
    "*.epochs": _whole(1),
    "*.batch_size": _whole(1),
    "*.eval_batch_size": _whole(1),
    "*.crop_padding": _whole(0),
    "*.size": ("a whole number of pixels", lambda value: value is None or (type(value) is int and value >= 1)),
    "*.classes": ("null, or a list of classes", lambda value: value is None or isinstance(value, list)),
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_folder(value: Any) -> bool:
    return bool(str(value)) and not Path(str(value)).is_absolute() and ".." not in Path(str(value)).parts


def check_values(config: Mapping[str, Any], prefix: str = "") -> None:
    for name, value in config.items():
        key = f"{prefix}{name}"
        words, holds = VALUES.get(key) or VALUES.get(f"*.{name}") or ("", lambda value: True)
        if isinstance(value, Mapping) and not words:
            check_values(value, f"{key}.")
        elif not holds(value):
            choices = words.split(", ")
            near = f"; {suggestion(value, choices)}" if isinstance(value, str) and " " not in "".join(choices) else ""
            raise UserError(f"{key}={'null' if value is None else value}: allowed is {words}{near}")
