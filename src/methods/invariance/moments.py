"""Standard deviations over transformations and over images in one pass, without keeping an activation.

``A[s, t]`` is the activation of a unit for image s under transformation t. The spread over transformations is known
as soon as one image is done; that over images needs, for each transformation, the sums of ``A - c`` and its square,
``c`` being the first image's. Both are summed in the activations' own type within slabs that stay in the cache, and in
float64 across them.
"""

import torch
from torch import Tensor

SLAB = 1 << 18  # values of one image under all transformations that are worked on together: 1 MiB of single precision
FLUSH = 64  # images that are summed in single precision


class Moments:
    """Accumulates activations of one layer.

    Args:
        units: how many.
        transformations: T, of every block that is added.
        members: those whose spread over images is kept; its memory grows with their number.
        within: whether the spread over transformations is summed, too.
        squared: sum the variance over transformations instead of its root.

    Attributes:
        count: images so far.
        shift: c (members, units). A value that each may have: where all are equal their spread is then exactly 0.
        first, second: float64 (members, units), the sums of ``A - c`` and of its square, up to the last flush.
        spread: float64 (units,), the sum over images of the standard deviation over transformations (n - 1), or of
            its square.
        scale: float64 (units,), the size of each unit's values of a first image, the greatest of all first images.
    """

    def __init__(
        self,
        units: int,
        transformations: int,
        members: slice,
        *,
        within: bool,
        squared: bool = False,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.members, self.transformations, self.dtype = members, transformations, dtype
        self.within, self.squared = within, squared
        rows = len(range(*members.indices(transformations)))
        self.count = self._since = 0
        self.shift = torch.zeros(rows, units, dtype=dtype, device=device)
        self._recent = [torch.zeros_like(self.shift) for _ in range(2)]
        self.first, self.second = (torch.zeros_like(self.shift, dtype=torch.float64) for _ in range(2))
        kept = units if within else 0
        self._recent_spread = torch.zeros(kept, dtype=dtype, device=device)
        self.spread = torch.zeros(kept, dtype=torch.float64, device=device)
        self.scale = torch.zeros(units, dtype=torch.float64, device=device)
        self._room: dict[tuple[int, ...], Tensor] = {}

    @staticmethod
    def bytes_per_unit(members: int, dtype: torch.dtype) -> int:
        """What it keeps per unit."""
        return members * (3 * dtype.itemsize + 16) + dtype.itemsize + 16

    def add(self, block: Tensor) -> None:
        """Take in activations (images, T, units) of the type and on the device of the accumulators."""
        if not self.count:
            self.shift.copy_(block[0, self.members])
            self.scale = self.scale.fmax(block[0].square().mean(0).sqrt().double())
        if block.device.type == "cpu":
            self._in_slabs(block)
        else:
            self._at_once(block)
        self.count += len(block)
        self._since += len(block)
        if self._since >= FLUSH:
            self.flush()

    def flush(self) -> None:
        """Bring the sums of the last images into the double precision ones."""
        sums = ((self.first, self._recent[0]), (self.second, self._recent[1]), (self.spread, self._recent_spread))
        for total, recent in sums:
            total += recent
            recent.zero_()
        self._since = 0

    def reset(self) -> None:
        """Begin anew with other images, after a flush."""
        for total in (self.first, self.second, self.spread):
            total.zero_()
        self.count = 0

    def squares(self) -> Tensor:
        """float64 (members, units): sums of squares about the mean, after a flush."""
        return squares_about_mean(self.first, self.second, self.count)

    def _in_slabs(self, block: Tensor) -> None:
        units = block.shape[2]
        width = max(1, SLAB // self.transformations)
        for begin in range(0, units, width):
            part = slice(begin, min(units, begin + width))
            sums, squares = (recent[:, part] for recent in self._recent)
            shift = self.shift[:, part]
            images = block[:, :, part]
            # summed before c is taken off, which is one pass over memory less
            sums += images[:, self.members].sum(0).sub_(shift, alpha=len(block))
            for image in images:
                if self.within:
                    self._recent_spread[part] += self._deviation(image)
                away = torch.sub(image[self.members], shift, out=self._space(shift.shape))
                squares.addcmul_(away, away)

    def _deviation(self, image: Tensor) -> Tensor:
        """(T, units) -> (units,): standard deviation over T. torch.std is many times slower over the first axis."""
        mean = image.sum(0).div_(self.transformations)  # much faster than image.mean(0)
        away = torch.sub(image, mean, out=self._space(image.shape))
        variance = away.mul_(away).sum(0).div_(max(1, self.transformations - 1))
        return variance if self.squared else variance.sqrt_()

    def _at_once(self, block: Tensor) -> None:
        if self.within:
            variance = block.var(1, correction=int(self.transformations > 1))
            self._recent_spread += (variance if self.squared else variance.sqrt_()).sum(0)
        away = block[:, self.members] - self.shift
        self._recent[0] += away.sum(0)
        self._recent[1] += away.square_().sum(0)

    def _space(self, shape: torch.Size) -> Tensor:
        """Memory that is used again: fresh memory costs more than the sums."""
        if tuple(shape) not in self._room:
            self._room[tuple(shape)] = torch.empty(shape, dtype=self.dtype)
        return self._room[tuple(shape)]


def squares_about_mean(first: Tensor, second: Tensor, count: int) -> Tensor:
    """Sum of squares about the mean, from the sums of x - c and (x - c)^2 over ``count`` values."""
    return (second - first.square() / count).clamp_(min=0)
