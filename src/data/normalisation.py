"""Mean and standard deviation per channel: measured on the training part, or as published.

With contrast ``global`` every image is first brought to mean 0 and standard deviation 1 (`augment.global_contrast`);
with ``per_pixel`` and ``zca`` all images are whitened first (`src.imageops.whitening`).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from src.core.errors import UserError, suggestion
from src.data.augment import channel_statistics
from src.imageops.whitening import WHITENINGS

PUBLISHED: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mnist": ((0.1307,), (0.3081,)),
    "half": ((0.5,), (0.5,)),
    "none": ((0.0,), (1.0,)),
}
"""Name -> mean and std of 0..1; those of one channel serve any number of channels."""


CONTRASTS = ("none", "global", *WHITENINGS)


def statistics(
    wanted: str | Mapping[str, Any], train: Tensor, contrast: str = "none"
) -> tuple[list[float], list[float]]:
    """Mean and std, one value per channel.

    Args:
        wanted: ``train``, a name of `PUBLISHED`, or a mapping with mean and std (numbers, or one per channel).
        train: uint8 (N, C, H, W).
        contrast: ``none``, ``global`` or a whitening: what is done to every image before. After a whitening there is
            nothing left to measure: ``train`` is mean 0 and std 1.

    Raises:
        UserError: unknown name, missing key, wrong number of channels, a std that is not positive, or statistics of
            a data set for images of another contrast.
    """
    if wanted == "train" and contrast in WHITENINGS:
        wanted = "none"
    if wanted == "train":
        return channel_statistics(train, contrast)
    if isinstance(wanted, str):
        if wanted not in PUBLISHED:
            raise UserError(f"data.normalisation={wanted}: no such name; {suggestion(wanted, ['train', *PUBLISHED])}")
        if contrast != "none" and wanted not in ("half", "none"):
            raise UserError(
                f"data.normalisation={wanted}: was measured without data.contrast={contrast}; take train or none"
            )
        mean, std = PUBLISHED[wanted]
    else:
        if set(wanted) != {"mean", "std"}:
            raise UserError(f"data.normalisation: has {', '.join(map(str, wanted))}; expected mean and std")
        mean, std = (
            tuple(map(float, (given,) if isinstance(given, int | float) else given))
            for given in (wanted["mean"], wanted["std"])
        )
    channels = train.shape[1]
    if {len(mean), len(std)} - {1, channels}:
        raise UserError(f"data.normalisation={wanted}: {len(mean)} channels, but the images have {channels}")
    if min(std) <= 0:
        raise UserError(f"data.normalisation.std={list(std)}: has to be positive")
    return list(mean) * (channels // len(mean)), list(std) * (channels // len(std))
