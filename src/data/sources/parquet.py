"""Parquet files as the Hugging Face hub lays out image sets: a struct of encoded bytes and path, and a label.

Labels are whole numbers or words. -1 and null mean that an image has no label: of a training set such rows are passed
over, a test set with one is refused.
"""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.options import Whole, Words, options
from src.data.class_names import LISTS, listed
from src.data.image_set import ImageSet, Splits
from src.data.listing import PARTS, in_order
from src.data.mixing import class_numbers
from src.data.ranks import rank_within_class
from src.data.sources.options import Fraction
from src.data.sources.pictures import Pictures, first_of

Files = Annotated[str | tuple[str, ...], Words("a file, or a list of files")]
UNLABELLED = -1


@options
class Parquet(Pictures):
    """Files of a data set.

    Attributes:
        path: with both splits, told apart by a column ``split``; without one, a seeded split is made.
        train: training images, instead of `path`.
        test: test images, with `train`; without it a seeded split is made. Alone: nothing can be trained.
        image: column of the images (None: img or image).
        label: column of the labels (None: label or fine_label); ``coarse_label`` gives the superclasses as classes.
        names: class names, or the name of a known list (cifar10, imagenet ...); None takes the file's, else the labels
            that there are.
        train_skip: leaves out the first so many training images of each class, e.g. those that another network had;
            ``train_per_class`` counts from there.
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
    first = _Table(files, options)
    alone = options.path is None and options.train is None
    second = None if options.test is None or alone else _Table(options.test, options)
    classes, labels = _classes(options.names, [first, *([second] if second else [])])
    superclasses = first.superclasses(len(classes), labels[0])
    chosen = None if options.only is None else torch.tensor(class_numbers(options.only, classes))

    def part(table: _Table, rows: Tensor, limit: int | None, skip: int = 0, test: bool = False) -> ImageSet:
        numbers = labels[0 if table is first else 1][rows]
        unlabelled = int((numbers == UNLABELLED).sum())
        if unlabelled and test:
            raise UserError(
                f"{table.origin}: {unlabelled:,} of {len(rows):,} test images have no label (-1 or null in column "
                f"{table.label}), and a test needs them; take a part with labels, or remove these rows"
            )
        wanted = numbers != UNLABELLED if chosen is None else torch.isin(numbers, chosen)
        rows, numbers = rows[wanted], numbers[wanted]
        there = len(rows)
        ranks = rank_within_class(numbers) - skip
        taken = (ranks >= 0) & (ranks < (len(ranks) if limit is None else limit))
        rows, numbers = rows[taken], numbers[taken]
        if not len(rows):
            raise UserError(f"{table.origin}: no image of the classes asked for")
        events = (*table.events, *first_of(len(rows), there, table.origin))
        if unlabelled:
            events += (f"data.source: {unlabelled:,} rows of {table.origin} have no label and are passed over",)
        names = None if options.boxes is None else table.names_of(rows, options.boxes)
        return options.image_set(lambda position: table.content(int(rows[position])), names, numbers, classes,
                                 table.origin, events, superclasses)  # fmt: skip

    if alone:
        shown = part(first, first.rows(), options.test_per_class, test=True)
        return Splits(shown.select(torch.zeros(0, dtype=torch.int64)), shown)
    skip, train, test = options.train_skip, options.train_per_class, options.test_per_class
    if second is not None:
        return Splits(part(first, first.rows(), train, skip), part(second, second.rows(), test, test=True))
    if first.parts is not None:
        pool, shown_rows = first.divided()
        return Splits(part(first, pool, train, skip), part(first, shown_rows, test, test=True))
    return options.held_out(part(first, first.rows(), options.both_per_class, skip), options.test_fraction)


class _Table:
    """Columns of one or several files: labels in memory, images still in the files.

    Attributes:
        values: of each row the label, a whole number or a word. labelled: bool (N,), whether it has one.
        parts: of each row what the column ``split`` says, or None.
        events: one line for everything that was left out.
    """

    def __init__(self, files: Files, options: Parquet) -> None:
        given = [files] if isinstance(files, str) else files
        self.origin, self._paths = given[0], [Path(path).expanduser() for path in given]
        self._files = [_opened(path) for path in self._paths]
        schema = self._files[0].schema_arrow
        for path, file in zip(self._paths, self._files, strict=True):
            if file.schema_arrow.names != schema.names:
                raise UserError(f"{path}: the files have different columns than {self.origin}; name files of one set")
        self._image = self._column(schema, "image", options.image, ("img", "image"))
        self.label = self._column(schema, "label", options.label, ("label", "fine_label"))
        parents = "coarse_label" if self.label == "fine_label" and "coarse_label" in schema.names else None
        wanted = [self.label, parents, "split", "name"]
        columns = [name for name in dict.fromkeys(wanted) if name is not None and name in schema.names]
        tables = [_read(file, path, columns) for file, path in zip(self._files, self._paths, strict=True)]
        self._columns_of = {name: [value for table in tables for value in table[name]] for name in columns}
        self.values = self._columns_of[self.label]
        self._check_labels(self.label, schema)
        if not self.values:
            raise UserError(f"{self.origin}: holds no rows; give a file with images")
        self.labelled = np.array([value is not None and value != UNLABELLED for value in self.values])
        self.parts = self._columns_of.get("split")
        self._parents = None if parents is None else self._columns_of[parents]
        if parents is not None:
            self._check_labels(parents, schema)
        # row groups: (file, its group), and the row that each begins with
        self._groups = [(n, group) for n, file in enumerate(self._files) for group in range(file.num_row_groups)]
        sizes = [self._files[n].metadata.row_group(group).num_rows for n, group in self._groups]
        self._starts = np.cumsum([0, *sizes]).tolist()
        self._group: tuple[int, Any] = (-1, None)  # the one that was read last, and its images
        self.events: tuple[str, ...] = ()
        self._features = self._hub_features(schema)

    def _column(self, schema: pa.Schema, role: str, wanted: str | None, usual: Sequence[str]) -> str:
        names = schema.names
        if wanted is not None and wanted not in names:
            raise UserError(
                f"data.source.{role}={wanted}: no such column in {self.origin}; {suggestion(wanted, names)}"
            )
        name = next((name for name in ((wanted,) if wanted else usual) if name in names), None)
        if name is None:
            raise UserError(
                f"{self.origin}: no column {' or '.join(usual)} among {', '.join(names)[:300]}; set data.source.{role}"
            )
        if names.count(name) > 1:
            raise UserError(f"{self.origin}: {names.count(name)} columns are called {name}; rename all but one")
        return name

    def _check_labels(self, name: str, schema: pa.Schema) -> None:
        kinds = {type(value) for value in self._columns_of[name] if value is not None}
        if kinds - {int} and kinds - {str}:
            raise UserError(
                f"{self.origin}: column {name} holds {schema.field(name).type}, expected whole numbers or words; "
                f"set data.source.label"
            )
        lowest = min((value for value in self._columns_of[name] if type(value) is int), default=0)
        if lowest < UNLABELLED:
            raise UserError(f"{self.origin}: column {name} holds {lowest}; allowed are whole numbers from 0, and -1 "
                            "for no label")  # fmt: skip

    def rows(self) -> Tensor:
        """Positions of all rows."""
        return torch.arange(len(self.values))

    def divided(self) -> tuple[Tensor, Tensor]:
        """Positions of the training and of the test images by the column ``split``.

        Validation images are the test set where there is no other; beside one they are not used, which is told.
        """
        assert self.parts is not None
        parts = [PARTS.get(str(part).lower()) for part in self.parts]
        counts = Counter(map(str, self.parts))
        shown = "test" if "test" in parts else "validation"
        for part in ("train", shown):
            if part not in parts:
                raise UserError(f"{self.origin}: column split has no {part} rows ({', '.join(sorted(counts))[:200]}); "
                                "name them train and test, or give files by data.source.train and test")  # fmt: skip
        unused = {name: count for name, count in counts.items() if PARTS.get(name.lower()) not in ("train", shown)}
        if unused:
            words = ", ".join(f"{count:,} {name}" for name, count in sorted(unused.items()))
            self.events += (f"data.source: rows of {self.origin} that are not used: {words} (column split)",)
        if shown == "validation":
            self.events += (f"data.source: {self.origin} has no test rows; its validation rows are the test set",)
        train, test = (
            torch.tensor([row for row, part in enumerate(parts) if part == wanted], dtype=torch.int64)
            for wanted in ("train", shown)
        )
        return train, test

    def names_of(self, rows: Tensor, boxes: str) -> list[PurePosixPath]:
        """What the images of some rows are called, by which their boxes are looked up."""
        named = self._columns_of.get("name")
        names = []
        for row in rows.tolist():
            cell = self._cell(row)
            name = (cell.get("path") if isinstance(cell, dict) else None) or (named[row] if named else None)
            if name is None:
                raise UserError(
                    f"data.source.boxes={boxes}: row {row} of {self.origin} has no name; images need a path beside "
                    "their bytes, or a column name"
                )
            names.append(PurePosixPath(str(name)))
        return names

    def _cell(self, row: int) -> Any:
        number = bisect_right(self._starts, row) - 1
        if self._group[0] != number:  # rows are asked for in their order
            file, group = self._groups[number]
            self._group = (number, _read(self._files[file], self._paths[file], [self._image], group)[self._image])
        try:
            return self._group[1][row - self._starts[number]].as_py()
        except (IndexError, UnicodeDecodeError) as error:
            raise _damaged(self._paths[self._groups[number][0]], error) from error

    def content(self, row: int) -> tuple[bytes | Path, str]:
        """What is to be decoded, and what it is called in messages."""
        cell, origin = self._cell(row), f"{self.origin}, row {row}"
        content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if isinstance(content, str):
            content, path = None, content
        if content is None and not path:
            raise UserError(f"{origin}: no image; remove the row")
        if not isinstance(content, bytes | None):
            raise UserError(f"{origin}: column {self._image} holds no encoded image; set data.source.image")
        if content is not None:
            return content, origin
        file, _ = self._groups[bisect_right(self._starts, row) - 1]
        return self._paths[file].parent / str(path), origin

    def names(self, column: str) -> tuple[str, ...] | None:
        """Class names that the hub's metadata gives for a column."""
        feature = self._features.get(column)
        names = feature.get("names") if isinstance(feature, dict) else None
        return tuple(map(str, names)) if isinstance(names, list) and names else None

    def superclasses(self, count: int, labels: Tensor) -> tuple[str, ...] | None:
        """One name per class where coarse labels stand beside fine ones."""
        if self._parents is None:
            return None
        names, above = self.names("coarse_label"), dict(zip(labels.tolist(), self._parents, strict=True))
        parents = [above.get(number) for number in range(count)]
        if names is None:
            return tuple(str(0 if parent is None else parent) for parent in parents)
        if any(type(parent) is int and parent >= len(names) for parent in parents):
            raise UserError(f"{self.origin}: column coarse_label has numbers from 0 to {len(names) - 1} in the names "
                            "of its metadata, and others in its rows; repair it, or set data.source.label")  # fmt: skip
        return tuple(names[parent] if type(parent) is int else str(parent or names[0]) for parent in parents)

    def _hub_features(self, schema: pa.Schema) -> dict[str, Any]:
        said = (schema.metadata or {}).get(b"huggingface")
        if said is None:
            return {}
        try:
            features = json.loads(said)["info"]["features"]
            if not isinstance(features, dict):
                raise TypeError
        except (ValueError, LookupError, TypeError, RecursionError):
            self.events += (f"data.source: the metadata of {self.origin} cannot be read; classes are called by labels",)
            return {}
        return features


