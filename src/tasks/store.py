"""``task=store``: what the store keeps, how large it is, which results use it; and what may go."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.artifacts.artifacts import Artifacts
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.paths import PLACE
from src.core.result import Panel, Result, Verdict, scan
from src.core.store import Entry
from src.tasks.options import Store as StoreOptions


def store(options: StoreOptions, artifacts: Artifacts) -> Result:
    """List the entries of the store; with ``prune: unused`` delete those that no result uses and no other one needs.

    Left-overs of builds that were killed (``*.work``) go only with ``prune: all_leftovers``, for such a build may still
    be at work: its next start would go on with them.
    """
    users = _users(Path(artifacts.running.outputs))
    running = list(Path(artifacts.running.outputs).glob(f"*/{PLACE}/*"))
    if running and options.prune != "none":
        raise UserError(f"prune={options.prune}: a sweep is running ({running[0].parent.parent}); wait until it ends")
    pruned: list[str] = []
    freed = 0
    if options.prune in ("unused", "all_leftovers"):
        sizes = {entry.digest: entry.size for entry in artifacts.store.entries()}  # before they vanish
        for entry in artifacts.store.prune(set(users)):
            pruned.append(entry.digest)
            freed += sizes[entry.digest]
    if options.prune == "all_leftovers":
        for folder in artifacts.store.leftovers():
            freed += _size(folder)
            pruned.append(folder.name)
            shutil.rmtree(folder)
    entries = sorted(artifacts.store.entries(), key=lambda entry: -entry.size)
    leftovers = artifacts.store.leftovers()
    rows = [_row(entry, users, entries) for entry in entries]
    remains = [
        {"folder": str(path.relative_to(artifacts.store.root)), "megabytes": _size(path) / 1e6} for path in leftovers
    ]
    caption = "Used by: results below the outputs folder, also through an entry that was built from it."
    result = Result("store", artifacts.running.name)
    for panel in (Panel("", "entries", rows, caption), Panel("", "leftovers", remains)):
        if panel.rows:
            result.add(panel)
    unused = sum(not row["used_by"] for row in rows)
    size = sum(entry.size for entry in entries)
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


def _users(outputs: Path) -> dict[str, list[str]]:
    """Digest of an entry -> names of the results that use it, also of failed ones: they may run again."""
    users: dict[str, list[str]] = {}
    for _, plain in scan(outputs):
        for digest in plain.get("uses", ()):
            users.setdefault(digest, []).append(plain["name"])
    return users


def _row(entry: Entry, users: Mapping[str, list[str]], entries: list[Entry]) -> dict[str, Any]:
    heirs = [heir for heir in entries if entry.digest in heir.manifest["parents"]]
    direct = users.get(entry.digest, [])
    names = sorted({*direct, *(name for heir in heirs for name in users.get(heir.digest, []))})
    recipe = entry.manifest["recipe"]
    return {
        "kind": entry.kind,
        "of": str(recipe.get("model", {}).get("name", "")) if isinstance(recipe.get("model"), Mapping) else "",
        "digest": entry.digest[:8],
        "megabytes": entry.size / 1e6,
        "made": entry.manifest["made"][:16].replace("T", " "),
        "used_by": len(names),
        "for_example": names[0] if names else "",
        "edition": "made by an older edition" if entry.older else "",
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
