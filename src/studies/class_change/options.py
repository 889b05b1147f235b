"""What task=add_class is told; conf/task/add_class.yaml has the values."""

from typing import Annotated, Any, Literal

from src.artifacts.options import MatchedOptions, Resamples
from src.core.options import Words, options


@options
class AddClass(MatchedOptions):
    change: Literal["add", "remove", "replace"]
    class_name: Annotated[int | str, Words("a class by name")]
    update: dict[str, Any]
    replacement: dict[str, Any]
    resamples: Resamples
