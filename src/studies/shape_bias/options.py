"""The options of the study of shape bias; conf/study/shape_bias.yaml has their values and comments."""

from typing import Annotated, Literal

from src.core.options import Count, Words, options

VERSION = 2  # raised by hand when the findings change


@options
class Options:
    """What is shown.

    Attributes:
        conflicts: a folder or a parquet file of images that show one thing's shape with another's texture; or
            ``glyphs``: drawn here, for a network whose classes are shapes.
        rule: how the probabilities of a category's classes become one number.
        observers: decisions of others on the same images, a CSV in the public columns or a folder of them; None: there
            are none.
        batch: images predicted at once.
    """

    conflicts: Annotated[str, Words("a folder or a parquet file with cue-conflict images, or glyphs")]
    rule: Literal["mean", "sum", "max"]
    observers: Annotated[str, Words("a CSV of decisions, or a folder of them")] | None
    batch: Count
