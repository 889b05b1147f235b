"""What each task is told: these options, and no other key of a configuration, decide what its job finds.

Imports no torch: a sweep's parent reads it.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

from src.artifacts.options import (
    CheckpointOptions,
    ComposedOptions,
    ExtractedOptions,
    ImagesOptions,
    PatchedOptions,
    Resamples,
    TrainedOptions,
    VariantOptions,
)
from src.core.errors import UserError, suggestion
from src.core.options import Seed, Words, options, options_of
from src.studies.class_change.options import AddClass
from src.studies.composition.options import Compose
from src.studies.invariance.options import Invariance
from src.studies.local_global.options import LocalGlobal
from src.studies.patching.options import Modularize, Patch
from src.studies.protocol import study_options
from src.studies.transfer.options import Transfer


@options
class Train(TrainedOptions):
    seed: Seed
    resamples: Resamples


@options
class TrainVariant(VariantOptions):
    seed: Seed
    resamples: Resamples


@options
class TrainModule(ComposedOptions):
    module: Annotated[int | str, Words("a node of the tree by number or name")]
    resamples: Resamples


@options
class Store:
    seed: Seed
    prune: Literal["none", "unused", "all_leftovers"]


@options
class Dashboard:
    """Which workspaces are written: of experiments by name, or of all."""

    seed: Seed
    experiments: tuple[str, ...] | None


@options
class Measure:
    """What any subject and any study have in common; the subject's kind adds what its networks are made of."""

    subject: dict[str, Any]
    study: dict[str, Any]
    seed: Seed
    resamples: Resamples


@options
class Compare:
    """Of the page over many jobs."""

    folders: tuple[str, ...]
    seed: Seed
    resamples: Resamples


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
    "local_global": LocalGlobal,
    "measure": Measure,
    "store": Store,
    "dashboard": Dashboard,
    "compare": Compare,
}

#: Task -> tasks that an experiment of it may be given instead: they make a part of what it makes, as jobs of their own.
PARTS: dict[str, tuple[str, ...]] = {"compose": ("train_module",)}

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
    "packaged": ImagesOptions,
}

#: Kind of subject -> what its own section says, where that is more than words.
SECTIONS: dict[str, type[Any]] = {"checkpoint": CheckpointOptions}


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
        if kind in SECTIONS:
            options_of(SECTIONS[kind], config["subject"], "subject")
    read = tuple(options_of(kind, {key: config[key] for key in keys_of(kind) if key in config}) for kind in classes)
    if task in STUDYING:
        study_options(config["study"])
    return read


def keys_of(*classes: Any) -> tuple[str, ...]:
    """The top-level keys that options are read from."""
    return tuple(dict.fromkeys(field.name for kind in classes for field in fields(kind)))
