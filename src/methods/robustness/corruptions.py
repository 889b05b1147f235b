"""The 19 corruptions of CIFAR-10-C and ImageNet-C, batched, on the images' device.

Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019
(arXiv:1903.12261). Random numbers are drawn on the CPU from a stream named by the arguments, so that the images are
the same on every device but for rounding. Where ours differ from the published images by more than chance: frost
(pictures made of noise instead of photographs), spatter (exact distances).
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.imageops import blur, colour, filters, resampling
from src.imageops.threads import in_threads
from src.methods.robustness import camera, weather
from src.methods.robustness.severities import LARGE, SMALL

#: name -> kind, and what makes of float values (n, C, H, W) of 0..255, which it may overwrite, a CPU generator and the
#: parameters of a severity the corrupted values
_ALL: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "gaussian_noise": ("noise", camera.gaussian_noise),
    "shot_noise": ("noise", camera.shot_noise),
    "impulse_noise": ("noise", camera.impulse_noise),
    "speckle_noise": ("noise", camera.speckle_noise),
    "defocus_blur": ("blur", lambda values, _, radius, softness: blur.defocus(values, radius, softness)),
    "gaussian_blur": ("blur", lambda values, _, sigma: filters.gaussian(values, sigma)),
    "glass_blur": ("blur", camera.glass_blur),
    "motion_blur": ("blur", camera.motion_blur),
    "zoom_blur": ("blur", lambda values, _, *factors: resampling.zoom_mean(values, factors)),
    "snow": ("weather", weather.snow),
    "frost": ("weather", weather.frost),
    "fog": ("weather", weather.fog),
    "brightness": ("weather", lambda values, _, shift: colour.brighten(values, 255 * shift)),
    "contrast": ("digital", lambda values, _, factor: colour.contrast(values, factor)),
    "saturate": ("digital", lambda values, _, factor, shift: colour.saturate(values, factor, shift)),
    "elastic_transform": ("digital", camera.elastic_transform),
    "jpeg_compression": ("digital", camera.jpeg_compression),
    "pixelate": ("digital", lambda values, _, share: resampling.pixelate(values, share)),
    "spatter": ("weather", weather.spatter),
}
NAMES: tuple[str, ...] = tuple(_ALL)
KIND_OF: dict[str, str] = {name: kind for name, (kind, _) in _ALL.items()}
#: kept apart in the benchmark, for choosing hyperparameters; its mean corruption error is over the other 15
EXTRA: tuple[str, ...] = ("speckle_noise", "gaussian_blur", "saturate", "spatter")
SEVERITIES = (1, 2, 3, 4, 5)
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
        UserError: the images are no such images.
    """
    return _corrupt(images, name, severity, preset, (seed,))


def corrupted(images: Tensor, name: str, severity: int, *, seed: int = 0, batch: int = 500) -> Iterator[Tensor]:
    """`corrupt`, one chunk of at most `batch` images after another; the chunk's number enters the random numbers.

    The images may be memory-mapped or on another device than what the chunks are wanted on: only a chunk is read.
    """
    for number, chunk in enumerate(images.split(batch)):
        yield _corrupt(chunk, name, severity, "auto", (seed, number))


def _corrupt(images: Tensor, name: str, severity: int, preset: str, key: tuple[int, ...]) -> Tensor:
    shape = tuple(images.shape)
    if images.dtype != torch.uint8 or len(shape) != 4 or shape[1] not in (1, 3) or min(shape[2:]) < SMALLEST:
        raise UserError(
            f"images: {str(images.dtype).removeprefix('torch.')} {shape} cannot be corrupted; "
            f"give uint8 (n, C, H, W) with 1 or 3 channels and sides from {SMALLEST} pixels"
        )
    preset = preset_of(*shape[2:]) if preset == "auto" else preset
    apply = _ALL[name][1]
    parameters = {"small": SMALL, "large": LARGE}[preset][name][severity - 1]
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
        places[number].copy_(filters.to_bytes(made.add_(1e-3)) if made.is_floating_point() else made)

    # all is done in there: threads that share an operation out here would still be waiting for the next one
    in_threads(work, len(blocks), images.device)
    return out
