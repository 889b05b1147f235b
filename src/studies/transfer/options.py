"""What task=transfer is told; conf/task/transfer.yaml has the values."""

from typing import Annotated, Any

from annotated_types import MinLen

from src.artifacts.options import Data, ModuleTreeOptions, Resamples, TreeOptions
from src.core.options import Count, Words, options


@options
class Transfer(ModuleTreeOptions):
    data: Data
    other_tree: TreeOptions
    target: Data
    experts: Count | None
    images_per_class: Annotated[tuple[Count, ...], MinLen(1), Words("a list of whole numbers from 1, e.g. [4, 16, 64]")]
    few: dict[str, Any]
    resamples: Resamples
