"""Parquet files as the Hugging Face hub lays out image sets: a struct of encoded bytes and path, and a label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.data.image_set import ImageSet, Splits
from src.data.mixing import cap, class_numbers, subset
from src.data.ranks import rank_within_class
from src.data.sources.class_names import NAMES
from src.data.sources.fitting import check, decode, stacked
from src.data.sources.held_out import hold_out

_IMAGES = ("img", "image")
_LABELS = ("label", "fine_label")
_TEST = ("test", "validation", "valid", "val")
Files = str | Sequence[str]


def parquet(
    *,
    path: Files | None = None,
    train: Files | None = None,
    test: Files | None = None,
    image: str | None = None,
    label: str | None = None,
    names: str | Sequence[str] | None = None,
    size: int | None = None,
    channels: int = 3,
    train_skip: int = 0,
    train_per_class: int | None = None,
    test_per_class: int | None = None,
    only: Sequence[int | str] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Splits:
    """Read and decode image sets in the hub's layout.

    Args:
        path: file or files with both splits, told apart by a column ``split``; without one, a seeded split is made.
        train: file or files of training images, instead of `path`.
        test: file or files of test images, with `train`; without it a seeded split is made.
        image: column of the images (None: img or image).
        label: column of the labels (None: label or fine_label); ``coarse_label`` gives the superclasses as classes.
        names: class names, or the name of a known list (cifar10, cifar100 ...); None takes the file's, else numbers.
        size: side in pixels: shorter side resized, middle cut out (None: all images have one size already).
        channels: 3, or 1 for grey.
        train_skip: leaves out the first so many training images of each class, e.g. those that another network had.
        train_per_class: only the first so many images of each class (after those) are decoded.
        test_per_class: the same of the test set.
        only: numbers or names of the classes to decode; they become labels 0, 1, ...
        test_fraction: of each class, where there is no test set.
        seed: of that split.

    Returns:
        Splits; superclasses are filled where a file has ``fine_label`` as label and ``coarse_label`` beside it.

    Raises:
        UserError: a file is missing or damaged, or lacks a column, or an image in it cannot be read.
    """
    check(size, channels)
    if (path is None) == (train is None) or (test is not None and train is None):
        raise UserError("data.source: 'parquet' needs either path=FILE, or train=FILE and test=FILE")
    first = _Table(path if path is not None else train, image, label)  # type: ignore[arg-type]
    second = _Table(test, image, label) if test is not None else None
    classes = _classes(names, [first] + ([second] if second else []))
    superclasses = first.superclasses(len(classes))
    chosen = None if only is None else torch.tensor(class_numbers(only, classes))

    def part(table: _Table, rows: Tensor, limit: int | None, skip: int = 0) -> ImageSet:
        labels = table.labels[rows]
        if chosen is not None:
            wanted = torch.isin(labels, chosen)
            rows, labels = rows[wanted], labels[wanted]
        if limit is not None or skip:
            ranks = rank_within_class(labels) - skip
            kept = (ranks >= 0) & (ranks < (len(ranks) if limit is None else limit))
            rows, labels = rows[kept], labels[kept]
        if not len(rows):
            raise UserError(f"{table.origin}: no image of the classes asked for")
        images = stacked(table.decode(rows, size, channels), table.origin)
        return ImageSet(images, labels, classes, superclasses)

    if second is not None:
        splits = Splits(
            part(first, first.rows(), train_per_class, train_skip), part(second, second.rows(), test_per_class)
        )
    elif first.splits is not None:
        splits = Splits(
            part(first, first.rows(("train",)), train_per_class, train_skip),
            part(first, first.rows(_TEST), test_per_class),
        )
    elif train_per_class is not None and test_per_class is not None:
        both = train_per_class + test_per_class
        splits = hold_out(part(first, first.rows(), both, train_skip), test_per_class / both, seed)
    else:
        pool = hold_out(part(first, first.rows(), None, train_skip), test_fraction, seed)
        splits = Splits(cap(pool.train, train_per_class), cap(pool.test, test_per_class))
    return splits if only is None else subset(splits, only)


class _Table:
    """Columns of one or several files: labels in memory, images still encoded."""

    def __init__(self, files: Files, image: str | None, label: str | None) -> None:
        paths = [files] if isinstance(files, str | Path) else list(files)
        self.origin = str(paths[0])
        tables = [_read(Path(path).expanduser()) for path in paths]
        try:
            table = pa.concat_tables(tables)
        except pa.ArrowInvalid as error:
            raise UserError(f"{self.origin}: the files have different columns") from error
        self._images = table[self._column(table, "image", image, _IMAGES)]
        self.label = self._column(table, "label", label, _LABELS)
        self.labels = _whole_numbers(table, self.label, self.origin)
        self.splits = table["split"].to_pylist() if "split" in table.column_names else None
        coarse = self.label == "fine_label" and "coarse_label" in table.column_names
        self._parents = _whole_numbers(table, "coarse_label", self.origin) if coarse else None
        self._features = _hub_features(table.schema)

    def _column(self, table: pa.Table, role: str, wanted: str | None, usual: Sequence[str]) -> str:
        if wanted is not None and wanted not in table.column_names:
            raise UserError(
                f"data.source.{role}={wanted}: no such column in {self.origin}; "
                f"{suggestion(wanted, table.column_names)}"
            )
        found = [name for name in ([wanted] if wanted else usual) if name in table.column_names]
        if not found:
            raise UserError(
                f"{self.origin}: no column {' or '.join(usual)} among {', '.join(table.column_names)}; "
                f"set data.source.{role}"
            )
        return found[0]

    def rows(self, splits: Sequence[str] | None = None) -> Tensor:
        """Positions of all rows, or of those of some splits."""
        if splits is None or self.splits is None:
            return torch.arange(len(self.labels))
        return torch.tensor([row for row, split in enumerate(self.splits) if split in splits], dtype=torch.int64)

    def decode(self, rows: Tensor, size: int | None, channels: int) -> list[Tensor]:
        """uint8 (channels, H, W) of each row."""
        images = []
        folder = Path(self.origin).parent
        for row, cell in zip(rows.tolist(), self._images.take(pa.array(rows.numpy())).to_pylist(), strict=True):
            origin = f"{self.origin}, row {row}"
            content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
            if content is None and not path:
                raise UserError(f"{origin}: no image; remove the row")
            images.append(decode(content if content is not None else folder / str(path), origin, size, channels))
        return images

    def names(self, column: str) -> tuple[str, ...] | None:
        """Class names that the hub's metadata gives for a column."""
        names = self._features.get(column, {}).get("names")
        return tuple(names) if names else None

    def superclasses(self, count: int) -> tuple[str, ...] | None:
        """One name per class where coarse labels stand beside fine ones."""
        if self._parents is None:
            return None
        parents = torch.zeros(count, dtype=torch.int64)
        parents[self.labels] = self._parents
        names = self.names("coarse_label")
        return tuple(names[parent] if names else str(parent) for parent in parents.tolist())


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise UserError(f"{path}: no such file; check data.source")
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a whole parquet file ({str(error).splitlines()[0][:120]})") from error


