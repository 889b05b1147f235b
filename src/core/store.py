"""What one job leaves for another: checkpoints, importance tables, modules, found by what they were made of.

An entry is a folder ``<root>/<kind>/<digest>/`` with its files and a ``manifest.json`` (key, checksums, notes). It is
built in a work folder of its builder's own and renamed when complete, so that an entry is there whole or not at all.
Under a lock and a claim ten jobs at once build it once; of a killed builder the next one has claim and work folder.
"""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.core.claims import CLAIM, claimed, holder, lives
from src.core.files import checksum, damaged_file, read_json, sync, write_json
from src.core.redaction import redacted

MANIFEST = "manifest.json"
WORK = ".work"  # ends the name of a folder in which an entry is built
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
    """The entries below ``root``; ``making`` is entered while one is built in a folder.

    ``find`` and ``make`` verify checksums; a damaged entry is moved to ``<root>/quarantine`` and counts as missing.
    """

    def __init__(
        self,
        root: Path,
        on_event: Callable[[str], None] | None = None,
        making: Callable[[Key, Path], AbstractContextManager[None]] | None = None,
    ) -> None:
        self.root = root
        self._event = on_event or (lambda text: None)
        self._making = making or (lambda key, folder: nullcontext())

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
                what an earlier, killed build had left there, and its files whose names begin with a dot are no part of
                the entry. One process builds at a time; the others wait.
        """
        found = self.find(key)
        if found:
            return found
        with self._lock(key):
            while True:
                entry = self._find_alone(key) or self._built(key, build)
                if entry:
                    return entry

    def _built(self, key: Key, build: Callable[[Path], Mapping[str, Any] | None]) -> Entry | None:
        """The entry, built now; None where another host has done it, or took this process for dead and is at it."""
        folder = self._folder(key)
        with claimed(_claim(folder), no_more=folder.exists) as word:
            if not word or folder.exists():
                return None
            work = _work(folder, word)
            try:
                built = not _is_whole(work)  # else a job was killed just before the entry had its name
                if built:
                    with self._making(key, work):
                        manifest = _filled(key, work, build)
                else:
                    manifest = read_json(work / MANIFEST)
                for hidden in [path for path in work.rglob(".*") if path.is_file()]:
                    hidden.unlink()
                os.replace(work, folder)
            except Exception:
                if work.exists() and not folder.exists():
                    raise
                shutil.rmtree(work, ignore_errors=True)  # that of who ends second is thrown away
                return None
            sync(folder.parent)
            for other in folder.parent.glob(f"{folder.name}*{WORK}"):
                shutil.rmtree(other, ignore_errors=True)
        # as a later reader will see them (tuples have become lists)
        return Entry(key.kind, key.digest(), folder, read_json(folder / MANIFEST)["notes"], manifest, built=built)

    def entries(self) -> Iterator[Entry]:
        """All complete entries; their checksums are not verified."""
        for path in sorted(self.root.glob(f"*/*/{MANIFEST}")):
            if path.parent.parent.name == "quarantine" or path.parent.suffix == WORK:
                continue
            try:
                manifest = read_json(path)
            except ValueError:  # who looks for it moves it aside
                continue
            yield Entry(manifest["kind"], manifest["digest"], path.parent, manifest["notes"], manifest)

    def leftovers(self) -> list[Path]:
        """Folders of builds that were killed, and of entries that were moved aside as damaged."""
        dead = [work for work in self.root.glob(f"[!q]*/*{WORK}") if not _is_under_way(work)]
        return sorted([*dead, *(self.root / "quarantine").glob("*")])

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

    @contextmanager
    def _lock(self, key: Key) -> Iterator[None]:
        """The fast way to wait for other builders; where a disk has no locks, claims have to do."""
        from filelock import FileLock

        folder = self._folder(key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            try:
                held.enter_context(FileLock(f"{folder}.lock"))
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
                    raise
            yield

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


def _claim(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{CLAIM}")


def _work(folder: Path, word: str) -> Path:
    """The work folder of who holds the claim: that of a dead builder under a new name, so that he finds it no more."""
    work = folder.with_name(f"{folder.name}.{word}{WORK}")
    with suppress(FileNotFoundError):  # one that was thought dead has ended
        left = sorted(folder.parent.glob(f"{folder.name}*{WORK}"), key=lambda path: path.stat().st_mtime_ns)
        for newest in left[-1:]:
            os.rename(newest, work)
    work.mkdir(exist_ok=True)
    return work


def _is_under_way(work: Path) -> bool:
    """Whether a living process builds in this work folder."""
    digest, _, word = work.stem.partition(".")
    claim = _claim(work.with_name(digest))
    return bool(word) and holder(claim) == word and lives(claim)


def _filled(key: Key, work: Path, build: Callable[[Path], Mapping[str, Any] | None]) -> dict[str, Any]:
    """Build in ``work``; the manifest, written last."""
    (work / MANIFEST).unlink(missing_ok=True)
    start = time.time()
    notes = dict(build(work) or {})
    files = _files(work)
    manifest = {
        "kind": key.kind,
        "digest": key.digest(),
        "version": key.version,
        "edition": EDITION,
        "parents": list(key.parents),
        "recipe": redacted(key.recipe),
        "notes": notes,
        "seconds": round(time.time() - start, 3),
        "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "files": {str(path.relative_to(work)): checksum(path) for path in files},
    }
    for path in {*files, *(path.parent for path in files)}:
        sync(path)
    write_json(work / MANIFEST, manifest, allow_nan=True)
    return manifest


def _files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST and path.name[0] != "."
    )


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


def _is_whole(folder: Path) -> bool:
    return (folder / MANIFEST).exists() and not _fault(folder)
