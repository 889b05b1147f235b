"""Parquet files as the Hugging Face hub lays out image sets: a struct of encoded bytes and path, and a label."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.options import Count, Whole, Words, options
from src.data.boxes import Boxed, with_masks
from src.data.class_names import LISTS, listed
from src.data.image_set import ImageSet, Splits
from src.data.mixing import cap, class_numbers
from src.data.ranks import rank_within_class
from src.data.sources.fitting import stacked
from src.data.sources.options import Fraction
from src.data.sources.pictures import Pictures
from src.data.splits import hold_out

_TEST = ("test", "validation", "valid", "val")
Files = Annotated[str | tuple[str, ...], Words("a file, or a list of files")]


@options
class Parquet(Pictures):
    """Files of a data set.

    Attributes:
        path: with both splits, told apart by a column ``split``; without one, a seeded split is made.
        train: training images, instead of `path`.
        test: test images, with `train`; without it a seeded split is made. Alone: nothing can be trained.
        image: column of the images (None: img or image).
        label: column of the labels (None: label or fine_label); ``coarse_label`` gives the superclasses as classes.
        names: class names, or the name of a known list (cifar10, imagenet ...); None takes the file's, else numbers.
        train_skip: leaves out the first so many training images of each class, e.g. those that another network had.
        train_per_class: only the first so many images of each class (after those) are decoded.
        test_per_class: the same of the test set.
        only: the classes that are decoded.
        test_fraction: of each class, where there is no test set.
        boxes: an image's name is the path beside its bytes, or a column ``name``.
    """

    path: Files | None = None
    train: Files | None = None
    test: Files | None = None
    image: str | None = None
    label: str | None = None
    names: Annotated[str | tuple[str, ...], Words("a known list, or a list of names")] | None = None
    train_skip: Whole = 0
    train_per_class: Count | None = None
    test_per_class: Count | None = None
    test_fraction: Fraction = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.path is None) == (self.train is None and self.test is None):
            raise ValueError(
                "data.source: 'parquet' needs either path=FILE, or train=FILE and test=FILE, or test=FILE alone"
            )
        if isinstance(self.names, str) and self.names not in LISTS:
            raise ValueError(f"data.source.names={self.names}: no such list; {suggestion(self.names, LISTS)}")


def parquet(options: Parquet) -> Splits:
    """Read and decode image sets in the hub's layout.

    Returns:
        Splits; superclasses are filled where a file has ``fine_label`` as label and ``coarse_label`` beside it. Of
        ``test`` alone the first is empty.

    Raises:
        UserError: a file is missing or damaged, or lacks a column, an image in it cannot be read, or boxes are not of
            these images.
    """
    files = options.path or options.train or options.test
    assert files is not None  # one of them is given
    first = _Table(files, options.image, options.label)
    alone = options.path is None and options.train is None
    second = None if options.test is None or alone else _Table(options.test, options.image, options.label)
    classes = _classes(options.names, first, *([second] if second else []))
    superclasses = first.superclasses(len(classes))
    chosen = None if options.only is None else torch.tensor(class_numbers(options.only, classes))

    def part(table: _Table, rows: Tensor, limit: int | None, skip: int = 0) -> ImageSet:
        labels = table.labels[rows]
        wanted = torch.ones(len(rows), dtype=torch.bool) if chosen is None else torch.isin(labels, chosen)
        rows, labels = rows[wanted], labels[wanted]
        ranks = rank_within_class(labels) - skip
        kept = (ranks >= 0) & (ranks < (len(ranks) if limit is None else limit))
        rows, labels = rows[kept], labels[kept]
        if not len(rows):
            raise UserError(f"{table.origin}: no image of the classes asked for")
        boxed = table.boxed(rows, options)
        if boxed is not None:
            rows, labels = rows[boxed.images], labels[boxed.images]
        images = stacked((options.decode(*table.content(row)) for row in rows.tolist()), table.origin)
        return with_masks(ImageSet(images, labels, classes, superclasses), boxed)

    train, test, skip = options.train_per_class, options.test_per_class, options.train_skip
    if alone:
        shown = part(first, first.rows(), test)
        return Splits(shown.select(torch.zeros(0, dtype=torch.int64)), shown)
    if second is not None:
        return Splits(part(first, first.rows(), train, skip), part(second, second.rows(), test))
    if first.splits is not None:
        return Splits(part(first, first.rows(("train",)), train, skip), part(first, first.rows(_TEST), test))
    if train is not None and test is not None:
        both = train + test
        return hold_out(part(first, first.rows(), both, skip), test / both, options.seed)
    pool = hold_out(part(first, first.rows(), None, skip), options.test_fraction, options.seed)
    return Splits(cap(pool.train, train), cap(pool.test, test))


class _Table:
    """Columns of one or several files: labels in memory, images still encoded."""

    def __init__(self, files: Files, image: str | None, label: str | None) -> None:
        paths = [files] if isinstance(files, str) else files
        self.origin = str(paths[0])
        tables = [_read(Path(path).expanduser()) for path in paths]
        try:
            table = pa.concat_tables(tables)
        except pa.ArrowInvalid as error:
            raise UserError(f"{self.origin}: the files have different columns") from error
        self._images = table[self._column(table, "image", image, ("img", "image"))]
        self._names = table["name"] if "name" in table.column_names else None
        self.label = self._column(table, "label", label, ("label", "fine_label"))
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
        for name in (wanted,) if wanted else usual:
            if name in table.column_names:
                return name
        raise UserError(
            f"{self.origin}: no column {' or '.join(usual)} among {', '.join(table.column_names)}; "
            f"set data.source.{role}"
        )

    def rows(self, splits: Sequence[str] | None = None) -> Tensor:
        """Positions of all rows, or of those of some splits."""
        if splits is None or self.splits is None:
            return torch.arange(len(self.labels))
        return torch.tensor([row for row, split in enumerate(self.splits) if split in splits], dtype=torch.int64)

    def boxed(self, rows: Tensor, options: Parquet) -> Boxed | None:
        """Boxes of some rows' images; None: they are not asked for."""
        if options.boxes is None:
            return None
        numbers = rows.tolist()
        cells = ((row, self._images[row].as_py()) for row in numbers)
        paths = [(row, cell.get("path") if isinstance(cell, dict) else None) for row, cell in cells]
        labelled = [path or (self._names[row].as_py() if self._names is not None else None) for row, path in paths]
        if None in labelled:
            raise UserError(
                f"data.source.boxes={options.boxes}: row {numbers[labelled.index(None)]} of {self.origin} has no "
                "name; images need a path beside their bytes, or a column name"
            )
        names = [PurePosixPath(str(name)) for name in labelled]
        return options.boxed(names, lambda position: self.content(numbers[position]))

    def content(self, row: int) -> tuple[bytes | Path, str]:
        """What is to be decoded, and what it is called in messages."""
        cell, origin = self._images[row].as_py(), f"{self.origin}, row {row}"
        content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if content is None and not path:
            raise UserError(f"{origin}: no image; remove the row")
        return (content if content is not None else Path(self.origin).parent / str(path)), origin

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


def _classes(names: str | Sequence[str] | None, table: _Table, *others: _Table) -> tuple[str, ...]:
    labels = torch.cat([table.labels, *(other.labels for other in others)])
    lowest, count = int(labels.min()), 1 + int(labels.max())
    if names is None:
        classes = table.names(table.label) or tuple(map(str, range(count)))
    else:
        classes = listed(names) if isinstance(names, str) else tuple(names)
    if count > len(classes) or lowest < 0:
        raise UserError(f"{table.origin}: labels {lowest}..{count - 1} for {len(classes)} class names; check names")
    return classes
