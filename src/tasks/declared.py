"""Which options belong to which task: what of a configuration decides what a job finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from src.artifacts.options import (
    ComposedOptions,
    ExtractedOptions,
    ImagesOptions,
    PatchedOptions,
    TrainedOptions,
    VariantOptions,
)
from src.core.errors import UserError, suggestion
from src.core.options import options_of
from src.studies.protocol import options_class
from src.tasks.options import (
    AddClass,
    Compare,
    Compose,
    Invariance,
    Measure,
    Modularize,
    Patch,
    Store,
    Train,
    TrainModule,
    TrainVariant,
    Transfer,
)

#: Tasks whose findings are those of a study.
STUDYING = ("measure", "invariance")

#: Task -> its options.
TASKS: dict[str, type[Any]] = {
    "train": Train,
    "train_variant": TrainVariant,
    "train_module": TrainModule,
    "modularize": Modularize,
    "patch": Patch,
    "compose": Compose,
    "add_class": AddClass,
    "transfer": Transfer,
    "invariance": Invariance,
    "measure": Measure,
    "store": Store,
    "compare": Compare,
}

#: Kind of subject -> what its networks are made of.
SUBJECTS: dict[str, type[Any]] = {
    "trained": TrainedOptions,
    "variant": VariantOptions,
    "extracted": ExtractedOptions,
    "patched": PatchedOptions,
    "composed": ComposedOptions,
    "checkpoint": ImagesOptions,
    "torchvision": ImagesOptions,
    "timm": ImagesOptions,
}


def task_options(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """The options of the task that ``config`` names: the task's, and of ``measure`` also the subject's.

    Raises:
        UserError: no such task or subject, or an option is missing or not allowed.
    """
    task = str(config.get("task"))
    if task not in TASKS:
        raise UserError(f"task={task}: no such task; {suggestion(task, TASKS)}")
    classes = [TASKS[task]]
    if task == "measure":
        kind = str(config["subject"].get("kind"))
        if kind not in SUBJECTS:
            raise UserError(f"subject.kind={kind}: {suggestion(kind, SUBJECTS)}; conf/subject shows them whole")
        classes.append(SUBJECTS[kind])
    read = tuple(options_of(kind, {key: config[key] for key in keys_of(kind) if key in config}) for kind in classes)
    if study := config.get("study") if task in STUDYING else None:
        values = {key: value for key, value in study.items() if key != "name"}
        options_of(options_class(str(study.get("name"))), values, "study")
    return read


def keys_of(*classes: Any) -> list[str]:
    """The top-level keys that options are read from."""
    return list(dict.fromkeys(field.name for kind in classes for field in fields(kind)))
