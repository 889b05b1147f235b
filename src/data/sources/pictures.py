"""Options that all sources share which decode image files, and how they decode them."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from torch import Tensor

from src.core.options import options
from src.data.boxes import Annotations, Boxed, BoxMapping, Objects, boxes_of
from src.data.sources.fitting import decode, dimensions
from src.data.sources.options import Channels, Crop, Interpolation, Only, Place, Side


@options
class Pictures:
    """Of sources that decode image files.

    Attributes:
        channels: 3, or 1 for grey.
        seed: of a split where there is no test set.
        boxes: a folder of Pascal-VOC XML files or a table (`src.data.boxes`); what they hold becomes the masks.
    """

    size: Side = None
    channels: Channels = 3
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

    def decode(self, content: bytes | Path, origin: str) -> Tensor:
        """uint8 (channels, H, W) of one encoded image; `origin` names it in messages."""
        return decode(content, origin, self.size, self.channels, self.crop, self.interpolation)

    @cached_property
    def annotations(self) -> Annotations | None:
        """What ``boxes`` holds, read once."""
        return None if self.boxes is None else Annotations(Path(self.boxes).expanduser())

    def boxed(self, names: Sequence[PurePosixPath], content: Callable[[int], tuple[bytes | Path, str]]) -> Boxed | None:
        """Boxes of images by their names; ``content`` gives an image and its origin by position. None: no ``boxes``."""
        if self.annotations is None:
            return None
        return boxes_of(self.annotations, names, lambda position: dimensions(*content(position)), self.size,
                        self.box_objects, self.box_mapping, self.crop)  # fmt: skip
