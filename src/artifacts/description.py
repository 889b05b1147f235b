"""What a file of weights is said to hold: by the command line, and by a ``subject.json`` beside it.

This project leaves such a description beside its own files; others can write one (src/networks/README.md). It is data:
the code that it names is imported only where the user named it as well.

Imports no torch, so that a job that lacks something is refused first.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt

from src.artifacts.options import CheckpointOptions, Classes
from src.core.code import names_of_code
from src.core.errors import UserError
from src.core.files import read_json
from src.core.options import options, options_of
from src.core.paths import DESCRIPTION
from src.core.result import FILE as RESULT
from src.core.store import MANIFEST

ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".tar", ".safetensors")


@options
class Description:
    """What a ``subject.json`` may say; what it leaves out is null, or as most networks have it.

    Attributes:
        architecture: name and options of the network, its number of ``classes`` and its ``input_shape``.
        classes: in the order of the outputs.
        mean, std: per channel, of images in 0..1.
        kept, lineage, notes, contrast, interpolation: of a :class:`src.networks.subjects.Subject`.
        code: digests of the user's own code that it was saved with.
    """

    architecture: dict[str, Any] | None = None
    classes: Classes = None
    mean: tuple[float, ...] | None = None
    std: tuple[Annotated[float, Gt(0)], ...] | None = None
    kept: list[list[int]] | None = None
    lineage: tuple[str, ...] = ()
    notes: dict[str, Any] | None = None
    contrast: str = "none"
    interpolation: str = "bilinear"
    code: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """The network's."""
        return str((self.architecture or {}).get("name", ""))

    def __post_init__(self) -> None:
        if self.architecture is not None and not isinstance(self.architecture.get("name"), str):
            raise UserError("architecture.name: missing; give the network's, such as torchvision:resnet18")
        if (self.mean is None) != (self.std is None):
            raise UserError("mean, std: one without the other; give both or none")


def described(asked: CheckpointOptions, outputs: Path) -> Description:
    """The file's description, with what the configuration says in its place; its architecture is there.

    Args:
        outputs: folder in which the jobs of this project leave theirs; the code that those name was named by the user.

    Raises:
        UserError: there is no such file, nothing says which network it is of, or code that the user did not name.
    """
    path, given = Path(asked.path).expanduser(), f"subject.path={asked.path}"
    if not path.is_file():
        reason = "it is a folder; give the file in it" if path.is_dir() else "no such file; give the path of one"
        raise UserError(f"{given}: {reason}", "subject.path")
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"{given}: allowed is a file that ends in {', '.join(ENDINGS)}; save it as one", "subject.path")
    file = path.with_name(DESCRIPTION)
    written = _written(file) if file.is_file() else Description()
    architecture = _architecture(asked.model, written)
    if architecture is None:
        raise UserError(
            f"{given}: nothing says which network its weights are of; add model@subject.model=torchvision "
            f"subject.model.name=torchvision:resnet18, say, or write {DESCRIPTION} beside it",
            "subject.model",
        )
    granted = {name for _, name in names_of_code({"model": asked.model or {}})} | set(_code_of_jobs(path, outputs))
    foreign = sorted({name for _, name in names_of_code({"architecture": architecture})} - granted)
    if foreign:
        raise UserError(
            f"{file}: builds the network by code ({', '.join(foreign)}), which no file may start by itself; if you "
            f"trust it, add model@subject.model=python subject.model.name={foreign[0]}",
            "subject.model",
        )
    kept = written.kept if architecture["name"] == written.name else None
    return replace(written, architecture=architecture, classes=asked.classes or written.classes, kept=kept)


def _written(file: Path) -> Description:
    try:
        return options_of(Description, read_json(file))
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{file}: cannot be read as JSON ({reason}); mend it or take it away") from None


def _architecture(model: Mapping[str, Any] | None, written: Description) -> dict[str, Any] | None:
    """The configuration's network goes first; where the file's is the same, or made of it, that one says the rest."""
    if model is None or written.architecture is None:
        return dict(model) if model else written.architecture
    if model["name"] == written.name:
        return {**written.architecture, **model}
    of_it = any(name == model["name"] for _, name in names_of_code({"architecture": written.architecture}))
    return written.architecture if of_it else dict(model)


def _code_of_jobs(path: Path, outputs: Path) -> Iterator[str]:
    """Code that the configuration named of the job that left the file, where it lies below the outputs."""
    place, top = path.resolve(), outputs.expanduser().resolve()
    if not place.is_relative_to(top):
        return
    for folder in place.parents[: len(place.parents) - len(top.parents)]:
        for name in (MANIFEST, RESULT):
            with suppress(OSError, ValueError):
                yield from (code for _, code in names_of_code(read_json(folder / name)))
