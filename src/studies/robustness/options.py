"""The options of the study of robustness; conf/study/robustness.yaml has their values and comments."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from annotated_types import MinLen

from src.core.errors import UserError, suggestion
from src.core.options import Count, Words, options
from src.methods.robustness.severities import SMALL

VERSION = 2  # raised by hand when the findings change

Corruptions = Annotated[Literal["all"] | tuple[str, ...], Words("all, or a list of names")]
Severities = Annotated[
    tuple[Literal[1, 2, 3, 4, 5], ...], MinLen(1), Words("a list of different ones of 1, 2, 3, 4, 5")
]


def check_shift(corruptions: Sequence[str], severities: Sequence[int], where: str = "") -> None:
    """Refuse what the types cannot say.

    Args:
        where: what stands before the names of the two in a configuration, with its dot.

    Raises:
        UserError: a corruption that does not exist or none, or one of them twice.
    """
    for name in corruptions:
        if name not in SMALL:
            near = suggestion(name, SMALL)
            raise UserError(f"{where}corruptions: no '{name}'; {near}; all takes all {len(SMALL)}")
    if not corruptions or len(set(corruptions)) < len(corruptions):
        raise UserError(f"{where}corruptions={list(corruptions)}: name at least one, and each only once; or all")
    if len(set(severities)) < len(severities):
        raise UserError(f"{where}severities={list(severities)}: allowed are different ones of 1, 2, 3, 4, 5")


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

    def __post_init__(self) -> None:
        check_shift(tuple(SMALL) if self.corruptions == "all" else self.corruptions, self.severities, "study.")
