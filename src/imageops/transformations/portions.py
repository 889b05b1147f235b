"""Images in portions whose results fit a processor's cache, which is faster than all of them at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch

CACHED = 2**19  # values
AT_ONCE = 2**27  # values on an accelerator, where few large operations are best


def portions(count: int, values_each: int, device: torch.device) -> Iterator[slice]:
    """Consecutive slices of ``count`` images, each of which makes ``values_each`` values."""
    size = max(1, (CACHED if device.type == "cpu" else AT_ONCE) // max(values_each, 1))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
