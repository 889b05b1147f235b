"""What jobs leave for others, as artifacts: images, networks, modules, patched networks, each named by its digest.

Everything is read from the store and from the job's folder; nothing here knows W&B, and only checksums and descriptions
are told, never an image.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.core.files import checksum, read_json
from src.core.redaction import redacted
from src.core.store import MANIFEST

SCHEME = "cnn-anatomy"
TYPES = {"checkpoint": "network"}  # a kind of the store's -> what readers call it
DESCRIPTION = "subject.json"
#: Files of an entry with what its making told: a list of rows, or an object with one, and the number of a row.
COURSES = {"history.json": ("", "epoch"), "search.json": ("history", "generation")}


@dataclass(frozen=True)
class Product:
    """An artifact.

    Attributes:
        type: ``images``, ``network``, ``modules``, ``patched`` ...
        digest: what it is named by.
        address: equal for equal content.
        metadata: what of it is known.
        folder: its files; None: none that could be sent. place: where they lie in the end.
    """

    type: str
    digest: str
    address: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    place: Path = Path()

    @property
    def name(self) -> str:
        """Unique within a project."""
        return f"{self.type}-{self.digest[:16]}"


@dataclass(frozen=True)
class Made:
    """An entry of the store: what it is, what it was made of, and how that went.

    Attributes:
        used: its parents and its images.
        rows: of its course, one per epoch or generation.
    """

    product: Product
    used: Sequence[Product]
    recipe: Mapping[str, Any]
    rows: Sequence[Mapping[str, float]]


def entry(store: Path, digest: str) -> Made | None:
    """An entry of the store; None where it has gone or cannot be read."""
    entries = sorted(store.glob(f"*/{digest}/{MANIFEST}"))
    return made(entries[0].parent, store) if entries else None


def made(folder: Path, store: Path) -> Made | None:
    """The same by its folder, also while it lies in the work folder of its builder."""
    try:
        manifest = read_json(folder / MANIFEST)
        rows = list(_course(folder, manifest))
    except (OSError, ValueError):
        return None
    recipe, notes = redacted(manifest["recipe"]), manifest.get("notes") or {}
    known = ("best_epoch", "seconds", "how")
    metadata = {
        **{key: manifest[key] for key in ("kind", "digest", "version", "parents", "made")},
        **{key: notes[key] for key in known if key in notes},
        "recipe": recipe,
        "bytes": sum((folder / name).stat().st_size for name in manifest["files"]),
        **_judged(rows, notes),
    }
    product = Product(
        TYPES.get(manifest["kind"], manifest["kind"]), manifest["digest"],
        f"{SCHEME}:{manifest['kind']}/{manifest['digest']}", redacted(metadata), folder,
        store / manifest["kind"] / manifest["digest"],
    )  # fmt: skip
    parents = [parent.product for digest in manifest["parents"] if (parent := entry(store, digest))]
    return Made(product, [*parents, *_images(recipe, notes)], recipe, rows)


def used_by(store: Path, digests: Sequence[str]) -> list[Product]:
    """What a result was found with: the entries that it names, and their images; each once."""
    products: dict[str, Product] = {}
    for digest in digests:
        if made_entry := entry(store, digest):
            images = [each for each in made_entry.used if each.type == "images"]
            products |= {each.name: each for each in (made_entry.product, *images)}
    return list(products.values())


def with_ancestors(store: Path, digests: Sequence[str]) -> list[str]:
    """The digests and those of all that they descend from, parents first."""
    ordered: dict[str, None] = {}

    def visit(digest: str) -> None:
        for path in store.glob(f"*/{digest}/{MANIFEST}") if digest not in ordered else ():
            for parent in read_json(path)["parents"]:
                visit(parent)
        ordered.setdefault(digest)

    for digest in digests:
        visit(digest)
    return list(ordered)


def left_by(folder: Path, identity: str) -> Iterator[Product]:
    """Networks that a job leaves in its own folder, and not the store: a patched one, a composed one."""
    for path in sorted(folder.glob(f"*/{DESCRIPTION}")):
        files = {file.name: checksum(file) for file in sorted(path.parent.iterdir()) if file.is_file()}
        metadata = {"files": files, "bytes": sum((path.parent / name).stat().st_size for name in files)}
        kind = path.parent.name
        weights = next((digest for name, digest in files.items() if name != DESCRIPTION), files[DESCRIPTION])
        yield Product(kind, identity, f"{SCHEME}:{kind}/{identity}/{weights[:16]}", metadata, path.parent, path.parent)


def _images(recipe: Mapping[str, Any], notes: Mapping[str, Any]) -> Iterator[Product]:
    """The images of a training, by their digest and how many they are."""
    if digest := recipe.get("images"):
        yield Product("images", digest, f"{SCHEME}:images/{digest}", {"digest": digest, **notes.get("images", {})})


def _course(folder: Path, manifest: Mapping[str, Any]) -> Iterator[dict[str, float]]:
    """What each epoch or generation told, with what it cost; ``nan`` stands there as a word."""
    costs = {row["epoch"]: row for row in (manifest.get("notes") or {}).get("course", ())}
    for name, (key, number) in COURSES.items():
        if name in manifest["files"]:
            plain = json.loads((folder / name).read_text(encoding="utf-8"))
            for row in plain[key] if key else plain:
                told = {name: float(value) for name, value in row.items()}
                yield {"step": told.pop(number), **told, **costs.get(row.get("epoch"), {})}


def _judged(rows: Sequence[Mapping[str, float]], notes: Mapping[str, Any]) -> dict[str, float]:
    """How good the best epoch or the last generation was."""
    row = rows[notes.get("best_epoch", -1)] if rows else {}
    known = ("val/accuracy", "val/loss", "accuracy", "retained")
    return {name: row[name] for name in known if math.isfinite(row.get(name, math.nan))}
