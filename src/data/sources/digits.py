"""The 1,797 handwritten digits that come with scikit-learn: real images that need no download."""

import torch

from src.core.options import options
from src.data.class_names import DIGITS
from src.data.image_set import ImageSet, Splits
from src.data.sources.fitting import fit
from src.data.sources.options import Channels, Fraction, Only, Side
from src.data.splits import hold_out


@options
class Digits:
    """8x8 pixels of 17 grey levels; the collection has no test set of its own."""

    size: Side = None
    channels: Channels = 1
    test_fraction: Fraction = 0.3
    seed: int = 0
    only: Only = None


def digits(options: Digits) -> Splits:
    """Load the digits."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = (torch.from_numpy(bunch.images) * (255 / 16)).round().to(torch.uint8)
    images = ImageSet(
        fit(grey.unsqueeze(1), options.size, options.channels), torch.from_numpy(bunch.target).long(), DIGITS
    )
    return hold_out(images, options.test_fraction, options.seed)
