"""Methods that need the network's gradients or answers alone: any network will do.

Integrated gradients and occlusion are captum's (Kokhlikyan et al. 2020, arXiv:2009.07896), imported late: it is heavy.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.core.errors import UserError
from src.methods.relevance.methods import Method
from src.networks.activations import layers_of, recording

ROWS = 256  # images in one pass of occlusion


def gradient(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The target's logit by each input: (n, C, H, W) (Simonyan et al. 2014, arXiv:1312.6034)."""
    values = inputs.detach().clone().requires_grad_()
    (slopes,) = torch.autograd.grad(logit(model(values), targets).sum(), values)
    return slopes


def logit(logits: Tensor, targets: Tensor) -> Tensor:
    """Of (n, N) logits those of the targets (n,)."""
    return logits.gather(1, targets[:, None]).squeeze(1)


def integrated_gradients(model: nn.Module, inputs: Tensor, targets: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Inputs times the mean gradient on the way from zeros (Sundararajan et al., ICML 2017, arXiv:1703.01365).

    The baseline is 0 after normalisation: the mean colour. Gauss-Legendre quadrature of ``steps`` points.

    Returns:
        (n, C, H, W), and (n,) how much the target's logit exceeds that of the baseline.
    """
    from captum.attr import IntegratedGradients

    baseline = torch.zeros_like(inputs)
    values: Tensor = IntegratedGradients(model).attribute(
        inputs, baseline, target=targets, n_steps=steps, method="gausslegendre", internal_batch_size=len(inputs)
    )
    with torch.no_grad():
        return values.detach(), logit(model(inputs), targets) - logit(model(baseline), targets)


def occlusion(model: nn.Module, inputs: Tensor, targets: Tensor, window: float) -> Tensor:
    """What the target's logit loses with a square at 0, the mean over all squares that cover a pixel: (n, H, W).

    Zeiler and Fergus, ECCV 2014, arXiv:1311.2901.

    Args:
        window: side of the square as a share of the image's shorter side; it moves by half its side.
    """
    from captum.attr import Occlusion

    channels, height, width = inputs.shape[1:]
    side = max(1, round(window * min(height, width)))
    step = max(1, side // 2)
    with torch.no_grad():
        drops: Tensor = Occlusion(model).attribute(
            inputs, (channels, side, side), (channels, step, step), baselines=0, target=targets,
            perturbations_per_eval=max(1, ROWS // len(inputs)),
        )  # fmt: skip
    return drops[:, 0]  # the same for all channels


def last_map(model: nn.Module, input_shape: Sequence[int]) -> str:
    """The activation for Grad-CAM: that of the last convolution that has positions, with its norm, sum and ReLU.

    Raises:
        UserError: no convolution has a map of more than one position.
    """
    reference = next(model.parameters(), torch.zeros(()))
    images = torch.randn(2, *input_shape, generator=torch.Generator().manual_seed(0))
    layers = layers_of(model, images.to(reference.device, reference.dtype))
    convolutions = {name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    shape = next(
        (layer.shape for layer in reversed(layers)
         if layer.name.split("#")[0] in convolutions and layer.is_map and layer.shape[1] * layer.shape[2] > 1),
        None,
    )  # fmt: skip
    if shape is None:
        raise UserError("method.name=grad_cam: no convolution of this network has a map of more than one position")
    return next(layer.name for layer in reversed(layers) if layer.shape == shape)


def grad_cam(model: nn.Module, inputs: Tensor, targets: Tensor, layer: str) -> Tensor:
    """Positive part of the maps A_k summed with weights mean(d logit / d A_k), bilinear to the input: (n, H, W).

    Selvaraju et al., ICCV 2017, arXiv:1610.02391.
    """
    maps: list[Tensor] = []
    with recording(model, lambda name, kind, tensor: maps.append(tensor), [layer]):
        logits = model(inputs.detach().clone().requires_grad_())
    (slopes,) = torch.autograd.grad(logit(logits, targets).sum(), maps[-1])
    weighted = (slopes.mean((2, 3), keepdim=True) * maps[-1]).sum(1, keepdim=True).relu().detach()
    return F.interpolate(weighted, inputs.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def values_of(
    model: nn.Module, inputs: Tensor, targets: Tensor, method: Method, layer: str = ""
) -> tuple[Tensor, Tensor]:
    """Maps (n, H, W) and what they ought to sum to (n,), NaN where the method does not say; ``layer`` of Grad-CAM."""
    start = inputs.new_full((len(inputs),), torch.nan)
    if method.name == "integrated_gradients":
        values, start = integrated_gradients(model, inputs, targets, method.steps)
        return values.sum(1), start
    if method.name == "occlusion":
        return occlusion(model, inputs, targets, method.window), start
    if method.name == "grad_cam":
        return grad_cam(model, inputs, targets, layer), start
    slopes = gradient(model, inputs, targets)
    return (slopes if method.name == "gradient" else slopes * inputs).sum(1), start
