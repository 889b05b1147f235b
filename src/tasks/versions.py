"""What a sweep must know of a task before any of its jobs runs. Imports nothing heavy: the sweep's parent reads it."""

from collections.abc import Mapping
from typing import Any

from src.artifacts.options import ENTRY_VERSIONS, AnswerOptions, ComposedOptions, ModulesOptions, StrongOptions
from src.studies.protocol import version_of_study
from src.tasks.options import STUDYING, keys_of

#: task -> (raised by hand when its own findings change, kinds of what it leaves in the store): its result is made again
#: when one of them is raised.
TASKS: dict[str, tuple[int, tuple[str, ...]]] = {
    "train": (1, ("checkpoint",)),
    "train_variant": (1, ("checkpoint", "variant")),
    "modularize": (2, ("checkpoint", "modules")),
    "patch": (2, ("checkpoint", "modules")),
    "compose": (2, ("checkpoint", "module", "composed")),
    "train_module": (1, ("checkpoint", "module")),
    "add_class": (2, ("checkpoint", "module")),
    "transfer": (1, ("checkpoint", "module")),
    "invariance": (1, ("checkpoint",)),
    "local_global": (2, ("checkpoint",)),
    "measure": (1, ("checkpoint", "variant", "modules", "module", "composed")),
}

#: Task -> stage (a value of ``until``) -> the keys of the options that decide what the stage leaves in the store.
ANCESTORS: dict[str, dict[str, tuple[str, ...]]] = {
    "modularize": {"strong": keys_of(StrongOptions)},
    "patch": {"strong": keys_of(StrongOptions), "modules": keys_of(ModulesOptions)},
    "compose": {"modules": tuple(key for key in keys_of(ComposedOptions) if key not in keys_of(AnswerOptions))},
}


def version_of(config: Mapping[str, Any]) -> str:
    """The version of a job's result: that of its task, of all that the task makes, and of its study.

    Raises:
        UserError: there is no such study.
    """
    task, kinds = TASKS.get(config["task"], (1, ()))
    studies = [config["study"]["name"]] if config["task"] in STUDYING else config.get("studies", ())
    studied = [f"{study}{version_of_study(study)}" for study in studies]
    return " ".join([str(task), *(f"{kind}{ENTRY_VERSIONS[kind]}" for kind in kinds), *studied])


def ancestors(config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The stages that jobs of this configuration could share with others."""
    return ANCESTORS.get(config["task"], {})


def expense(config: Mapping[str, Any]) -> float:
    """How long a job takes, in a unit that the jobs of one task share; 0 where nothing tells them apart."""
    if config["task"] == "train_variant":
        from src.methods.widths.costs import training_expense

        return training_expense(config["recipe"])
    return 0.0
