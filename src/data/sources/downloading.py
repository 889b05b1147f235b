"""torchvision's data sets, fetched where they are missing, with one clear line where that is not possible."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from src.core.errors import UserError

T = TypeVar("T")
_PATIENCE = 30.0  # seconds without a byte; torchvision itself waits for ever


def fetch(name: str, root: str, download: bool, build: Callable[[Any, str], T]) -> T:
    """``build(torchvision.datasets.<name>, root)``, every failure of which becomes one line.

    Raises:
        UserError: files are missing and not to be fetched, or cannot be, or are damaged.
    """
    from torchvision import datasets

    place = f"data.source.root={root}"
    if not download and not Path(root).is_dir():
        raise UserError(f"{place}: no such folder; set data.source.download=true to fetch {name} into it")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        return build(getattr(datasets, name), root)
    except (RuntimeError, OSError, EOFError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())[:160]
        todo = "put its files there, or try again with a network" if download else "set data.source.download=true"
        raise UserError(f"{place}: {name} is not there, or damaged, and was not fetched ({reason}); {todo}") from error
    finally:
        socket.setdefaulttimeout(before)
