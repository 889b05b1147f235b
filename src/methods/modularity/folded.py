"""Judges many sub-networks in one forward pass of the whole network, for devices that small work leaves idle."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from src.networks.activations import evaluating
from src.networks.slicing import SlicePlan

FOLDED = 8192
"""Images of all sub-networks together in one forward pass."""


class Folded:
    """Sub-networks lie behind each other on the batch axis; masks at the inputs of the layers that read kernels hide
    what they lack. It equals cutting (see ``masked``) and computes all kernels, but nothing waits for anything: a call
    copies the masks to the device once and the logits back once.

    ``images`` float (n, C, H, W), normalised. ``dtype`` of weights and maps; None is the model's own.

    A network with batch norm cannot be folded: every sub-network has statistics of its own.
    """

    name = "folded"

    def __init__(
        self, model: nn.Module, plan: SlicePlan, images: Tensor, *, batch: int = 512, dtype: torch.dtype | None = None
    ) -> None:
        plan.check(model)
        reference = next(model.parameters())
        self.plan = plan
        weights = copy.deepcopy(model).to(device=reference.device, dtype=dtype or reference.dtype)
        self._model: Any = weights.to(memory_format=torch.channels_last).eval()
        self._device = reference.device
        images = images.to(reference.device, dtype or reference.dtype)
        self._images = [part.contiguous(memory_format=torch.channels_last) for part in images.split(batch)]
        self._positions = {name: positions.to(reference.device) for name, positions in plan.readers.items()}

    @torch.inference_mode()
    def judged(self, keep: Tensor, columns: Sequence[Sequence[int] | None]) -> Tensor:
        """See ``Judge``."""
        masks = torch.cat([keep, keep.new_ones(len(keep), 1)], dim=1).to(
            self._device, next(self._model.parameters()).dtype
        )
        asked = None if columns[0] is None else torch.tensor([list(row or ()) for row in columns]).to(self._device)
        together = max(1, FOLDED // len(self._images[0]))
        answers = []
        for first in range(0, len(keep), together):
            part = slice(first, first + together)
            with self._masked(masks[part]):
                rows = [self._logits(images, len(masks[part])) for images in self._images]
            logits = torch.cat(rows, dim=1)  # (C, n, N)
            if asked is not None:
                chosen = asked[part, None].expand(-1, logits.shape[1], -1)
                logits = logits.gather(2, chosen)
            answers.append(logits.float())
        return torch.cat(answers).cpu()

    def _logits(self, images: Tensor, count: int) -> Tensor:
        """(C, b, N): what comes before the first mask is computed for all sub-networks at once."""
        repeated = images.repeat(count, 1, 1, 1)
        return self._model(repeated).unflatten(0, (count, len(images)))

    @contextmanager
    def _masked(self, masks: Tensor) -> Iterator[None]:
        """While open, sub-network number i of each batch of C x b images lacks the kernels that ``masks`` (C, K + 1)
        lacks."""
        with ExitStack() as hooks, evaluating(self._model):
            for name, positions in self._positions.items():
                hooks.enter_context(
                    self._model.get_submodule(name).register_forward_pre_hook(_multiplying(masks[:, positions]))
                )
            yield


def _multiplying(masks: Tensor) -> Any:
    def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        maps, *rest = inputs
        shaped = masks.repeat_interleave(len(maps) // len(masks), 0)  # (C * b, channels or features)
        return (maps * shaped.view(*shaped.shape, *[1] * (maps.dim() - 2)), *rest)

    return before
