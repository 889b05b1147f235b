"""Corruption errors: how a network's errors grow on corrupted images, against a reference network's.

Hendrycks and Dietterich, ICLR 2019 (arXiv:1903.12261), section 3: errors are summed over severities, divided by the
reference's sum, and averaged over corruptions, so that no corruption counts more for being hard. The benchmark's mCE
is over all corruptions but the four of `src.methods.robustness.corruptions.EXTRA`.
"""

import torch
from torch import Tensor


def corruption_errors(errors: Tensor, reference: Tensor) -> Tensor:
    """Each corruption's error as a share of the reference's, 1 where both are as bad; the mCE is the mean of them.

    Args:
        errors: (..., C, S) by corruption and severity, shares of the images or counts of as many.
        reference: (..., C, S), of the network that they are compared with.

    Returns:
        float64 (..., C); infinite or NaN where the reference makes no error.
    """
    return errors.double().sum(-1) / reference.double().sum(-1)


def relative_corruption_errors(
    errors: Tensor, clean: Tensor | float, reference: Tensor, reference_clean: Tensor | float
) -> Tensor:
    """What each corruption adds to the error on clean images, as a share of what it adds to the reference's.

    The mean of them is the relative mCE. A network that is worse on clean images has less to lose: it can be below 1
    for that alone.

    Args:
        errors: (..., C, S). clean: (...), the error on clean images.
        reference: (..., C, S). reference_clean: (...).

    Returns:
        float64 (..., C); infinite or NaN where the reference loses nothing, negative where one of both gains.
    """
    clean, reference_clean = (
        torch.as_tensor(error, dtype=torch.float64)[..., None, None] for error in (clean, reference_clean)
    )
    lost = (reference.double() - reference_clean).sum(-1)
    # what is left of shares that cancel is rounding, which would count as a loss of 1e-16
    lost = torch.where(lost.abs() < 1e-9, 0.0, lost)
    return (errors.double() - clean).sum(-1) / lost
