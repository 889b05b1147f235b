"""What results do not say: values that came from the environment, and where this machine has its folders.

A process gathers both as it learns of them; what it writes for others passes through :func:`redacted`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHORTEST = 8  # characters: no secret is shorter, and a seed or a device may stand in any text
OURS = "CNN_ANATOMY_"  # begins the names of variables that name folders

_values: dict[str, str] = {}  # text -> what is written in its place; the longest first
_folders: dict[str, str] = {}


def hide_value(name: str, value: str) -> None:
    """From now on ``value`` is written as the interpolation of the environment's variable ``name``."""
    if len(value) >= SHORTEST and not name.startswith(OURS):
        _values.update({value: f"${{oc.env:{name}}}"})
        _sort(_values)


def hide_folders(folders: Mapping[str, str | None]) -> None:
    """From now on paths are written relative to these: name -> folder; of equal ones the last name counts."""
    _folders.clear()
    for name, folder in folders.items():
        place = Path(os.path.abspath(os.path.expanduser(folder or "/")))
        _folders.update({str(path): name for path in (place, place.resolve()) if path != path.parent})
    _sort(_folders)


def redacted(plain: Any, folders: bool = True) -> Any:
    """The same with nothing in its texts that is hidden; keys of mappings stay.

    Args:
        folders: hide them, too.
    """
    if isinstance(plain, str):
        return _redacted(plain, folders)
    if isinstance(plain, Mapping):
        return {key: redacted(value, folders) for key, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [redacted(value, folders) for value in plain]
    return plain


def _redacted(text: str, folders: bool) -> str:
    for value, written in _values.items():
        if value in text:
            text = text.replace(value, written)
    for folder, name in _folders.items() if folders else ():
        if folder in text:  # and not as a part of a longer name
            text = re.sub(rf"(?<![\w.~-]){re.escape(folder)}(?![\w-]|\.\w)", name, text)
    return text


def _sort(texts: dict[str, str]) -> None:
    ordered = sorted(texts.items(), key=lambda pair: -len(pair[0]))
    texts.clear()
    texts.update(ordered)
