"""Parts of a batch: side by side, one thread for each instead of several for each operation, or one after another.

Operations on a few images are so short that threads which share them mostly wait for each other. Each part is computed
by one thread alone, so that it has the same bits for any number of threads.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

CACHED = 2**19  # values that fit a processor's cache, which is faster than all of them at once
AT_ONCE = 2**27  # values on an accelerator, where few large operations are best


def portions(count: int, values_each: int, device: torch.device) -> Iterator[slice]:
    """Consecutive slices of ``count`` images, each of which makes ``values_each`` values."""
    size = max(1, (CACHED if device.type == "cpu" else AT_ONCE) // max(values_each, 1))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def in_threads(work: Callable[[int], None], parts: int, device: torch.device) -> None:
    """``work`` for 0 .. parts - 1, in as many threads as torch may use; in turn, in this one, on an accelerator.

    Without gradients, and in inference mode where the caller is: both are states of a thread.
    """
    threads, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()

    def one(part: int) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            work(part)

    if threads == 1 or device.type != "cpu":
        for part in range(parts):
            one(part)
        return
    try:
        with ThreadPoolExecutor(min(threads, parts), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(one, range(parts)):
                pass  # an error in a part is raised here
    finally:
        torch.set_num_threads(threads)  # the initialiser also sets the number for threads yet to come
