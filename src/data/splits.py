"""Fixed splits of a training pool into train, validation and calibration, between which no image can leak.

Stratified by class and drawn by the data seed alone, so they do not depend on how, how long or on what is trained.
Identical images (CIFAR-100 has 26 groups of them) always fall into the same part.
"""

import hashlib

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.data.image_set import ImageSet, Splits
from src.data.ranks import rank_within_class

PARTS = ("train", "validation", "calibration")


def digests(images: Tensor) -> list[bytes]:
    """One of each image of uint8 (N, ...): equal images have equal ones."""
    return [hashlib.blake2b(image, digest_size=16).digest() for image in images.cpu().contiguous().numpy()]


def groups_of(images: Tensor) -> Tensor:
    """int64 (N,): the position of the first image that is byte for byte the same as each image."""
    first: dict[bytes, int] = {}
    places = [first.setdefault(digest, place) for place, digest in enumerate(digests(images))]
    return torch.tensor(places, dtype=torch.int64)


def drop_seen(pool: ImageSet, test: ImageSet) -> tuple[ImageSet, int]:
    """The pool without the images that are in the test set too, and how many those were."""
    known = set(digests(test.images))
    unseen = torch.tensor([digest not in known for digest in digests(pool.images)], dtype=torch.bool)
    dropped = len(pool) - int(unseen.sum())
    return (pool.select(unseen.nonzero().squeeze(1)) if dropped else pool), dropped


def split_pool(
    pool: ImageSet, *, validation: float | int = 0.2, calibration: float | int = 0.0, seed: int = 0
) -> dict[str, Tensor]:
    """Positions of the images of each part.

    Args:
        validation: size of that part: a fraction below 1, or a whole number of images per class.
        calibration: the same for images that neither train nor choose anything.

    Returns:
        int64 index tensors, ascending: train, validation and calibration, disjoint, together the whole pool.

    Raises:
        UserError: a size is negative, or a class is left without an image to train on.
    """
    firsts = groups_of(pool.images)
    leaders = (firsts == torch.arange(len(pool))).nonzero().squeeze(1)  # one image stands for its copies
    labels = pool.labels[leaders]
    ranks = rank_within_class(labels, stream(seed, "splits"))
    available = torch.bincount(labels, minlength=len(pool.classes))
    held = _share("validation", validation, available)
    more = _share("calibration", calibration, available)
    short = ((held + more >= available) & (available > 0)).nonzero().squeeze(1)
    if len(short):
        name, count = pool.classes[int(short[0])], int(available[short[0]])
        raise UserError(
            f"data.splits: validation={validation}, calibration={calibration} leave none of the {count} different "
            f"images of class '{name}' to train on ({int(pool.per_class[short[0]])} with copies); lower them or take "
            "more images"
        )
    part = torch.zeros(len(pool), dtype=torch.int64)
    part[leaders] = (ranks < held[labels]).long() + 2 * ((ranks >= held[labels]) & (ranks < (held + more)[labels]))
    part = part[firsts]
    return {name: (part == number).nonzero().squeeze(1) for number, name in enumerate(PARTS)}


def first_half(images: ImageSet, seed: int) -> Tensor:
    """bool (N,): half of the different images of each class, whatever other classes there are; copies stay together."""
    known = digests(images.images)
    drawn = [hashlib.blake2b(digest, digest_size=16, salt=seed.to_bytes(8, "big")).digest() for digest in known]
    labels = images.labels.tolist()
    ordered = sorted(set(zip(labels, drawn, strict=True)))
    begins = {label: place for place, (label, _) in reversed(list(enumerate(ordered)))}
    place = {pair: number - begins[pair[0]] for number, pair in enumerate(ordered)}
    return torch.tensor([place[pair] % 2 == 0 for pair in zip(labels, drawn, strict=True)], dtype=torch.bool)


def hold_out(images: ImageSet, fraction: float, seed: int) -> Splits:
    """Seeded, stratified train and test sets; identical images stay on one side."""
    parts = split_pool(images, validation=fraction, seed=seed)
    return Splits(images.select(parts["train"]), images.select(parts["validation"]))


def _share(name: str, size: float | int, available: Tensor) -> Tensor:
    if isinstance(size, str):
        raise UserError(f"data.splits.{name}={size}: give a share, images per class, or (validation) test")
    if size < 0 or (size >= 1 and size != int(size)):
        raise UserError(f"data.splits.{name}={size}: a fraction below 1, or a whole number of images per class")
    if size >= 1:
        return torch.full_like(available, int(size))
    # a class that has few images still shows in every part that is asked for
    return (available * size).round().long().clamp_min(1 if size else 0)
