"""Maps of relevance of a network, by any of the methods, batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.core.shown import Shown
from src.methods.relevance.gradients import last_map, logit, values_of
from src.methods.relevance.graph import copy_of
from src.methods.relevance.methods import Method
from src.methods.relevance.rewriting import rewritten
from src.methods.relevance.rules import Bounds, hooks_of
from src.networks.subjects import Subject


@dataclass(frozen=True)
class Relevance(Shown):
    """What speaks for the target class of each image, and what against it.

    Attributes:
        maps: float32 (n, H, W), signed, summed over channels, in logits (gradients: in logits per unit of input).
        start: (n,), what each map ought to sum to; NaN where the method does not say.
        total: (n,), what it sums to.
    """

    maps: Tensor
    start: Tensor
    total: Tensor


class Prepared:
    """A network made ready for a method: a copy, for LRP rewritten once, for any number of batches.

    The network itself is never touched: neither weights, hooks, mode nor ``requires_grad``.

    Args:
        model: float images (n, C, H, W) to logits (n, N).
        method: of attribution.
        input_shape: channels, height, width.
        bounds: least and largest value of each input channel, for the z-box rule.
        name: of the network, for messages.

    Raises:
        UserError: LRP is not exact for the network; the z-box rule has no bounds; Grad-CAM finds no map.
    """

    def __init__(
        self,
        model: nn.Module,
        method: Method,
        input_shape: Sequence[int],
        bounds: Bounds | None = None,
        name: str = "",
    ) -> None:
        self.method, self.layer = method, ""
        if method.layer_wise:
            network = rewritten(model, input_shape, name)
            self.model: nn.Module = network.module
            self.hooks = hooks_of(network, method, bounds)
            return
        self.model = copy_of(model)
        if method.name == "grad_cam":
            self.layer = last_map(self.model, input_shape)

    def __call__(self, inputs: Tensor, targets: Tensor) -> Relevance:
        """The maps of one batch.

        Args:
            inputs: float (n, C, H, W), normalised, on the network's device.
            targets: int64 (n,), the class of each that is to be explained.
        """
        with torch.inference_mode(False), torch.enable_grad():
            values, classes = inputs.detach().clone(), targets.to(inputs.device).clone()
            if self.method.layer_wise:
                maps, start = self._layer_wise(values, classes)
            else:
                maps, start = values_of(self.model, values, classes, self.method, self.layer)
        maps = maps.detach()
        return Relevance(maps.float(), start.detach(), maps.double().sum((1, 2)).to(start))

    def _layer_wise(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        from zennit.core import Composite

        # hooks are put on anew for each batch, for they keep what they have seen
        composite = Composite(module_map=lambda context, name, module: self.hooks.get(name))
        inputs.requires_grad_()
        with composite.context(self.model):
            logits = self.model(inputs)
            start = logit(logits, targets).detach()
            begin = torch.zeros_like(logits).scatter_(1, targets[:, None], start[:, None])
            (relevance,) = torch.autograd.grad(logits, inputs, begin)
        return relevance.sum(1), start


def check_lrp(model: nn.Module, input_shape: Sequence[int], name: str = "") -> None:
    """Refuse a network that LRP is not exact for, before anything runs.

    Args:
        model: images (n, C, H, W) to logits (n, N).
        input_shape: channels, height, width.
        name: of the network, for the message.

    Raises:
        UserError: names the module or function that no rule is known for, and the network.
    """
    rewritten(model, input_shape, name)


def relevance_of(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    method: Method,
    batch: int = 64,
    bounds: Bounds | None = None,
    name: str = "",
) -> Relevance:
    """Maps of a network for inputs as it takes them; see :class:`Prepared`, which serves for several calls.

    Args:
        model: float images (n, C, H, W) to logits (n, N).
        inputs: float (n, C, H, W), n >= 1.
        targets: int64 (n,).
        batch: images at a time.
    """
    explain = Prepared(model, method, inputs.shape[1:], bounds, name)
    parts = [explain(*part) for part in zip(inputs.split(batch), targets.split(batch), strict=True)]
    return Relevance(*(torch.cat([getattr(part, key) for part in parts]) for key in ("maps", "start", "total")))


def attribute(subject: Subject, images: Tensor, targets: Tensor, method: Method, batch: int = 64) -> Relevance:
    """Maps of a subject; they lie where its model does.

    Args:
        subject: any network with its normalisation.
        images: uint8 (n, C, H, W), n >= 1.
        targets: int64 (n,), numbers of its classes.
        method: of attribution.
        batch: images at a time; memory grows with it, the maps do not depend on it.

    Raises:
        UserError: as :class:`Prepared`; the images have another shape than the model's input.
    """
    device = next(subject.model.parameters(), images).device
    inputs = subject.normalise(images.to(device))
    name = str(subject.architecture["name"])
    return relevance_of(subject.model, inputs, targets, method, batch, bounds_of(subject, method), name)


def bounds_of(subject: Subject, method: Method) -> Bounds | None:
    """Black and white as the subject takes them, for the z-box rule; None for all others.

    Raises:
        UserError: its images have no bounds.
    """
    if method.input_rule != "z_box":
        return None
    if subject.contrast != "none":
        raise UserError(
            f"method.input_rule=z_box: data.contrast={subject.contrast} leaves pixels without bounds; take flat"
        )
    reference = next(subject.model.parameters(), torch.zeros(()))
    mean, std = (reference.new_tensor(values).view(1, -1, 1, 1) for values in (subject.mean, subject.std))
    return (0 - mean) / std, (1 - mean) / std
