"""What task=add_class is told; conf/task/add_class.yaml has the values."""

from typing import Annotated, Any, Literal

from src.artifacts.options import MatchedOptions, Resamples
from src.core.options import Words, options

#: A class joins, a class leaves, or an expert is replaced.
Change = Literal["add", "remove", "replace"]


@options
class AddClass(MatchedOptions):
    change: Change
    class_name: Annotated[int | str, Words("a class by name")]
    update: dict[str, Any]
    replacement: dict[str, Any]
    resamples: Resamples
