"""What lies below a folder of outputs: jobs, sweeps at work, what of the store results need, and W&B's runs."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from src.core.claims import CLAIM, lives
from src.core.errors import UserError
from src.core.files import read_json
from src.core.paths import PLACE
from src.core.result import FILE
from src.core.store import MANIFEST, Entry

PARTS = ("figures", "tables", "wandb")  # folders of a job in which no other one is


class Use(NamedTuple):
    """How many results need an entry, and the first of their names."""

    results: int = 0
    example: str = ""


class Runs(NamedTuple):
    """Folders in which W&B keeps runs, how large they are together, and the largest: bytes."""

    folders: int
    size: int
    largest: int


def places_below(outputs: Path) -> Iterator[tuple[Path, Collection[str]]]:
    """Every folder in which a job or a sweep may be, with the names in it; entries of the store are passed over."""
    for place, folders, files in os.walk(outputs):
        if MANIFEST in files and FILE not in files:
            folders.clear()
            continue
        yield Path(place), {*folders, *files}
        passed = (PLACE, *PARTS) if FILE in files else (PLACE,)
        folders[:] = sorted(name for name in folders if name not in passed)


def check_still(places: Sequence[tuple[Path, Collection[str]]], mine: Path, prune: str) -> None:
    """Refuse to delete while a sweep or another job is at work."""
    for place, names in places:
        sweeps = (place / PLACE).glob(f"*{CLAIM}") if PLACE in names else ()
        job = CLAIM in names and place != mine and lives(place / CLAIM)
        if job or any(map(lives, sweeps)):
            kind = "job" if job else "sweep"
            raise UserError(f"prune={prune}: a {kind} is running ({place}); wait until it ends")


def uses_of(results: Sequence[Path], entries: Sequence[Entry], prune: str) -> dict[str, Use]:
    """Digest of an entry -> the results that use it or what was built from it; also failed ones: they may run again."""
    parents = {entry.digest: tuple(entry.manifest["parents"]) for entry in entries}
    uses: dict[str, Use] = {}
    for folder in results:
        try:
            plain = read_json(folder / FILE)
        except (OSError, ValueError):
            if prune == "none":
                continue
            raise UserError(
                f"prune={prune}: {folder / FILE} is damaged, so what it uses is unknown; run its job again or delete it"
            ) from None
        name = str(plain.get("name", folder.name))
        for digest in _with_ancestors(plain.get("uses", ()), parents):
            count, example = uses.get(digest, Use())
            uses[digest] = Use(count + 1, min(name, example) if example else name)
    return uses


def _with_ancestors(digests: Sequence[str], parents: Mapping[str, Sequence[str]]) -> set[str]:
    whole: set[str] = set()
    queue = list(digests)
    while queue:
        digest = queue.pop()
        if digest not in whole:
            whole.add(digest)
            queue += parents.get(digest, ())
    return whole


def wandb_runs(places: Sequence[tuple[Path, Collection[str]]]) -> Runs:
    """What W&B keeps beside jobs and beside the store; it goes with their folders."""
    sizes = [size_of(place / "wandb") for place, names in places if "wandb" in names]
    return Runs(len(sizes), sum(sizes), max(sizes, default=0))


def size_of(folder: Path) -> int:
    """Bytes of its files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
