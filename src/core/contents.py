"""What a file or a folder holds, as a digest: a copy elsewhere is the same data, and a changed image is other data.

Names, sizes and times only save reading a file again: the digest of a file is that of its bytes, that of a folder is of
the names and digests of its files. Hidden files are no data.
"""

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from src.core.files import checksum, read_json, write_json
from src.core.paths import DESCRIPTION
from src.core.result import FILE as RESULT

#: Keys of a configuration whose values name files or folders that decide what a job finds.
KEYS = ("root", "path", "train", "test", "files", "reference", "boxes", "conflicts", "distorted", "observers")
NO_FILE = {"conflicts": ("glyphs",)}  # words that stand in the place of a file
NO_DATA = {"Thumbs.db", "desktop.ini"}  # that systems leave in folders
UNSETTLED = 2.0  # seconds: a file that was written so recently may change again within one tick of its clock
LARGE = 2e9  # bytes whose reading takes long enough to say so

#: path -> digest, as this process knows it: one job asks for its data several times
_digests: dict[Path, str] = {}


def contents(config: Mapping[str, Any], memory: Path, write: bool = True) -> dict[str, str]:
    """Dotted key -> digest, of every value of the configuration that names a file or a folder that is there.

    Args:
        config: plain containers. What a source downloads is known by its name and left out.
        memory: folder where digests are remembered from job to job.
        write: new ones too.
    """
    return {
        key: "+".join(contents_digest(path, memory, write) for path in [*paths, *_described(key, paths)])
        for key, paths in named(config)
        if all(path.exists() for path in paths)
    }


def named(
    config: Mapping[str, Any], prefix: str = "", keys: Collection[str] = KEYS
) -> Iterator[tuple[str, list[Path]]]:
    """Dotted key and paths, of every value of the configuration that names files or folders of data by such a key."""
    for name, value in config.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from named(value, f"{key}.", keys)
        elif name in keys and prefix and not config.get("download"):
            texts = value if isinstance(value, list) else [value]
            words = NO_FILE.get(name, ())
            if texts and all(isinstance(text, str) and text and text not in words for text in texts):
                yield key, [_what_counts(name, Path(text).expanduser()) for text in texts]


def _what_counts(name: str, path: Path) -> Path:
    """Of a job whose result another one refers to that result: its page and its curves may be made anew."""
    return path / RESULT if name == "reference" and (path / RESULT).is_file() else path


def _described(key: str, paths: Sequence[Path]) -> list[Path]:
    """The description beside a file of weights."""
    beside = [path.with_name(DESCRIPTION) for path in paths if key == "subject.path"]
    return [path for path in beside if path.is_file()]


def forget() -> None:
    """Look at files again that this process knows already."""
    _digests.clear()


def contents_digest(path: Path, memory: Path | None = None, write: bool = True) -> str:
    """16 hexadecimal digits of what a file or a folder holds.

    Args:
        path: it exists.
        memory: folder where the digests of files are remembered by name, size and times; None: only in this process.
        write: what was not known yet is remembered there.
    """
    place = path.resolve()
    if place not in _digests:
        name = f"{hashlib.sha256(str(place).encode()).hexdigest()[:16]}.json"
        _digests[place] = _digest(place, memory / name if memory else None, write)
    return _digests[place]


def _digest(place: Path, memory: Path | None, write: bool) -> str:
    stamps = dict(_stamps(place))
    remembered = _remembered(memory) if memory else {}
    changed = [name for name, stamp in stamps.items() if remembered.get(name, [None])[:-1] != stamp]
    amount = sum(stamps[name][0] for name in changed)
    if amount > LARGE:
        words = f"reading {len(changed)} files ({amount / 1e9:.0f} GB) of {place} once, to know them again"
        print(words, file=sys.stderr)
    now = time.time_ns()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = dict(zip(changed, pool.map(lambda name: checksum(place / name), changed), strict=True))
    digests = {name: digests.get(name) or remembered[name][-1] for name in stamps}
    if memory and write and (changed or len(remembered) != len(stamps)):
        settled = {name: [*stamps[name], digest] for name, digest in digests.items()
                   if now - max(stamps[name][1:]) > UNSETTLED * 1e9}  # fmt: skip
        with suppress(OSError):  # nothing is lost but time
            write_json(memory, settled)
    whole = hashlib.sha256(json.dumps(sorted(digests.items())).encode())
    return whole.hexdigest()[:16]


def _stamps(place: Path) -> Iterator[tuple[str, list[int]]]:
    """Name below the place, and size and times in nanoseconds, of every file that is data; of a file itself ''."""
    if place.is_file():
        yield "", _stamp(place.stat())
        return
    top = place.stat()
    folders: list[tuple[str, str, tuple[tuple[int, int], ...]]] = [("", str(place), ((top.st_dev, top.st_ino),))]
    while folders:
        above, folder, way = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in NO_DATA:
                    continue
                try:
                    status = entry.stat()
                except OSError:  # a link to nowhere, or to itself
                    continue
                here = (status.st_dev, status.st_ino)
                if stat.S_ISREG(status.st_mode):
                    yield above + entry.name, _stamp(status)
                elif stat.S_ISDIR(status.st_mode) and here not in way:  # a link may lead back up
                    folders.append((f"{above}{entry.name}/", entry.path, (*way, here)))


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _remembered(memory: Path) -> dict[str, list[Any]]:
    try:
        return read_json(memory)
    except (OSError, ValueError):
        return {}
