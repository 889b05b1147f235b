"""The interpolations that conf/ may use beside OmegaConf's own: known in every process that imports this module.

OmegaConf's own ``oc.env`` also sees to it that no result shows what it gave.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import omegaconf
from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from src.core.configuration import LEFT_OUT, identity
from src.core.paths import ROOT
from src.core.redaction import hide_value

SUBDIR = "${job_folder:${label}}"  # of conf/config.yaml
LONGEST = 200  # bytes of a folder's name: files that are named by it have longer names


def register() -> None:
    """Make the resolvers known; harmless when repeated."""
    older = omegaconf.__version__.startswith("2.3.")
    add: Any = OmegaConf.register_new_resolver if older else OmegaConf.register_resolver
    add("oc.env", _environment, replace=True)
    add("project", lambda: str(ROOT), replace=True)
    add("job_folder", _job_folder, replace=True)
    add("variants", _variants, replace=True)
    add("ours", _ours, replace=True)
    add("family", _family, replace=True)
    add("of_class", _of_class, replace=True)


def _environment(name: str, *default: Any) -> str | None:
    if name in os.environ:
        hide_value(name, os.environ[name])
    value: str | None = oc.env(name, *default)
    return value


def _variants(depth: int, integration: Any, count: int | None = None) -> str:
    """The baseline and all variants of a depth, or ``count`` of them spread over the design, as values of a sweep."""
    from src.methods.widths import variants as design

    ids = range(len(design.variants(depth, integration=integration)))
    if count is not None:
        return ",".join([design.BASELINE, *map(str, design.spread(count, depth, integration))])
    return ",".join([design.BASELINE, *map(str, ids)])


def _ours(value: Any, *, _parent_: DictConfig) -> Any:
    """An option that a recipe sets for networks of ours; any other network is built without it."""
    return LEFT_OUT if ":" in str(OmegaConf.select(_parent_, "name")) else value


def _family(model: Any) -> str:
    """What a network is called in labels: presets of one model differ (resnet, resnext)."""
    from src.networks.options import family

    return family({"name": "", **model})


def _of_class(values: Sequence[Any], target: Any, names: str) -> Any:
    """The value of the target class, which is a number or one of the well-known ``names``."""
    from src.core.errors import UserError
    from src.data.class_names import NAMES

    if OmegaConf.is_list(target):
        listed = ",".join(map(str, target))
        message = f"target_class=[{listed}]: each class has an epoch of its own; take one, or set weak.select=best"
        raise UserError(message, "target_class")
    known = NAMES[names][: len(values)]
    number = known.index(target) if target in known else target
    if number not in range(len(values)):
        listed = ", ".join(f"{place} {name}" for place, name in enumerate(known))
        message = f"target_class={target}: the strong network has no class {target}; its classes: {listed}"
        raise UserError(message, "target_class")
    return values[number]


def job_folder(config: Mapping[str, Any]) -> str:
    """``<label>-<identity>``: the same job has the same folder in a sweep, in a single run, on any launcher.

    A job that stops after a stage is another one: ``<stage>-<identity>``. A label is cut where it is too long for a
    folder's name, and is one part of a path; the result has it as it is.
    """
    return _folder(str(config["until"] or config["label"]), identity(config)[:8])


def _folder(label: str, end: str) -> str:
    short = label.replace("/", "_").encode()[: LONGEST - len(end) - 1].decode(errors="ignore")
    return f"{short}-{end}"


def _job_folder(label: str, *, _root_: DictConfig) -> str:
    from src.core.errors import UserError
    from src.jobs.border import plain

    try:
        return job_folder({**plain(_root_), "label": label})
    except UserError:  # the job will say what is wrong; the other jobs of its sweep must not die of it
        return _folder(str(label), "refused")


register()
