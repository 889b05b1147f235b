"""Parameters of the published corruptions: for images of 32 pixels (CIFAR-10-C) and of 224 (ImageNet-C).

Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019
(arXiv:1903.12261), and the programs its data sets were made with. Lengths are in pixels of those sizes and are not
scaled to others, but for the elastic transform, whose lengths are published as shares of the side. Grey levels and
noise are of values in 0..1.
"""

import math


def _zooms(end: float, step: float) -> tuple[float, ...]:
    """1, 1 + step, ... below `end`, which counts where rounding puts the last one just below it."""
    return tuple(1 + number * step for number in range(math.ceil((end - 1) / step)))


Levels = tuple[tuple[float, ...], ...]


def _each(*values: float) -> Levels:
    return tuple((value,) for value in values)


SMALL: dict[str, Levels] = {
    "gaussian_noise": _each(0.04, 0.06, 0.08, 0.09, 0.10),  # std
    "shot_noise": _each(500, 250, 100, 75, 50),  # photons of a white pixel
    "impulse_noise": _each(0.01, 0.02, 0.03, 0.05, 0.07),  # share of the values
    "speckle_noise": _each(0.06, 0.10, 0.12, 0.16, 0.20),  # std, of the value
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),  # radius, softness
    "gaussian_blur": _each(0.4, 0.6, 0.7, 0.8, 1.0),  # sigma
    "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),  # sigma, reach, passes
    "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),  # radius, sigma
    "zoom_blur": tuple(_zooms(end, 0.01) for end in (1.06, 1.11, 1.16, 1.21, 1.26)),  # factors
    "snow": (  # mean, std, zoom, threshold, radius, sigma, share of the image that is kept
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    "frost": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),  # shares of image and ice
    "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),  # thickness, decay
    "brightness": _each(0.05, 0.10, 0.15, 0.20, 0.30),  # shift
    "contrast": _each(0.75, 0.50, 0.40, 0.30, 0.15),  # factor
    "saturate": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),  # factor, shift
    "elastic_transform": (  # shares of the side: strength, sigma, jitter of the corners
        (0, 0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    ),
    "jpeg_compression": _each(80, 65, 58, 50, 40),  # quality
    "pixelate": _each(0.95, 0.90, 0.85, 0.75, 0.65),  # share of the side
    "spatter": (  # mean, std, sigma, threshold, strength of water or sigma of mud, whether it is mud
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),
}

#: 244 pixels are written where the images have 224; the published images are made so
_OF_224 = 244 / 224

LARGE: dict[str, Levels] = {
    "gaussian_noise": _each(0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": _each(60, 25, 12, 5, 3),
    "impulse_noise": _each(0.03, 0.06, 0.09, 0.17, 0.27),
    "speckle_noise": _each(0.15, 0.20, 0.35, 0.45, 0.60),
    "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    "gaussian_blur": _each(1, 2, 3, 4, 6),
    "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    "zoom_blur": (_zooms(1.11, 0.01), _zooms(1.16, 0.01), _zooms(1.21, 0.02), _zooms(1.26, 0.02), _zooms(1.31, 0.03)),
    "snow": (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    "brightness": _each(0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": _each(0.4, 0.3, 0.2, 0.1, 0.05),
    "saturate": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    "elastic_transform": tuple(
        (strength * _OF_224, sigma * _OF_224, jitter * _OF_224)
        for strength, sigma, jitter in (
            (2, 0.7, 0.1),
            (2, 0.08, 0.2),
            (0.05, 0.01, 0.02),
            (0.07, 0.01, 0.02),
            (0.12, 0.01, 0.02),
        )
    ),
    "jpeg_compression": _each(25, 18, 15, 10, 7),
    "pixelate": _each(0.6, 0.5, 0.4, 0.3, 0.25),
    "spatter": (
        (0.65, 0.3, 4, 0.69, 0.6, 0),
        (0.65, 0.3, 3, 0.68, 0.6, 0),
        (0.65, 0.3, 2, 0.68, 0.5, 0),
        (0.65, 0.3, 1, 0.65, 1.5, 1),
        (0.67, 0.4, 1, 0.65, 1.5, 1),
    ),
}
