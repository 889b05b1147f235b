"""Options that all sources share which decode image files, and how they decode them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.options import Count, options
from src.data.boxes import Annotations, BoxMapping, Objects, boxes_of
from src.data.image_set import ImageSet, Splits
from src.data.mixing import cap
from src.data.picture import Background, Choice, dimensions, events_of
from src.data.sources.fitting import decode, stacked
from src.data.sources.options import Channels, Crop, Interpolation, Only, Place, Side
from src.data.splits import hold_out

T = TypeVar("T")
Encoded = Callable[[int], tuple[bytes | Path, str]]
"""Position of an image -> what is to be decoded, and what it is called in messages."""
_NAMED = 20  # damaged images in an event


@options
class Pictures:
    """Of sources that decode image files.

    Attributes:
        channels: 3, or 1 for grey.
        background: what transparent pixels show.
        damaged: what cannot be read ends the job, or is passed over, counted and named.
        train_per_class, test_per_class: only the first so many images of each class are decoded.
        seed: of a split where there is no test set.
        boxes: a folder of Pascal-VOC XML files or a table (`src.data.boxes`); what they hold becomes the masks.
    """

    size: Side = None
    channels: Channels = 3
    background: Background = "white"
    damaged: Literal["refuse", "skip"] = "refuse"
    train_per_class: Count | None = None
    test_per_class: Count | None = None
    seed: int = 0
    only: Only = None
    boxes: Place = None
    box_objects: Objects = "union"
    box_mapping: BoxMapping = "correct"
    crop: Crop = None
    interpolation: Interpolation = None

    def __post_init__(self) -> None:
        if self.box_mapping == "original" and self.size is None:
            raise ValueError("data.source.box_mapping=original: needs data.source.size, to which images are resized")

    @cached_property
    def annotations(self) -> Annotations | None:
        """What ``boxes`` holds, read once."""
        return None if self.boxes is None else Annotations(Path(self.boxes).expanduser())

    @property
    def both_per_class(self) -> int | None:
        """How many of a class are decoded where both parts are made of them."""
        if self.train_per_class is None or self.test_per_class is None:
            return None
        return self.train_per_class + self.test_per_class

    def held_out(self, images: ImageSet, fraction: float) -> Splits:
        """A test set split off; ``fraction`` of each class, or as many as ``train_per_class`` and its fellow say."""
        if fraction == 1:
            return Splits(images.select(torch.arange(0)), cap(images, self.test_per_class))
        if self.both_per_class is not None and self.test_per_class is not None:
            return hold_out(images, self.test_per_class / self.both_per_class, self.seed)
        parts = hold_out(images, fraction, self.seed)
        return Splits(cap(parts.train, self.train_per_class), cap(parts.test, self.test_per_class))

    def read(
        self, encoded: Encoded, rows: Sequence[int], what: Callable[[bytes | Path, str], T], damaged: list[str]
    ) -> Iterator[tuple[int, T]]:
        """Each row with ``what`` of it; of those that cannot be read the reason, among the ``damaged``.

        Raises:
            UserError: one cannot be read, and damaged ones are refused.
        """
        for row in rows:
            try:
                yield row, what(*encoded(row))
            except UserError as error:
                if self.damaged != "skip":
                    raise UserError(f"{error}, or set data.source.damaged=skip") from error
                damaged.append(str(error))

    def image_set(
        self,
        encoded: Encoded,
        names: Sequence[PurePosixPath] | None,
        labels: Tensor,
        classes: tuple[str, ...],
        origin: str,
        events: tuple[str, ...] = (),
        superclasses: tuple[str, ...] | None = None,
    ) -> ImageSet:
        """Images decoded; with ``boxes``, those without a box are left out.

        Args:
            names: by which boxes are looked up.
            labels: int64 (N,).
            origin: of all, for messages.
            events: what is known already.

        Raises:
            UserError: an image cannot be read, or boxes are not of these images.
        """
        damaged: list[str] = []
        rows, boxed = torch.arange(len(labels)), None
        if self.annotations is not None:
            assert names is not None
            if self.damaged == "skip":
                readable = [row for row, _ in self.read(encoded, rows.tolist(), dimensions, damaged)]
                rows = torch.tensor(readable, dtype=torch.int64)
            boxed = boxes_of(
                self.annotations, [names[row] for row in rows.tolist()],
                lambda position: dimensions(*encoded(int(rows[position]))),
                self.size, self.box_objects, self.box_mapping, self.crop,
            )  # fmt: skip
            rows = rows[boxed.images]
        choices: Counter[Choice] = Counter()
        decoded: list[int] = []

        def pixels(content: bytes | Path, name: str) -> Tensor:
            return decode(content, name, self.size, self.channels, self.crop, self.interpolation, self.background,
                          lambda choice: choices.update([choice]))  # fmt: skip

        def images() -> Iterator[Tensor]:
            for row, image in self.read(encoded, rows.tolist(), pixels, damaged):
                decoded.append(row)
                yield image

        stack = stacked(images(), len(rows), origin)
        taken = torch.tensor(decoded, dtype=torch.int64)
        if not decoded:
            raise UserError(f"{origin}: none of {len(labels)} images can be read; the first: {damaged[0]}")
        said = [*events, *events_of(choices, origin, len(decoded), self.background)]
        if damaged:
            more = f" and {len(damaged) - _NAMED} more" * (len(damaged) > _NAMED)
            said.append(f"data.source.damaged=skip: {len(damaged)} of {len(labels)} images of {origin} cannot be read "
                        f"and are passed over: {'; '.join(damaged[:_NAMED])}{more}")  # fmt: skip
        masks = None
        if boxed is not None:
            said += boxed.events
            masks = boxed.boxes.masks(len(rows), *stack.shape[2:])[torch.isin(rows, taken)]
        return ImageSet(stack, labels[taken], classes, superclasses, masks, events=tuple(said))


def first_of(taken: int, there: int, origin: str) -> list[str]:
    """One line where not all images of the classes asked for are read."""
    return [f"data.source: {taken:,} of {there:,} images of {origin} are read, the first of each class"] * (
        taken < there
    )
