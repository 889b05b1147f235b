"""``task=store``: what the store keeps, how large it is, which results use it; and what may go."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.artifacts.artifacts import Artifacts
from src.artifacts.places import Use, check_still, places_below, size_of, uses_of, wandb_runs
from src.core.estimate import Estimate
from src.core.result import FILE, Panel, Result, Verdict
from src.core.store import Entry
from src.report.wandb_stages import run_places
from src.tasks.options import Store as StoreOptions


def store(options: StoreOptions, artifacts: Artifacts) -> Result:
    """List the entries of the store; with ``prune: unused`` delete those that no result uses and no other one needs.

    Left-overs of builds that were killed (``*.work``) go only with ``prune: all_leftovers``: the next start of such a
    build would go on with them. Nothing goes while a job is at work: what it uses, its result will tell.

    Raises:
        UserError: something is to be deleted, and a job or a sweep is at work or a result cannot be read.
    """
    running, mine = artifacts.running, artifacts.session.folder
    places = list(places_below(Path(running.outputs).resolve()))
    if options.prune != "none":
        check_still(places, mine.resolve(), options.prune)
    results = [place for place, names in places if FILE in names]
    entries = list(artifacts.store.entries())
    sizes = {entry.digest: entry.size for entry in entries}
    uses = uses_of(results, entries, options.prune)
    pruned: list[str] = []
    freed = 0
    if options.prune in ("unused", "all_leftovers"):
        pruned = [entry.digest for entry in artifacts.store.prune(set(uses))]
        freed = sum(sizes.get(digest, 0) for digest in pruned)
        for path in [path for digest in pruned for path in run_places(artifacts.store.root, digest)]:
            freed += size_of(path)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        gone = set(pruned)
        entries = [entry for entry in entries if entry.digest not in gone]
    if options.prune == "all_leftovers":
        for folder in artifacts.store.leftovers():
            freed += size_of(folder)
            pruned.append(folder.name)
            shutil.rmtree(folder)
    entries.sort(key=lambda entry: -sizes[entry.digest])
    leftovers = artifacts.store.leftovers()
    rows = [_row(entry, sizes[entry.digest], uses.get(entry.digest, Use())) for entry in entries]
    remains = [
        {"folder": str(path.relative_to(artifacts.store.root)), "megabytes": size_of(path) / 1e6} for path in leftovers
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
    if (runs := wandb_runs(places)).folders:
        largest = f"{runs.largest / 1e6:.1f} MB at most in one"
        sentence += f"; W&B keeps runs in {runs.folders} folders, {runs.size / 1e6:.1f} MB, {largest}"
    metrics = {"entries": Estimate(len(entries)), "megabytes": Estimate(size / 1e6), "unused": Estimate(unused)}
    result.conclude(Verdict(sentence, metrics=metrics, screen=list(result.tables)))
    return result


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
