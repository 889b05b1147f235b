"""Ways to make a map smaller: 2x2 pools, one of them anti-aliased, and the mean over all positions."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.core.errors import UserError


class MaxBlurPool2d(nn.Module):
    """Anti-aliased max-pool (Zhang, ICML 2019, arXiv:1904.11486): (n, C, H, W) to (n, C, H // 2, W // 2).

    The largest of each 2x2 window at every position, then every second value of the map blurred by [1, 2, 1] / 4 along
    rows and columns, mirrored at the border without doubling the border itself. Sides of at least 3.
    """

    def forward(self, x: Tensor) -> Tensor:
        return blurred(blurred(F.max_pool2d(x, 2, stride=1), 2), 3)


def blurred(x: Tensor, side: int) -> Tensor:
    """Every second value along ``side`` of maps blurred by [1, 2, 1] / 4, mirrored at the border."""
    # sums of slices and no padding by reflection, whose gradient is not deterministic on GPUs
    x = torch.cat([x.narrow(side, 1, 1), x, x.narrow(side, -2, 1)], side).movedim(side, -1)
    return ((x[..., :-2:2] + 2 * x[..., 1:-1:2] + x[..., 2::2]) / 4).movedim(-1, side)


class GlobalAverage(nn.Module):
    """The mean over all positions: (n, C, H, W) to (n, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


#: Pools that halve a map's sides (rounded down).
POOLS: dict[str, Callable[[], nn.Module]] = {
    "max": lambda: nn.MaxPool2d(2),
    "average": lambda: nn.AvgPool2d(2),
    "blur": MaxBlurPool2d,
}


def pooled_size(name: str, input_shape: Sequence[int], pools: Sequence[int], kind: str = "max") -> tuple[int, int]:
    """Rows and columns of a map of the image's size after all ``pools`` (indices of the convolutions before them).

    Raises:
        UserError: a pool would get fewer pixels than it takes.
    """
    side, takes = min(input_shape[1:]), 3 if kind == "blur" else 2
    possible = [index for place, index in enumerate(pools) if side >= takes << place]
    if len(possible) < len(pools):
        needed = takes << len(pools) - 1
        raise UserError(
            f"model.input_shape={list(input_shape)}: {name} pools {len(pools)} times and needs images of at least "
            f"{needed}x{needed} pixels; or pool less: pools={possible}"
        )
    return input_shape[1] >> len(pools), input_shape[2] >> len(pools)