def _whole_numbers(table: pa.Table, column: str, origin: str) -> Tensor:
    values = table[column]
    if not pa.types.is_integer(values.type) or values.null_count:
        raise UserError(f"{origin}: column {column} holds {values.type}, expected whole numbers without gaps")
    return torch.from_numpy(values.to_numpy().copy()).long()


def _hub_features(schema: pa.Schema) -> dict[str, Any]:
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    except (json.JSONDecodeError, AttributeError):
        return {}
    return features if isinstance(features, dict) else {}


def _classes(names: str | Sequence[str] | None, tables: Sequence[_Table]) -> tuple[str, ...]:
    table = tables[0]
    lowest = min(int(part.labels.min()) for part in tables if len(part.labels))
    count = 1 + max(int(part.labels.max()) for part in tables if len(part.labels))
    if isinstance(names, str):
        if names not in NAMES:
            raise UserError(f"data.source.names={names}: no such list; {suggestion(names, NAMES)}")
        classes = NAMES[names]
    elif names is not None:
        classes = tuple(str(name) for name in names)
    else:
        classes = table.names(table.label) or tuple(str(number) for number in range(count))
    if count > len(classes) or lowest < 0:
        raise UserError(f"{table.origin}: labels {lowest}..{count - 1} for {len(classes)} class names; check names")
    return classes
