"""``task=store``: what the store keeps, how large it is, which results use it; and what may go."""

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from src.artifacts.artifacts import Artifacts
from src.core.claims import CLAIM, lives
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.files import read_json
from src.core.paths import PLACE
from src.core.result import FILE, Panel, Result, Verdict
from src.core.store import MANIFEST, Entry
from src.tasks.options import Store as StoreOptions

PARTS = ("figures", "tables", "wandb")  # folders of a job in which no other one is


class Use(NamedTuple):
    """How many results need an entry, and the first of their names."""

    results: int = 0
    example: str = ""


def store(options: StoreOptions, artifacts: Artifacts) -> Result:
    """List the entries of the store; with ``prune: unused`` delete those that no result uses and no other one needs.

    Left-overs of builds that were killed (``*.work``) go only with ``prune: all_leftovers``: the next start of such a
    build would go on with them. Nothing goes while a job is at work: what it uses, its result will tell.

    Raises:
        UserError: something is to be deleted, and a job or a sweep is at work or a result cannot be read.
    """
    running, mine = artifacts.running, artifacts.session.folder
    places = list(_places(Path(running.outputs).resolve()))
    if options.prune != "none":
        _check_still(places, mine.resolve(), options.prune)
    results = [place for place, names in places if FILE in names]
    entries = list(artifacts.store.entries())
    sizes = {entry.digest: entry.size for entry in entries}
    uses = _uses(results, entries, options.prune)
    pruned: list[str] = []
    freed = 0
    if options.prune in ("unused", "all_leftovers"):
        pruned = [entry.digest for entry in artifacts.store.prune(set(uses))]
        freed = sum(sizes.get(digest, 0) for digest in pruned)
        gone = set(pruned)
        entries = [entry for entry in entries if entry.digest not in gone]
    if options.prune == "all_leftovers":
        for folder in artifacts.store.leftovers():
            freed += _size(folder)
            pruned.append(folder.name)
            shutil.rmtree(folder)
    entries.sort(key=lambda entry: -sizes[entry.digest])
    leftovers = artifacts.store.leftovers()
    rows = [_row(entry, sizes[entry.digest], uses.get(entry.digest, Use())) for entry in entries]
    remains = [
        {"folder": str(path.relative_to(artifacts.store.root)), "megabytes": _size(path) / 1e6} for path in leftovers
    ]
    caption = "Used by: results below the outputs folder, also through an entry that was built from it."
    result = Result("store", running.name)
    for panel in (Panel("", "entries", rows, caption), Panel("", "leftovers", remains)):
        if panel.rows:
            result.add(panel)
    unused = sum(not row["used_by"] for row in rows)
    size = sum(sizes[entry.digest] for entry in entries)
    sentence = f"{len(entries)} entries, {size / 1e6:.1f} MB; {unused} of them are used by no result"
    if older := sum(entry.older for entry in entries):
        sentence += f"; {older} made by an older edition, which jobs of this one still find"
    if options.prune != "none":
        sentence = f"{len(pruned)} deleted, {freed / 1e6:.1f} MB; {sentence}"
    elif unused or leftovers:
        sentence += "; prune=unused deletes those, prune=all_leftovers also what killed builds left"
    metrics = {"entries": Estimate(len(entries)), "megabytes": Estimate(size / 1e6), "unused": Estimate(unused)}
    result.conclude(Verdict(sentence, metrics=metrics, screen=list(result.tables)))
    return result


def _places(outputs: Path) -> Iterator[tuple[Path, Collection[str]]]:
    """Every folder in which a job or a sweep may be, with the names in it; entries of the store are passed over."""
    for place, folders, files in os.walk(outputs):
        if MANIFEST in files and FILE not in files:
            folders.clear()
            continue
        yield Path(place), {*folders, *files}
        passed = (PLACE, *PARTS) if FILE in files else (PLACE,)
        folders[:] = sorted(name for name in folders if name not in passed)


def _check_still(places: Sequence[tuple[Path, Collection[str]]], mine: Path, prune: str) -> None:
    """Refuse to delete while a sweep or another job is at work."""
    for place, names in places:
        sweeps = (place / PLACE).glob(f"*{CLAIM}") if PLACE in names else ()
        job = CLAIM in names and place != mine and lives(place / CLAIM)
        if job or any(map(lives, sweeps)):
            kind = "job" if job else "sweep"
            raise UserError(f"prune={prune}: a {kind} is running ({place}); wait until it ends")


def _uses(results: Sequence[Path], entries: Sequence[Entry], prune: str) -> dict[str, Use]:
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


def _row(entry: Entry, size: int, use: Use) -> dict[str, Any]:
    recipe = entry.manifest["recipe"]
    return {
        "kind": entry.kind,
        "of": str(recipe.get("model", {}).get("name", "")) if isinstance(recipe.get("model"), Mapping) else "",
        "digest": entry.digest[:8],
        "megabytes": size / 1e6,
        "made": entry.manifest["made"][:16].replace("T", " "),
        "used_by": use.results,
        "for_example": use.example,
        "edition": "made by an older edition" if entry.older else "",
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
