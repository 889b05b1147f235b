"""The options of the study of robustness; conf/study/robustness.yaml has their values and comments."""

from typing import Annotated, Any, Literal

from annotated_types import MinLen

from src.core.options import Count, Words, options

VERSION = 2  # raised by hand when the findings change

Corruptions = Annotated[Literal["all"] | tuple[str, ...], Words("all, or a list of names")]
Severities = Annotated[
    tuple[Literal[1, 2, 3, 4, 5], ...], MinLen(1), Words("a list of different ones of 1, 2, 3, 4, 5")
]


@options
class Options:
    """What is measured, and on which images.

    Attributes:
        files: a folder with published corrupted images; its ``~`` is the user's home.
        reference: the folder of another result of this study.
        batch: images that are corrupted and predicted at once.
        unknown: a configuration of data, none of whose classes the network knows.
    """

    corruptions: Corruptions
    severities: Severities
    images: Count | None
    files: Annotated[str, Words("a folder")] | None
    reference: Annotated[str, Words("the folder of a result")] | None
    temperature: Literal["none", "fit"]
    batch: Count
    unknown: dict[str, Any]
