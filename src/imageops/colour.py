"""Colour: luma, and value and saturation changed at constant hue, without a way through hue itself."""

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)


def luma(values: Tensor) -> Tensor:
    """float (n, 3, H, W) or (n, 1, H, W) -> (n, 1, H, W), by ITU-R BT.601."""
    if values.shape[1] == 1:
        return values
    red, green, blue = values.split(1, 1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def brighten(values: Tensor, shift: float) -> Tensor:
    """HSV's value raised by `shift`, up to 255; hue and saturation stay, which scales all channels alike.

    Args:
        values: float (n, C, H, W) of 0..255; overwritten.
        shift: in grey levels. Black becomes grey.
    """
    value = values.amax(1, keepdim=True)
    raised = (value + shift).clamp_(max=255)
    values.masked_fill_(value == 0, 1)
    return values.mul_(raised.div_(value.clamp_(min=1)))


def saturate(values: Tensor, factor: float, shift: float) -> Tensor:
    """HSV's saturation times `factor` plus `shift`, within 0..1; hue and value stay.

    Grey has no hue, and counts as red. A grey image (C = 1) stays as it is.

    Args:
        values: float (n, C, H, W) of 0..255; overwritten.
    """
    if values.shape[1] == 1:
        return values
    value = values.amax(1, keepdim=True)
    spread = value - values.amin(1, keepdim=True)
    # how much further each channel lies from the value: new saturation over old
    old = spread / value.clamp(min=1)
    new = (old * factor).add_(shift).clamp_(0, 1)
    ratio = new / old.clamp(min=1e-6)
    values.sub_(value).mul_(ratio).add_(value)
    if shift:
        grey = (spread == 0).to(values.dtype).mul_(new).mul_(value)
        values[:, 1:].sub_(grey)
    return values


def contrast(values: Tensor, factor: float) -> Tensor:
    """float (n, C, H, W): the differences from each channel's mean times `factor`; overwritten."""
    means = values.mean((2, 3), keepdim=True)
    return values.mul_(factor).add_(means, alpha=1 - factor)


def over(values: Tensor, share: Tensor, colour: tuple[int, int, int]) -> Tensor:
    """Add ``share`` (n, 1, H, W) of a colour, its luma to a grey image; overwritten."""
    tint = torch.tensor(colour, dtype=values.dtype)
    if values.shape[1] == 1:
        tint = (tint * torch.tensor(LUMA)).sum()[None]
    return values.addcmul_(share, tint.to(values.device).view(1, -1, 1, 1))
