"""Image files to batches of pixels: each file is decoded, resized and cut out in one go, in worker processes.

An image's shorter side becomes ``side`` pixels (bilinear, anti-aliased), and a square of ``crop`` pixels is cut out of
it. Only that square is resized. The original of this data path (L. Friedrichsen 2020) stores the resized images as JPEG
of quality 80 first; we decode the files as they are.

Workers are forked: started in any other way they cannot be under the joblib launcher (hydra#964). They draw nothing:
whatever is random comes with the request, so that their number changes nothing.
"""

import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from src.core.errors import UserError
from src.core.shown import Shown
from src.data.augment import FLIP_AXES, shift_colours
from src.data.picture import as_seen

PIECE = 32  # images that a worker hands over at once: what bounds the shared memory and the time to the first batch
PREFETCH = 2  # pieces per worker
SHARED = "/dev/shm"


@dataclass(frozen=True, eq=False)
class Cut(Shown):
    """What is made of every image: ``crop`` x ``crop`` pixels of it, after its shorter side was resized to ``side``.

    Attributes:
        side, crop: pixels.
        flip_axis: ``left_right`` or ``up_down``.
        flip: whether half of the images that are cut at random are flipped.
        components: float32 (3, 3), the colours along which images are shifted, or None.
    """

    side: int
    crop: int
    flip_axis: str = FLIP_AXES[0]
    flip: bool = False
    components: Tensor | None = None


class Request(NamedTuple):
    """Some files to decode, and how; plain lists, which cost a worker's queue no file handles."""

    files: list[str]
    place: list[list[float]] | None  # None: the middle, not flipped
    shares: list[list[float]] | None  # None: colours are not shifted


def decode(file: str, cut: Cut, place: Sequence[float] | None = None) -> np.ndarray:
    """uint8 (crop, crop, 3) of one file.

    Args:
        place: three uniform numbers in 0..1: how far down and right the square lies, and, where images are flipped at
            all, whether this one is (below a half); None: the middle, not flipped.

    Raises:
        UserError: the file is no readable image; names it.
    """
    # twice the final size keeps its sharpness
    picture, size = as_seen(Path(file), file, at_least=2 * cut.side)
    width, height = (cut.side * length // min(size) for length in size)
    spare = height - cut.crop, width - cut.crop
    if place is None:
        down, right = (more // 2 for more in spare)
    else:
        down, right = (int(number * (more + 1)) for number, more in zip(place[:2], spare, strict=True))
    across, along = picture.width / width, picture.height / height
    box = right * across, down * along, (right + cut.crop) * across, (down + cut.crop) * along
    pixels = np.asarray(picture.resize((cut.crop, cut.crop), Image.Resampling.BILINEAR, box=box))
    if cut.flip and place is not None and place[2] < 0.5:
        return pixels[:, ::-1] if cut.flip_axis == FLIP_AXES[0] else pixels[::-1]
    return pixels


class Decoder(Dataset[Tensor | str]):
    """What a worker does: requests to uint8 (n, 3, crop, crop), or the message of an error to raise."""

    def __init__(self, cut: Cut) -> None:
        self.cut = cut

    def __getitem__(self, request: Request) -> Tensor | str:
        images = torch.empty(len(request.files), self.cut.crop, self.cut.crop, 3, dtype=torch.uint8)
        into = images.numpy()
        for row, file in enumerate(request.files):
            try:
                into[row] = decode(file, self.cut, request.place[row] if request.place else None)
            except UserError as error:
                return str(error)  # torch would wrap its type in a traceback of many lines
        made = images.permute(0, 3, 1, 2)
        if request.shares is None or self.cut.components is None:
            return made
        return shift_colours(made, torch.tensor(request.shares), self.cut.components)


def decoded(
    files: Sequence[str],
    batches: Sequence[Tensor],
    cut: Cut,
    workers: int,
    place: Tensor | None = None,
    shares: Tensor | None = None,
) -> Iterator[Tensor]:
    """Batches of images, in order.

    Args:
        batches: int64 (n,) each: the numbers of the files of a batch.
        workers: processes; 0: decode here.
        place: float64 (files, 3), uniform numbers as of `decode`; None: the middle of the images.
        shares: float32 (files, 3), how much of each of the cut's components is added.

    Yields:
        uint8 (n, 3, crop, crop) in channels-last memory.

    Raises:
        UserError: a file is no readable image; a worker died.
    """
    parts = [rows.split(PIECE) for rows in batches]
    requests = (  # made as workers ask for them
        Request(
            [files[row] for row in rows.tolist()],
            None if place is None else place[rows].tolist(),
            None if shares is None else shares[rows].tolist(),
        )
        for pieces in parts
        for rows in pieces
    )
    made = _pieces(requests, cut, min(workers, sum(map(len, parts))))
    for pieces in parts:
        images = [next(made) for _ in pieces]
        yield torch.cat(images) if len(images) != 1 else images[0]


def _pieces(requests: Iterable[Request], cut: Cut, workers: int) -> Iterator[Tensor]:
    decoder = Decoder(cut)
    loader: DataLoader[Tensor | str] | map[Tensor | str] = map(decoder.__getitem__, requests)
    if workers:
        loader = DataLoader(
            decoder,
            batch_size=None,
            sampler=requests,  # its "indices" are our requests
            num_workers=workers,
            prefetch_factor=PREFETCH,
            multiprocessing_context="fork" if "fork" in multiprocessing.get_all_start_methods() else None,
            generator=torch.Generator(),  # else it draws a seed from the global one, which dropout then misses
        )
    try:
        for piece in loader:
            if isinstance(piece, str):
                raise UserError(piece)
            yield piece
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            f"data.workers={workers}: a decoding process died (memory, or {SHARED} is full: {_shared() / 1e6:.0f} MB "
            "are free); set data.workers lower, or 0"
        ) from error


def number_of_workers(wanted: int | str, side: int) -> int:
    """Processes that decode squares of ``side`` pixels: what is asked for, or as many as go.

    ``auto``: one less than there are cores, none where only one is, with at most half of the shared memory.

    Raises:
        UserError: neither a whole number nor ``auto``.
    """
    if wanted == "auto":
        if multiprocessing.current_process().daemon:  # may have no children
            return 0
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(0, min(cores - 1, int(_shared() / 2 / ((PREFETCH + 1) * PIECE * 3 * side**2))))
    if type(wanted) is not int or wanted < 0:
        raise UserError(f"data.workers={wanted}: allowed are auto and whole numbers from 0")
    return wanted


def _shared() -> float:
    """Bytes of shared memory that are free."""
    return shutil.disk_usage(SHARED).free if os.path.isdir(SHARED) else float("inf")
