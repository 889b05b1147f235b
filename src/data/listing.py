"""What lies in folders of images: which files are images, which folders are classes or parts of a data set.

Names that begin with a dot and those that systems leave (`_SYSTEM`) are never images or classes. Whatever is passed
over is counted by kind.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from src.core.errors import UserError
from src.data.picture import ENDINGS

Part = Literal["train", "validation", "test"]
PARTS: Mapping[str, Part] = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What folders are called that hold a part of a data set, in any case."""
_SYSTEM = {"__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db", "$recycle.bin", "system volume information", "@eadir",
           "lost+found", "__pycache__"}  # fmt: skip


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is the system's own."""
    return name.startswith(".") or name.lower() in _SYSTEM


def entries(folder: Path | str, passed_over: Counter[str] | None = None) -> list[os.DirEntry[str]]:
    """What lies in a folder and is not hidden, by name; the hidden is counted.

    Raises:
        UserError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as listed:
            shown = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"{shortened(folder)}: cannot be listed ({error.strerror}); check it, or move it away"
        ) from None
    if passed_over is not None:
        passed_over["hidden or of the system"] += sum(is_hidden(entry.name) for entry in shown)
    return [entry for entry in shown if not is_hidden(entry.name)]


def shortened(path: Path | str, most: int = 200) -> str:
    """A path as text, without the middle of a very long one."""
    text = str(path)
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def files_below(
    folder: Path, endings: Collection[str] | None = ENDINGS, passed_over: Counter[str] | None = None
) -> Iterator[Path]:
    """Files with such endings (None: with any), in any depth and order; folders that are links are not entered.

    What has the name of an image and is no file (a pipe, a broken link) is among them: whoever opens it says so.

    Raises:
        UserError: a folder cannot be listed.
    """
    waiting = [str(folder)]
    while waiting:  # a tree may be thousands deep
        below = []
        for entry in entries(waiting.pop(), passed_over):
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            elif not entry.is_dir() and (endings is None or os.path.splitext(entry.name)[1].lower() in endings):
                yield Path(entry.path)
            elif passed_over is not None:
                passed_over[_kind(entry)] += 1
        waiting += below


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_dir():
        return "links to folders"
    ending = os.path.splitext(entry.name)[1].lower()
    return f"called {ending}" if ending else "without an ending"


def parts_of(root: Path) -> tuple[dict[Part, Path], list[Path]]:
    """Folders of a data set's parts, of a folder with classes none; and beside them those whose images have no class.

    A folder is a part that is called so (`PARTS`) and has folders in it; else it is a class, where there are no parts.

    Raises:
        UserError: parts lie beside other folders, or two folders are the same part.
    """
    folders = [Path(entry.path) for entry in entries(root) if entry.is_dir()]
    called: dict[Path, Part] = {}
    for folder in folders:
        part = PARTS.get(folder.name.lower())
        if part is not None and any(entry.is_dir() for entry in entries(folder)):
            called[folder] = part
    if not called:
        return {}, []
    beside = [folder for folder in folders if folder not in called and next(files_below(folder), None) is not None]
    flat = [folder for folder in beside if folder.name.lower() in PARTS]  # of competitions: images to be labelled
    if classes := [folder.name for folder in beside if folder not in flat]:
        raise UserError(
            f"data.source.root={root}: '{next(iter(called)).name}' is called like a part of a data set and has folders "
            f"in it, '{classes[0]}' beside it is a class; move the classes into train and test, or rename the former"
        )
    parts: dict[Part, Path] = {}
    for folder, part in called.items():
        if part in parts:
            raise UserError(f"data.source.root={root}: {parts[part].name} and {folder.name} are both the {part} part; "
                            "merge them")  # fmt: skip
        parts[part] = folder
    return parts, flat


def in_order(names: Sequence[str]) -> list[str]:
    """Names of classes in alphabetic order; where all are whole numbers, in that of the numbers."""
    numbers = all(re.fullmatch(r"\d+", name, re.ASCII) for name in names)
    return sorted(names, key=lambda name: (int(name), name) if numbers and len(name) < 1000 else (0, name))


def events_of(passed_over: Mapping[str, int], place: Path) -> list[str]:
    """One line where anything was passed over."""
    kinds = [f"{count:,} {kind}" for kind, count in sorted(passed_over.items()) if count]
    return [f"data.source: passed over in {place}: {', '.join(kinds)}"] if kinds else []
