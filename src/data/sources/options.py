"""What the options of several sources are made of."""

from typing import Annotated, Literal

from annotated_types import Gt, Le, Lt

from src.core.options import Count, Words, options

Root = Annotated[str, Words("a folder")]
Place = Annotated[str, Words("a folder or a file")] | None
Side = Count | None
"""Pixels: the shorter side is resized, the middle cut out. None: the images have one size already."""
Guessed = Annotated[Count | Literal["auto"] | None, Words("auto, null or a whole number of pixels")]
"""The same; auto: by the sizes of the images (`picture.usual_side`)."""
Crop = Annotated[float, Gt(0), Le(1), Words("a number above 0, up to 1")] | None
"""What is cut out, as a share of the shorter side. None: all of it."""
Interpolation = Literal["bilinear", "bicubic"] | None
"""How images are resized. None: bilinear."""
Channels = Literal[1, 3]
Fraction = Annotated[float, Gt(0), Lt(1), Words("a number between 0 and 1")]
TestFraction = Annotated[float, Gt(0), Le(1), Words("a number above 0, to 1")]
Only = tuple[int | str, ...] | None
"""Numbers or names of the classes to take, which become 0, 1, ... in this order."""


@options
class Downloaded:
    """A set that is fetched where it is missing.

    Attributes:
        root: folder that holds the files, or is to hold them.
        channels: 3, or 1 for grey.
    """

    root: Root
    download: bool = True
    size: Side = None
    channels: Channels = 3
    only: Only = None
