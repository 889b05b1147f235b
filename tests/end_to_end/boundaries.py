"""Kills a process before its N-th operation that changes anything below a folder.

Python tells of its operations before it does them (:func:`sys.addaudithook`), whoever asks for them: ``pathlib``,
``shutil`` and ``tempfile`` too. ``torch.save``, pyarrow and Pillow write to files that Python has opened; safetensors
opens its own, so its writer is one more operation. What changes nothing (``fsync``, a folder that is there, a file that
is not) is none: a kill before it leaves what a kill before the next one leaves.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import safetensors.torch

WRITING = os.O_WRONLY | os.O_RDWR
MADE = ("os.mkdir", "os.link", "os.symlink")
REMOVED = ("os.remove", "os.rmdir", "os.rename", "os.truncate")


def watch(folder: str, journal: str, number: int, half: bool) -> None:
    """Note this process's operations below ``folder``, and kill it before one of them.

    Args:
        journal: receives a JSON line per operation: what, where, and whether a file was being written until then.
        number: of the operation, from 1 on; 0: none.
        half: what was being written until then is cut to half its size, as by a kill while it was written.
    """
    lines = os.open(journal, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    busy = threading.local()
    count = 0
    writing = ""  # the file that was opened last, until the next operation

    def before(operation: str, path: str) -> None:
        nonlocal count, writing
        count += 1
        unfinished = bool(writing) and os.path.isfile(writing) and os.path.getsize(writing) > 1
        line = [operation, os.path.relpath(path, folder), unfinished and os.path.relpath(writing, folder)]
        os.write(lines, f"{json.dumps(line)}\n".encode())
        if count == number:
            if half:
                os.truncate(writing, os.path.getsize(writing) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        writing = ""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal writing
        path = _path(*((arguments[0], -1) if event == "open" else (arguments[0], _folder_of(event, arguments))))
        if not path.startswith(f"{folder}/") and path != folder:
            return
        there = os.path.lexists(path)
        if event == "open":
            empties = there and arguments[2] & os.O_TRUNC and os.path.getsize(path)
            if empties or (not there and arguments[2] & os.O_CREAT):
                before(event, path)
            writing = path
        elif there == (event in REMOVED):
            before(event, path)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & WRITING or isinstance(arguments[0], int):
                return
        elif event not in MADE and event not in REMOVED:
            return
        if not getattr(busy, "now", False):
            busy.now = True
            try:
                look(event, arguments)
            finally:
                busy.now = False

    serialize = safetensors.torch.serialize_file

    def serialize_file(tensors: Any, filename: Any, *more: Any, **metadata: Any) -> None:
        nonlocal writing
        path = os.path.abspath(filename)
        if path.startswith(f"{folder}/"):
            before("safetensors", path)
            writing = path
        serialize(tensors, filename, *more, **metadata)

    safetensors.torch.serialize_file = serialize_file
    sys.addaudithook(hook)


def _folder_of(event: str, arguments: tuple[Any, ...]) -> int:
    """The descriptor of the folder that the path is relative to, or -1."""
    return {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1, "os.rename": 2}.get(event, -1)


def _path(path: Any, folder: int) -> str:
    name = os.fsdecode(path)
    return os.path.abspath(os.path.join(os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else "", name))


def read(journal: Path) -> list[tuple[str, str, str]]:
    """Of each operation what it was, of which path, and which file was being written until then."""
    return [tuple(json.loads(line)) for line in journal.read_text().splitlines()]
