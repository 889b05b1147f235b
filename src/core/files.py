"""Files that are there whole or not at all, and JSON that knows when it is damaged."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

CHECKSUM = "checksum"  # of a JSON file, over everything else in it
#: What a spreadsheet takes for a formula at the beginning of a cell; a quote before it makes it a word.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def without_formula(cell: str) -> str:
    """The text of a cell of a CSV, which is no formula to a spreadsheet."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` so that a reader sees the old file or the whole new one, never a part."""
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of ``path`` as the body ends well, and vanishes where it does not."""
    with placing(path) as temporary, temporary.open("wb") as file:
        yield file


@contextmanager
def placing(path: Path) -> Iterator[Path]:
    """As :func:`replacing`, for libraries that open files themselves: the name of an empty one beside ``path``.

    Its name begins with a dot and is never given twice: a process that was taken for dead may still write to its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Returns when a file's content, or the names in a folder, outlast a loss of power."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # folders, under Windows
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # there are file systems that cannot do it to a folder
            raise
    finally:
        os.close(handle)


def damaged_file(folder: Path, files: Any) -> str:
    """Which of ``files`` (name -> checksum) is missing below ``folder`` or has another checksum, or nothing."""
    if not isinstance(files, dict):
        return "its list of files cannot be read"
    for name, expected in files.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if checksum(folder / name) != expected:
            return f"{name} has another checksum"
    return ""


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, plain: Mapping[str, Any], allow_nan: bool = False) -> None:
    """Write plain values atomically, with a checksum of their own that :func:`read_json` holds them to."""
    found = json.loads(json.dumps(plain, allow_nan=allow_nan, default=str))
    found.pop(CHECKSUM, None)  # of what was read and is written again
    write_atomically(path, json.dumps({**found, CHECKSUM: _digest(found)}, indent=2))


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """What :func:`write_json` wrote, or any other JSON object.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run the job again") from None
    if not isinstance(plain, dict):
        raise ValueError(f"{path} is damaged (no JSON object): delete it and run the job again")
    if CHECKSUM in plain and plain.pop(CHECKSUM) != _digest(plain):
        raise ValueError(f"{path} is damaged (its checksum does not hold): delete it and run the job again")
    return plain
