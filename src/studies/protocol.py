"""What a study is: options, a check, an estimate, panels and a verdict; found by its folder, imported when it is used.

A study is a folder ``NAME`` with two files:

``options.py``: ``Options``, made by :func:`src.core.options.options`; it imports no torch, for a sweep's parent reads
it. Ours also have a ``VERSION``, raised by hand when findings change; a user's own study is known by its source.

``study.py``: the four functions of :class:`Study`; and, where the page is to begin in plain words,
``opening(options, subject, images)``, before anything trains, and ``steps(findings)``, the rest of its drawing.

Beside them stand what they need (``panels.py``, ``findings.py``), its manual ``README.md``, and its values and
comments in ``conf/study/NAME.yaml``. There is no table of studies to edit.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from src.core.code import code_digest
from src.core.errors import UserError, suggestion
from src.core.options import options_of
from src.core.own import own_folder
from src.core.paths import ROOT

if TYPE_CHECKING:
    from src.artifacts.examined_subject import Examined
    from src.core.result import Opening, Panel, Step, Verdict
    from src.data.image_set import ImageSet
    from src.report.session import Session


@dataclass(frozen=True)
class Run:
    """What a study may use of the job that it is part of.

    Attributes:
        session: stages with bars, and events: every fallback taken, every reduction made.
        seed: of the job.
        resamples: of the bootstrap.
    """

    session: Session
    seed: int
    resamples: int


class Study(Protocol):
    """The functions of a ``study.py``."""

    check: Callable[[Any, ImageSet | None], None]
    """(options, test images) -> None. Refuses by UserError before anything trains. The images are None where only the
    network itself tells its classes (checkpoints, networks that come trained)."""

    estimate: Callable[[Examined, Any, Run], Any]
    """(examined, options, run) -> findings: tensors and Estimates, no tables, no words."""

    panels: Callable[[Any], Iterable[Panel]]
    """findings -> what is shown, in the order of the page."""

    verdict: Callable[[Any], Verdict]
    """findings -> the sentence, the metrics, and the row in a table over many jobs."""


def studies() -> dict[str, str]:
    """Name -> dotted name of its package, of all folders with a ``study.py``. Nothing is imported.

    Raises:
        UserError: two folders have one name.
    """
    names: dict[str, str] = {}
    mine = own_folder()
    homes = [(ROOT / "src" / "studies", "src.studies"), *([(mine / "studies", "studies")] if mine else [])]
    for folder, package in homes:
        for path in sorted(folder.glob("*/study.py")):
            name = path.parent.name
            if name in names:
                raise UserError(f"study '{name}' stands in {path.parent} and as {names[name]}; give yours another name")
            names[name] = f"{package}.{name}"
    return names


def options_class(name: str) -> type[Any]:
    """The ``Options`` of a study.

    Raises:
        UserError: there is no such study.
    """
    kind = getattr(_module(name, "options"), "Options", None)
    if not hasattr(kind, "__pydantic_config__"):
        raise UserError(f"study '{name}': its options.py has no class Options made by @options; add it")
    return cast(type[Any], kind)


def study_options(section: Mapping[str, Any]) -> Any:
    """The section ``study`` of a configuration as the options of the study that it names.

    Raises:
        UserError: there is no such study, or an option is missing or not allowed.
    """
    values = {key: value for key, value in section.items() if key != "name"}
    return options_of(options_class(str(section.get("name"))), values, "study")


def version_of_study(name: str) -> str:
    """The version of a study's findings: of ours the number that is raised by hand, of a user's own its source."""
    package = _package(name)
    if package.startswith("src."):
        return str(_module(name, "options").VERSION)
    return "".join(f"-{code_digest(f'python:{package}.{part}:')}" for part in ("options", "study"))


def study_of(name: str) -> Study:
    """The study's functions; brings whatever it measures with.

    Raises:
        UserError: there is no such study, or it lacks one of the functions.
    """
    module = _module(name, "study")
    for function in ("check", "estimate", "panels", "verdict"):
        if not callable(getattr(module, function, None)):
            raise UserError(f"study '{name}': {module.__file__} has no function '{function}'; add it")
    return cast(Study, module)


def opening_of(name: str, options: Any, subject: str, images: str) -> Opening:
    """How the page begins; a study that says nothing of it has a title of these words.

    Args:
        subject, images: what is examined on what, in words.

    Raises:
        UserError: the study's function returns something else.
    """
    from src.core.result import Opening

    says = getattr(_module(name, "study"), "opening", None)
    if says is None:
        return Opening(f"{name.replace('_', ' ').capitalize()} of {subject} ({images})", "")
    opening = says(options, subject, images)
    if not isinstance(opening, Opening):
        kind = type(opening).__name__
        raise UserError(f"study '{name}': opening() returned a {kind}; it has to return a src.core.result.Opening")
    return opening


def steps_of(name: str, findings: Any) -> tuple[list[Step], list[Panel]]:
    """The boxes behind the network's in the drawing of what was done, with their pictures; by default none."""
    steps = getattr(_module(name, "study"), "steps", None)
    return steps(findings) if steps else ([], [])


def how_to_add(name: str) -> str:
    """What a user has to write for a study of this name, in words."""
    mine = own_folder()
    files = f"studies/{name}/options.py, studies/{name}/study.py and conf/study/{name}.yaml"
    return f"your own needs {files} in {mine}" if mine else f"your own is found by own=FOLDER, which holds {files}"


def _package(name: str) -> str:
    known = studies()
    if name in known:
        return known[name]
    mine = own_folder()
    if mine and ((mine / "studies" / name).is_dir() or (mine / "conf" / "study" / f"{name}.yaml").is_file()):
        file = mine / "studies" / name / "study.py"
        raise UserError(f"study.name={name}: {file} is missing; a study needs options.py and study.py there")
    raise UserError(f"study.name={name}: {suggestion(name, known)}")


def _module(name: str, part: str) -> Any:
    module = f"{_package(name)}.{part}"
    try:
        return importlib.import_module(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise UserError(f"study '{name}': its folder has no {part}.py; it needs options.py and study.py") from None
        if module.startswith("src."):
            raise
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UserError(f"study '{name}': {part}.py cannot be imported ({said}); mend it") from error
