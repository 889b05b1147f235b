"""Networks that do not need each other are trained side by side, with the bits of one after the other."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch

from src.artifacts.artifacts import Artifacts
from src.core.orphans import end_with_parent
from src.core.running import Logger
from src.core.store import Store
from src.report.session import Session
from src.training.determinism import device_of, settle

WORTH_IT = 20_000
"""Images times epochs of a training below which a second process saves nothing."""


class _Silent(Session):
    """The other process tells nothing: who asks for the network afterwards reads all of it from the store."""

    def log(
        self, series: str, step: int, metrics: Mapping[str, float], costs: Mapping[str, float] | None = None
    ) -> None:
        pass


@contextmanager
def beside(work: Callable[[Artifacts], object], seen: int, artifacts: Artifacts) -> Iterator[Callable[[], None]]:
    """While open, another process does ``work``: it leaves networks in the store that this process asks for later.

    Gives what waits for it. Without a core to spare, on a GPU or with several threads per operation, which survive no
    fork, nothing is done and nothing waited for: who asks for the networks makes them. So does who finds that the other
    process failed. It does not outlive this one, nor the block.

    Args:
        work: given what the other process makes networks with.
        seen: images times epochs of its trainings.
    """
    running = artifacts.running
    alone = int(running.workers) < 2 or torch.get_num_threads() > 1 or device_of(running.device).type != "cpu"
    if alone or seen < WORTH_IT or running.until is not None:
        yield lambda: None
        return
    process = multiprocessing.get_context("fork").Process(target=_work, args=(work, artifacts, os.getpid()))
    process.start()
    try:
        yield process.join
    finally:
        process.kill()  # what it was at goes on from its last checkpoint
        process.join()


def _work(work: Callable[[Artifacts], object], artifacts: Artifacts, parent: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    end_with_parent(parent)
    settle(1)
    running = replace(artifacts.running, logger=Logger("csv"))
    session = _Silent({}, running, Path(artifacts.session.folder), quiet=True)
    with suppress(Exception):  # this process's parent meets it, too, and tells it
        work(replace(artifacts, running=running, store=Store(artifacts.store.root), session=session))
