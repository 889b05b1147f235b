"""Images that stay in files, behind the few operations of a tensor that an image set and the tasks use on one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from src.core.seeds import stream
from src.core.shown import Shown
from src.data.decoding import Cut, decoded


@dataclass(frozen=True, eq=False)
class FileImages(Shown):
    """N image files; those that are used are decoded then, and none of them is kept.

    In the face of a tensor uint8 (N, 3, side, side): the shorter side resized, the middle cut out. Choosing some of
    them decodes none; ``split`` gives batch after batch of them as tensors, ``to`` all of them as one.

    Args:
        root: folder that the files are in.
        files: paths below it.
        sizes: int64 (N,): their bytes.
        numbers: int64 (N,): which files these are of all ``pool``: what the random crops of an image depend on, so
            that it is cut alike by all who train on it.
        pool: how many files there are.
        side: pixels.
        workers: processes that decode; they change nothing but the time.
    """

    root: str
    files: Sequence[str]
    sizes: Tensor
    numbers: Tensor
    pool: int
    side: int
    workers: int = 0

    dtype = torch.uint8
    device = torch.device("cpu")

    def __len__(self) -> int:
        return len(self.files)

    @property
    def shape(self) -> torch.Size:
        """(N, 3, side, side)."""
        return torch.Size((len(self), 3, self.side, self.side))

    def dim(self) -> int:
        """Four."""
        return 4

    def __getitem__(self, index: Tensor | slice) -> "FileImages":
        """Those at int64 or bool positions, still in their files."""
        rows = torch.arange(len(self))[index]
        return replace(
            self, files=[self.files[k] for k in rows.tolist()], sizes=self.sizes[rows], numbers=self.numbers[rows]
        )

    def split(self, size: int) -> Iterator[Tensor]:
        """uint8 (n, 3, side, side), ``size`` images at a time, in order; an empty set gives one empty batch."""
        yield from self.batches(list(torch.arange(len(self)).split(size)), Cut(self.side, self.side))

    def to(self, device: torch.device | str) -> Tensor:
        """All of them, decoded, there."""
        images = torch.empty(self.shape, dtype=torch.uint8, device=device, memory_format=torch.channels_last)
        for into, batch in zip(images.split(256), self.split(256), strict=True):
            into.copy_(batch)
        return images

    def batches(
        self, rows: Sequence[Tensor], cut: Cut, moment: tuple[int, int] | None = None, rgb_pca: float = 0.0
    ) -> Iterator[Tensor]:
        """Batches uint8 (n, 3, crop, crop) of the images at int64 (n,) rows.

        Args:
            moment: (seed, epoch) of what is random; None: the middle of each image.
            rgb_pca: standard deviation of the shares of ``cut.components``.
        """
        if not len(self):
            yield torch.empty(0, 3, cut.crop, cut.crop, dtype=torch.uint8)
            return
        place = shares = None
        if moment is not None:  # a pure function of the seed, the epoch and the number of each file
            seed, epoch = moment
            place = torch.rand(self.pool, 3, dtype=torch.float64, generator=stream(seed, "places", epoch))[self.numbers]
            if cut.components is not None:
                normal = torch.randn(self.pool, 3, generator=stream(seed, "colours of files", epoch))
                shares = (rgb_pca * normal)[self.numbers]
        paths = [f"{self.root}/{file}" for file in self.files]
        yield from decoded(paths, rows, cut, self.workers, place, shares)
