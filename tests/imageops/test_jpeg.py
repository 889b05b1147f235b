from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from src.imageops.filters import gaussian
from src.imageops.jpeg import CHROMINANCE, LUMINANCE, jpeg, quantisation


def pictures(count: int, channels: int, height: int, width: int) -> Tensor:
    """Whole numbers 0..255 with as much detail at every scale."""
    generator = torch.Generator().manual_seed(height)
    layers = [torch.randn(count, channels, height, width, generator=generator) for _ in range(4)]
    made = sum(2**k * 1.6 * gaussian(layer, 0.5 * 2**k) for k, layer in enumerate(layers))
    return (made * 40 + 128).clamp(0, 255).floor()


def pils(values: Tensor, quality: int) -> Tensor:
    made = []
    for image in values:
        file = io.BytesIO()
        array = image.byte().permute(1, 2, 0).numpy()
        Image.fromarray(array[..., 0] if len(image) == 1 else array).save(file, "JPEG", quality=quality)
        read = np.array(Image.open(file))
        made.append(torch.from_numpy(read.reshape(array.shape)).permute(2, 0, 1))
    return torch.stack(made).float()


@pytest.mark.parametrize("quality", [80, 50, 25, 7])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 32, 32), (3, 48, 80), (3, 33, 47), (1, 17, 30)])
def test_is_what_pil_writes_and_reads(shape: tuple[int, int, int], quality: int) -> None:
    values = pictures(20, *shape)
    expected = pils(values, quality)
    made = jpeg(values.clone(), quality)
    difference, effect = (made - expected).abs().mean(), (expected - values).abs().mean()
    # a coefficient halfway between two steps may go either way; a wrong table, or no triangle filter, makes over 10%
    assert difference < 0.03 * effect


def test_tables_are_scaled_as_libjpeg_does() -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=37)
    written = Image.open(file).quantization
    assert written[0] == quantisation(LUMINANCE, 37) and written[1] == quantisation(CHROMINANCE, 37)
    assert quantisation(LUMINANCE, 100) == [1] * 64
    assert max(quantisation(CHROMINANCE, 1)) == 255