def _opened(path: Path) -> pq.ParquetFile:
    if not path.is_file():
        raise UserError(f"{path}: no such file; check data.source")
    try:
        return pq.ParquetFile(path)
    except Exception as error:  # a damaged file makes the library raise whatever it meets
        raise _damaged(path, error) from error


def _read(file: pq.ParquetFile, path: Path, columns: Sequence[str], group: int | None = None) -> dict[str, Any]:
    """Columns of a file as lists, or of one of its row groups as they are."""
    try:
        table = file.read(columns=columns) if group is None else file.read_row_group(group, columns=columns)
        return {name: table[name] if group is not None else table[name].to_pylist() for name in columns}
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return UserError(f"{path}: not a whole parquet file ({reason}); replace it")


def _classes(names: str | Sequence[str] | None, tables: Sequence[_Table]) -> tuple[tuple[str, ...], list[Tensor]]:
    """The classes, and of each table the rows' class numbers int64 (N,), -1 where there is no label."""
    first = tables[0]
    labels = {value for table in tables for value, holds in zip(table.values, table.labelled, strict=True) if holds}
    if not labels:
        raise UserError(
            f"{first.origin}: no row has a label (column {first.label} is -1 or null); set data.source.label"
        )
    if len({type(label) for label in labels}) > 1:
        raise UserError(f"{first.origin}: labels are whole numbers in one file and words in another; make them alike")
    given = first.names(first.label) if names is None else listed(names) if isinstance(names, str) else tuple(names)
    if given and len(set(given)) < len(given):
        twice = next(name for name, count in Counter(given).items() if count > 1)
        raise UserError(f"{first.origin}: two classes are called '{twice}'; give different ones by data.source.names")
    words = all(isinstance(label, str) for label in labels)
    classes = given or tuple(in_order([str(label) for label in labels]))
    number: dict[Any, int] = {name: place for place, name in enumerate(classes)}
    if given and not words:
        number = {place: place for place in range(len(classes))}
    elif not words:
        number = {int(name): place for name, place in number.items()}
    unknown = sorted(label for label in labels if label not in number)
    if unknown:
        raise UserError(
            f"{first.origin}: label {str(unknown[0])[:100]} for {len(classes)} class names; check data.source.names"
        )
    return classes, [
        torch.tensor(
            [number[v] if holds else UNLABELLED for v, holds in zip(table.values, table.labelled, strict=True)]
        )
        for table in tables
    ]
