"""Memory that a convolution needs beside its operands and results, as seen on CPUs with torch's oneDNN kernels.

For maps in torch's usual order (NCHW) the kernels copy operands and results into blocks of 16 channels; each rule
below is the larger of the moments at which such copies live. For channels_last only weights are copied.
"""

from __future__ import annotations

from torch import Tensor

BLOCK = 16


def forward_bytes(images: Tensor, weight: Tensor, output: Tensor, channels_last: bool) -> int:
    """Bytes beside ``images`` (n, C, H, W), ``weight`` and ``output`` at the peak of a convolution."""
    if images.dim() != 4 or channels_last:
        return size(weight)
    copies = _blocked_unless_few(images) + size(weight) + blocked(output)
    return max(copies - size(output), blocked(output))


def backward_bytes(gradient: Tensor, images: Tensor, weight: Tensor, channels_last: bool) -> int:
    """Bytes beside the operands and both results at the peak of a convolution's backward pass."""
    in_full_precision = weight.numel() * 4  # weight gradients are summed up in fp32
    if images.dim() != 4 or channels_last:
        return 2 * in_full_precision
    extra = in_full_precision if weight.element_size() < 4 else 0
    return max(blocked(images) + blocked(gradient) + extra, in_full_precision)


def size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def blocked(maps: Tensor) -> int:
    """Bytes of ``maps`` (n, C, H, W) with C rounded up to a whole number of blocks."""
    channels = maps.shape[1]
    return size(maps) // max(1, channels) * (-(-channels // BLOCK) * BLOCK)


def _blocked_unless_few(images: Tensor) -> int:
    return blocked(images) if images.shape[1] > 4 else 0  # the first layer's kernels read the images as they are
