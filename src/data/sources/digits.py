"""The 1,797 handwritten digits that come with scikit-learn: real images that need no download."""

from __future__ import annotations

import torch

from src.data.image_set import ImageSet, Splits
from src.data.sources.class_names import DIGITS
from src.data.sources.fitting import fit
from src.data.sources.held_out import hold_out


def digits(*, size: int | None = None, channels: int = 1, test_fraction: float = 0.3, seed: int = 0) -> Splits:
    """Load the digits, 8x8 pixels of 17 grey levels.

    Args:
        size: side in pixels (None: 8).
        channels: 1, or 3 equal ones.
        test_fraction: of each class, for the test set (the collection has no own split).
        seed: of that split.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = (torch.from_numpy(bunch.images) * (255 / 16)).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    return hold_out(ImageSet(fit(grey.unsqueeze(1), size, channels), labels, DIGITS), test_fraction, seed)
