"""The options of the study of distorted images; conf/study/out_of_distribution.yaml has their values and comments."""

from __future__ import annotations

from typing import Annotated, Literal

from src.core.options import Count, Words, options

VERSION = 1  # raised by hand when the findings change


@options
class Options:
    """What is shown.

    Attributes:
        distorted: a folder of one of the public sets of distorted images.
        rule: how the probabilities of a category's classes become one number.
        observers: decisions of others on the same images in the public columns; None: there are none.
        leave_out: conditions that count in no mean: controls, and those in which people guess.
        batch: images predicted at once.
    """

    distorted: Annotated[str, Words("a folder with distorted images")]
    rule: Literal["mean", "sum", "max"]
    observers: Annotated[str, Words("a CSV of decisions, or a folder of them")] | None
    leave_out: Annotated[tuple[str, ...], Words("a list of conditions")]
    batch: Count
