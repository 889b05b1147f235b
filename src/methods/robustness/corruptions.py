"""The 19 corruptions of CIFAR-10-C and ImageNet-C, batched, on the images' device.

Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019
(arXiv:1903.12261). Random numbers are drawn on the CPU from a stream named by the arguments, so that the images are
the same on every device but for rounding. Where ours differ from the published images by more than chance: frost
(pictures made of noise instead of photographs), spatter (exact distances), JPEG (a few levels in single values).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.seeds import stream
from src.imageops.filters import to_bytes
from src.imageops.threads import in_threads
from src.methods.robustness import blurs, digital, noises, weather
from src.methods.robustness.severities import LARGE, SMALL

Corruption = Callable[..., Tensor]

_ALL: dict[str, tuple[str, Corruption]] = {
    "gaussian_noise": ("noise", noises.gaussian_noise),
    "shot_noise": ("noise", noises.shot_noise),
    "impulse_noise": ("noise", noises.impulse_noise),
    "speckle_noise": ("noise", noises.speckle_noise),
    "defocus_blur": ("blur", blurs.defocus_blur),
    "gaussian_blur": ("blur", blurs.gaussian_blur),
    "glass_blur": ("blur", blurs.glass_blur),
    "motion_blur": ("blur", blurs.motion_blur),
    "zoom_blur": ("blur", blurs.zoom_blur),
    "snow": ("weather", weather.snow),
    "frost": ("weather", weather.frost),
    "fog": ("weather", weather.fog),
    "brightness": ("weather", digital.brightness),
    "contrast": ("digital", digital.contrast),
    "saturate": ("digital", digital.saturate),
    "elastic_transform": ("digital", digital.elastic_transform),
    "jpeg_compression": ("digital", digital.jpeg_compression),
    "pixelate": ("digital", digital.pixelate),
    "spatter": ("weather", weather.spatter),
}
NAMES: tuple[str, ...] = tuple(_ALL)
KINDS: dict[str, str] = {name: kind for name, (kind, _) in _ALL.items()}
#: kept apart in the benchmark, for choosing hyperparameters; its mean corruption error is over the other 15
EXTRA: tuple[str, ...] = ("speckle_noise", "gaussian_blur", "saturate", "spatter")
SEVERITIES = (1, 2, 3, 4, 5)
PRESETS = ("auto", "small", "large")
SMALL_UP_TO = 96  # pixels, of the shorter side
SMALLEST = 16  # pixels
_FROST_SCALE = {"small": 0.2, "large": 1.0}  # of the photographs, as published
BLOCK = 1 << 19  # values that are worked on at once: 2 MiB of floats stay in a core's cache; part of the stream


def preset_of(height: int, width: int) -> str:
    """Which parameters ``auto`` stands for: ``small`` up to 96 pixels, else ``large``."""
    return "small" if min(height, width) <= SMALL_UP_TO else "large"


def corrupt(images: Tensor, name: str, severity: int, *, seed: int = 0, preset: str = "auto") -> Tensor:
    """Corrupted copies, a pure function of the arguments.

    Args:
        images: uint8 (n, C, H, W), C 1 or 3, sides from 16 pixels.
        name: one of `NAMES`.
        severity: 1..5.
        seed: of the random numbers.
        preset: parameters of ``small`` images (CIFAR-10-C) or ``large`` (ImageNet-C); ``auto`` chooses by size.
            Lengths in pixels are not scaled to other sizes (but for the elastic transform).

    Returns:
        uint8 (n, C, H, W), on the images' device.

    Raises:
        UserError: an argument is none of those.
    """
    return _corrupt(images, name, severity, preset, (seed,))


def corrupted(
    images: Tensor, name: str, severity: int, *, seed: int = 0, batch: int = 500, preset: str = "auto"
) -> Iterator[Tensor]:
    """`corrupt`, one chunk of at most `batch` images after another; the chunk's number enters the random numbers.

    The images may be memory-mapped or on another device than what the chunks are wanted on: only a chunk is read.
    """
    if batch < 1:
        raise UserError(f"batch={batch}: give 1 or more images")
    for number, chunk in enumerate(images.split(batch)):
        yield _corrupt(chunk, name, severity, preset, (seed, number))


def _corrupt(images: Tensor, name: str, severity: int, preset: str, key: tuple[int, ...]) -> Tensor:
    preset = _checked(images, name, severity, preset)
    apply = _ALL[name][1]
    parameters = (SMALL if preset == "small" else LARGE)[name][severity - 1]
    if name == "frost":
        parameters = (*parameters, _FROST_SCALE[preset])
    out = torch.empty(images.shape, dtype=torch.uint8, device=images.device)
    if not len(images):
        return out
    per_block = max(1, BLOCK // images[0].numel())
    blocks, places = images.split(per_block), out.split(per_block)

    def work(number: int) -> None:
        generator = stream(*key, "corrupt", name, severity, preset, number)
        values = blocks[number].to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        made = apply(values, generator, *parameters)
        # the published programs cut fractions off; a thousandth keeps rounding errors from costing a level
        places[number].copy_(to_bytes(made.add_(1e-3)) if made.is_floating_point() else made)

    # all is done in there: threads that share an operation out here would still be waiting for the next one
    in_threads(work, len(blocks), images.device)
    return out


def _checked(images: Tensor, name: str, severity: int, preset: str) -> str:
    """The preset, ``auto`` resolved."""
    if name not in _ALL:
        raise UserError(f"corruption={name}: {suggestion(str(name), NAMES)}")
    if severity not in SEVERITIES:
        raise UserError(f"severity={severity}: give a whole number from 1 to 5")
    if preset not in PRESETS:
        raise UserError(f"preset={preset}: {suggestion(str(preset), PRESETS)}")
    shape = tuple(images.shape)
    if images.dtype != torch.uint8 or len(shape) != 4 or shape[1] not in (1, 3) or min(shape[2:]) < SMALLEST:
        raise UserError(
            f"images: {str(images.dtype).removeprefix('torch.')} {shape} cannot be corrupted; "
            f"give uint8 (n, C, H, W) with 1 or 3 channels and sides from {SMALLEST} pixels"
        )
    return preset_of(*shape[2:]) if preset == "auto" else preset
