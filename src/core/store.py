"""What one job leaves for another: checkpoints, importance tables, modules, found by what they were made of.

An entry is a folder ``<root>/<kind>/<digest>/`` with its files and a ``manifest.json`` (key, checksums, notes). It is
built in ``<digest>.work/`` under a lock and renamed when complete, so that an entry is there whole or not at all, ten
jobs at once build it once, and a killed builder finds its own work folder again.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.files import checksum, damaged_file, read_json, write_json

if TYPE_CHECKING:
    from filelock import FileLock

MANIFEST = "manifest.json"
EDITION = 2  # of the house that made an entry: recorded, for the reader


@dataclass(frozen=True)
class Key:
    """What an entry is made of. Equal keys are the same entry.

    Attributes:
        kind: what it is (``checkpoint``, ``modules`` ...), also its folder.
        recipe: everything that decides its content, as plain values.
        version: raised by hand when the code that makes this kind changes its content; old entries become stale.
        parents: digests of the entries it is built from.
    """

    kind: str
    recipe: Mapping[str, Any]
    version: int = 1
    parents: tuple[str, ...] = ()

    def digest(self) -> str:
        return digest_of({"kind": self.kind, "recipe": self.recipe, "version": self.version, "parents": self.parents})


@dataclass(frozen=True)
class Entry:
    """A complete entry: ``folder`` holds its files, ``notes`` what its builder reported."""

    kind: str
    digest: str
    folder: Path
    notes: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    built: bool = False  # by this very call of `make`, not found

    @property
    def older(self) -> bool:
        """Whether an older edition of the house made it."""
        return int(self.manifest.get("edition", 1)) < EDITION

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


class Store:
    """The entries below ``root``.

    ``find`` and ``make`` verify checksums; a damaged entry is moved to ``<root>/quarantine`` and counts as missing.
    """

    def __init__(self, root: Path, on_event: Callable[[str], None] | None = None) -> None:
        self.root = root
        self._event = on_event or (lambda text: None)

    def find(self, key: Key) -> Entry | None:
        """The entry of ``key`` if it is complete and undamaged, else None."""
        folder = self._folder(key)
        if folder.exists() and _fault(folder):
            with self._lock(key):  # or what another job has made anew meanwhile would be moved aside
                return self._find_alone(key)
        return _entry(key, folder)

    def _find_alone(self, key: Key) -> Entry | None:
        """As :meth:`find`, for the one who holds the lock."""
        folder = self._folder(key)
        fault = _fault(folder) if folder.exists() else ""
        if fault:
            self._quarantine(folder, fault)
        return _entry(key, folder)

    def make(self, key: Key, build: Callable[[Path], Mapping[str, Any] | None]) -> Entry:
        """The entry of ``key``, built if it is missing.

        Args:
            key: what is wanted.
            build: fills the folder it is given and returns notes (plain values) for the manifest. The folder may hold
                what an earlier, killed build had left there. One process builds at a time; the others wait.
        """
        found = self.find(key)
        if found:
            return found
        folder = self._folder(key)
        with self._lock(key):
            found = self._find_alone(key)
            if found:
                return found
            work = folder.with_name(f"{folder.name}.work")
            work.mkdir(exist_ok=True)
            start = time.time()
            notes = dict(build(work) or {})
            for partial in [path for path in _files(work) if path.name.startswith(".")]:  # of writers that were killed
                partial.unlink()
            manifest = {
                "kind": key.kind,
                "digest": key.digest(),
                "version": key.version,
                "edition": EDITION,
                "parents": list(key.parents),
                "recipe": key.recipe,
                "notes": notes,
                "seconds": round(time.time() - start, 3),
                "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "files": {str(path.relative_to(work)): checksum(path) for path in _files(work)},
            }
            write_json(work / MANIFEST, manifest, allow_nan=True)
            os.replace(work, folder)
        # as a later reader will see them (tuples have become lists)
        return Entry(key.kind, key.digest(), folder, read_json(folder / MANIFEST)["notes"], manifest, built=True)

    def entries(self) -> Iterator[Entry]:
        """All complete entries; their checksums are not verified."""
        for path in sorted(self.root.glob(f"*/*/{MANIFEST}")):
            if path.parent.parent.name == "quarantine" or path.parent.suffix == ".work":
                continue
            try:
                manifest = read_json(path)
            except ValueError:  # who looks for it moves it aside
                continue
            yield Entry(manifest["kind"], manifest["digest"], path.parent, manifest["notes"], manifest)

    def leftovers(self) -> list[Path]:
        """Folders of builds that were killed or are under way, and of entries that were moved aside as damaged."""
        return sorted([*self.root.glob("[!q]*/*.work"), *(self.root / "quarantine").glob("*")])

    def prune(self, keep: set[str]) -> list[Entry]:
        """Delete all entries whose digest is not in ``keep`` and that no kept entry descends from."""
        entries = {entry.digest: entry for entry in self.entries()}
        wanted, queue = set(), [digest for digest in keep if digest in entries]
        while queue:
            digest = queue.pop()
            if digest in entries and digest not in wanted:
                wanted.add(digest)
                queue += entries[digest].manifest["parents"]
        pruned = [entry for digest, entry in entries.items() if digest not in wanted]
        for entry in pruned:
            shutil.rmtree(self._set_aside(entry.folder))
        return pruned

    def _set_aside(self, folder: Path) -> Path:
        """Out of the way in one step, so that an entry is there whole or not at all; where it lies now."""
        target = self.root / "quarantine" / f"{folder.parent.name}-{folder.name}-{time.time_ns()}"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder, target)
        return target

    def _folder(self, key: Key) -> Path:
        return self.root / key.kind / key.digest()

    def _lock(self, key: Key) -> "FileLock":
        from filelock import FileLock

        folder = self._folder(key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{folder}.lock")

    def _quarantine(self, folder: Path, fault: str) -> None:
        try:
            self._set_aside(folder)
        except FileNotFoundError:  # another job was faster
            return
        self._event(f"store entry {folder.parent.name}/{folder.name} is damaged ({fault}): moved aside and made again")


def digest_of(plain: Any) -> str:
    """16 hexadecimal digits that equal plain values share, whatever the order of their keys.

    Raises:
        TypeError: a value is not plain (JSON).
    """
    plain = json.loads(json.dumps(plain, allow_nan=False))  # keys become strings before they are sorted
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def _entry(key: Key, folder: Path) -> Entry | None:
    if not folder.exists():
        return None
    manifest = read_json(folder / MANIFEST)
    return Entry(key.kind, key.digest(), folder, manifest["notes"], manifest)


def _fault(folder: Path) -> str:
    """Why the entry cannot be believed, or nothing."""
    try:
        return damaged_file(folder, read_json(folder / MANIFEST)["files"])
    except (OSError, ValueError, KeyError):
        return "no readable manifest"
