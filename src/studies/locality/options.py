"""The options of the study of locality; conf/study/locality.yaml has their values and comments."""

from typing import Annotated, Literal

from annotated_types import MinLen

from src.core.options import Count, Whole, Words, options
from src.methods.locality.levels import check_level

VERSION = 2  # raised by hand when the findings change


@options
class Sweep:
    """One operation of `src.methods.locality.levels` at several levels, weakest first."""

    name: str
    levels: Annotated[tuple[float, ...], MinLen(1), Words("a list of levels, weakest first")]

    def __post_init__(self) -> None:
        for level in self.levels:
            check_level(self.name, level)


@options
class Options:
    """What is done to the images.

    Attributes:
        operations: each with its levels.
        region: where: everywhere, within the mask of the object, or outside it.
        variants: draws of what is random; an image's answers are averaged over them.
        patches: sides in pixels of the patches that are masked one at a time and all at once.
        fill: what is put in the place of a patch.
        images: of the test set, of each class in turn; None: all.
        pictures: images on the preview sheet.
        batch: images perturbed and predicted at once.
    """

    operations: Annotated[tuple[Sweep, ...], MinLen(1)]
    region: Literal["all", "inside", "outside"]
    variants: Count
    patches: Annotated[tuple[Count, ...], Words("a list of pixels")]
    fill: Literal["black", "mean", "blur", "noise"]
    images: Count | None
    pictures: Whole
    batch: Count
