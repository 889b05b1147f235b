"""Parts of a batch side by side: one thread for each part, instead of several for each operation.

Operations on a few images are so short that threads which share them mostly wait for each other. Each part is computed
by one thread alone, so that it has the same bits for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


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
