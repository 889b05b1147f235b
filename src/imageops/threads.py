"""Parts of a batch side by side: one thread for each part, instead of several for each operation.

Operations on a few images are so short that threads which share them mostly wait for each other. Each part is computed
by one thread alone, so that it has the same bits for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor


def in_threads(work: Callable[[int], Tensor], parts: int, device: torch.device) -> list[Tensor]:
    """``work`` for 0 .. parts - 1, in as many threads as torch may use; in turn, in this one, on an accelerator."""
    threads = torch.get_num_threads()
    if threads == 1 or device.type != "cpu":
        return [work(part) for part in range(parts)]
    try:
        with ThreadPoolExecutor(min(threads, parts), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(work, range(parts)))
    finally:
        torch.set_num_threads(threads)  # the initialiser also sets the number for threads yet to come
