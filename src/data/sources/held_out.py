"""A test set for collections that come without one."""

from __future__ import annotations

from src.core.errors import UserError
from src.data.image_set import ImageSet, Splits
from src.data.splits import split_pool


def hold_out(images: ImageSet, fraction: float, seed: int) -> Splits:
    """Seeded, stratified train and test sets; identical images stay on one side.

    Raises:
        UserError: the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise UserError(f"data.source.test_fraction={fraction}: allowed are fractions between 0 and 1")
    parts = split_pool(images, validation=fraction, seed=seed)
    return Splits(images.select(parts["train"]), images.select(parts["validation"]))
