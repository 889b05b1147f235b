"""The gradient of a batch in as many passes as memory needs, with the same result for any number of them."""

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from pytorch_lightning.utilities.memory import is_oom_error
from torch import Tensor, nn

from src.core.errors import UserError
from src.data.epoch_loader import cut
from src.networks.memory.training import can_recompute, recomputed
from src.training.ghost_norm import Rows, follow_norms


class MicroBatches:
    """Forward and backward passes over a batch, and over parts of it where the whole does not fit.

    Where memory runs out, everything that the batch changed is undone and the batch is replayed: first with
    activations that are computed again, then with half the images per pass. What helped is kept.

    Args:
        model: trained in place; its batch norms and dropouts learn which rows of a batch they see.
        loss: of (logits, labels), summed over the images.
        batch_size: images per optimiser step; each image's loss is divided by it, so a smaller last batch weighs less.
        ghost_batch: images over which batch norm takes its statistics, None for the whole batch.
        micro_batch: images per pass, None for the whole batch.
        recompute: keep the input of each convolution, norm and ReLU only.

    Raises:
        UserError: sizes that would change what batch norm sees.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        batch_size: int,
        ghost_batch: int | None = None,
        micro_batch: int | None = None,
        recompute: bool = False,
    ) -> None:
        check_sizes(batch_size, ghost_batch, micro_batch)
        self.model, self.loss, self.batch_size = model, loss, batch_size
        self.ghost_batch, self.recompute = ghost_batch, recompute
        self.micro_batch = micro_batch if micro_batch and micro_batch < batch_size else None
        self.events: list[str] = []  # what was done when memory ran out, a line each
        self.rows = Rows()
        follow_norms(model, self.rows, ghost_batch)
        follow_dropout(model, self.rows)
        self.buffers: list[Tensor] = []
        self.saved: list[list[Tensor]] = []

    @property
    def images(self) -> int:
        """Most images in one pass (one more where a single image would be left over)."""
        return self.micro_batch or self.batch_size

    def forward(self, images: Tensor) -> Tensor:
        """The logits of a pass."""
        network = recomputed(self.model, self.rows) if self.recompute else self.model
        logits: Tensor = network(images)
        return logits

    def accumulate(
        self,
        images: Tensor,
        labels: Tensor,
        whole: int,
        first: int = 0,
        *,
        moment: str = "",
        context: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Leave the gradient of a batch in the parameters.

        Args:
            images: float (n, C, H, W); all of the batch, or this device's share of it.
            labels: int64 (n,).
            whole: images of the batch on all devices.
            first: number of the first of these images within it.
            moment: when that is, for the event.
            context: arithmetic of the forward pass.

        Returns:
            Logits (m, N) and the summed loss of each pass, without graph.
        """
        state = self._state(images.device)
        while True:
            try:
                return self._passes(images, labels, whole, first, context)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
            # only here, outside the handler, nothing holds the frames and with them the activations any more
            self._undo(state, images.device)
            self._shrink(moment)

    def buffers_before(self) -> dict[int, Tensor]:
        """The values that the model's floating-point buffers had before the batch, by the buffer's id."""
        return {id(buffer): saved for buffer, saved in zip(_by_type(self.buffers)[0], self.saved[0], strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """What was done to fit so far, as plain values."""
        return {"events": list(self.events), "micro_batch": self.micro_batch, "recompute": self.recompute}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Save at least as much memory as ``state`` did, and know its events."""
        self.events += [event for event in state["events"] if event not in self.events]
        self.recompute = self.recompute or state["recompute"]
        if state["micro_batch"] is not None:
            self.micro_batch = min(state["micro_batch"], self.images)

    def _passes(
        self,
        images: Tensor,
        labels: Tensor,
        whole: int,
        first: int,
        context: Callable[[], AbstractContextManager[object]],
    ) -> tuple[list[Tensor], list[Tensor]]:
        sizes = cut(len(images), self.images)
        self.rows.begin(whole, first)
        all_logits, losses = [], []
        for some, answers in zip(images.split(sizes), labels.split(sizes), strict=True):
            with context():
                logits = self.forward(some)
                loss = self.loss(logits, answers)
            loss.backward(torch.full_like(loss, 1 / self.batch_size))
            all_logits.append(logits.detach())
            losses.append(loss.detach())
            self.rows.advance(len(some))
        return all_logits, losses

    def _state(self, device: torch.device) -> Tensor:
        """Remember what a pass changes: the buffers of the model, and (returned) the generator's state."""
        # moving a model replaces its buffers; listing them at every step would cost more than copying them
        if self.buffers and next(self.model.buffers()) is self.buffers[0]:
            for saved, buffers in zip(self.saved, _by_type(self.buffers), strict=True):
                torch._foreach_copy_(saved, buffers)
        else:
            self.buffers = list(self.model.buffers())
            self.saved = [[buffer.clone() for buffer in buffers] for buffers in _by_type(self.buffers)]
        return _generator(device).get_state()

    def _undo(self, state: Tensor, device: torch.device) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        for buffers, saved in zip(_by_type(self.buffers), self.saved, strict=True):
            torch._foreach_copy_(buffers, saved)
        _generator(device).set_state(state)

    def _shrink(self, moment: str) -> None:
        if not self.recompute and can_recompute(self.model):
            self.recompute = True
            remedy = "activations computed again"
        else:
            self.micro_batch = self._half()
            remedy = f"{self.micro_batch} images per pass"
        self.events.append(
            f"out of memory at {moment}: the batch was replayed with {remedy}, kept for the rest of the training"
        )

    def _half(self) -> int:
        ghost = self.ghost_batch
        half = self.images // 2
        if ghost:
            half -= half % ghost
        if not ghost or half < ghost:
            why = (
                f"one ghost batch of {ghost} images"
                if ghost
                else "without ghost batches a batch cannot be split, and it"
            )
            raise UserError(
                f"training.ghost_batch={ghost or 'null'}: {why} does not fit in memory; set training.ghost_batch to a "
                "smaller number (for all variants of a sweep alike), or "
                f"data.batch_size={max(1, self.batch_size // 2)}, or another device"
            )
        return half


def check_sizes(batch_size: int, ghost_batch: int | None, micro_batch: int | None) -> None:
    """Refuse sizes with which batch norm would see other images than it should."""
    if ghost_batch is not None and not 2 <= ghost_batch <= batch_size:
        raise UserError(
            f"training.ghost_batch={ghost_batch}: allowed are 2 to data.batch_size={batch_size}, or null for the batch"
        )
    if micro_batch is None or micro_batch >= batch_size:
        return
    if ghost_batch is None:
        raise UserError(
            f"training.ghost_batch=null: batches of {batch_size} images have to be split into passes of {micro_batch}, "
            f"which would change batch norm; set training.ghost_batch={micro_batch} for all variants of a sweep alike"
        )
    if micro_batch < ghost_batch or micro_batch % ghost_batch:
        raise UserError(
            f"training.ghost_batch={ghost_batch}: passes of {micro_batch} images are no multiple of it; set a ghost "
            "batch that divides them, for all variants of a sweep alike"
        )


def out_of_memory(error: BaseException) -> bool:
    """Whether that is what the error says, on any device."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, Exception) and (is_oom_error(error) or "DefaultCPUAllocator" in str(error))


def _by_type(tensors: list[Tensor]) -> list[list[Tensor]]:
    """Those of floating point, and the others: tensors of one type are copied at once."""
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    return [floating, [tensor for tensor in tensors if not tensor.is_floating_point()]] if floating else []


def _generator(device: torch.device) -> torch.Generator:
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


class BatchDropout(nn.Dropout):
    """Draws the mask of all images of an optimiser step and applies the rows of those that pass now."""

    rows: Rows
    drawn: tuple[int, Tensor] | None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        rows = self.rows
        if self.drawn is None or self.drawn[0] != rows.steps:
            live = getattr(self, "live", x.shape[1])  # channels that a padded network computes with
            mask = x.new_zeros((rows.whole, *x.shape[1:]))
            mask[:, :live] = x.new_empty((rows.whole, live, *x.shape[2:])).bernoulli_(1 - self.p)
            self.drawn = (rows.steps, mask)
        mask = self.drawn[1][rows.first : rows.first + len(x)]
        return (x * mask).mul_(1 / (1 - self.p))


def follow_dropout(model: nn.Module, rows: Rows) -> None:
    """Turn the dropouts of ``model`` into ones at the rows of ``rows``."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = BatchDropout
            module.rows, module.drawn = rows, None  # type: ignore[assignment]
