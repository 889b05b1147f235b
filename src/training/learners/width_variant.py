"""The learner of width variants, which memory may not hold whole."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from src.data.epoch_loader import Share
from src.networks.models.registry import build
from src.training.learners.stepping import Stepping
from src.training.micro_batches import MicroBatches
from src.training.replicas import share_state, sum_gradients


class WidthVariant(Stepping):
    """A registered model whose batches are passed in parts where memory needs it.

    It also logs ``val/top5`` (top 5 of at most 5 classes is all of them).

    Args:
        architecture: what :func:`src.networks.models.registry.build` takes.
        batch_size: images per optimiser step.
        ghost_batch, micro_batch, recompute: as :class:`src.training.micro_batches.MicroBatches` takes them.
        optim, label_smoothing, gradient_clip: as of a :class:`Stepping`.
    """

    def __init__(
        self,
        architecture: Mapping[str, Any],
        optim: Mapping[str, Any],
        batch_size: int,
        ghost_batch: int | None = None,
        micro_batch: int | None = None,
        recompute: bool = False,
        label_smoothing: float = 0.0,
        gradient_clip: float | None = None,
    ) -> None:
        super().__init__(build(architecture), optim, label_smoothing, gradient_clip)
        self.batches = MicroBatches(self.model, self._loss, batch_size, ghost_batch, micro_batch, recompute)
        self.top = min(5, int(architecture["classes"]))

    @property
    def events(self) -> list[str]:
        """What was done where memory ran out; ``fit`` leaves it in ``events.json`` too."""
        return self.batches.events

    @property
    def ghost_batch(self) -> int | None:  # type: ignore[override]
        """Images that batch norm sees together; several devices can only train a network that has it."""
        return self.batches.ghost_batch

    def _gradient(self, images: Tensor, labels: Tensor, share: Share) -> tuple[list[Tensor], list[Tensor]]:
        moment = f"epoch {self.current_epoch}, step {self.step - self.current_epoch * self.steps_per_epoch}"
        logits, losses = self.batches.accumulate(
            images, labels, share.whole, share.first, moment=moment, context=self._arithmetic
        )
        if self.trainer.world_size > 1:
            sum_gradients(self.batches)
        return logits, losses

    def _counted(self, passes: Sequence[tuple[list[Tensor], list[Tensor]]], labels: Tensor) -> Tensor:
        logits, losses = ([tensor for tensors in kind for tensor in tensors] for kind in zip(*passes, strict=True))
        return self._row(torch.stack(losses).sum(), torch.cat(logits), labels)

    def _logits(self, images: Tensor) -> Tensor:
        # no more images at once than training has: they fit for certain
        return torch.cat([self.model(some) for some in images.split(self.batches.images)])

    def _row(self, loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """(1, 4): loss, right, right within the top, images."""
        right = logits.topk(self.top).indices == labels[:, None]
        return torch.stack([loss, right[:, 0].sum(), right.sum(), torch.full_like(loss, len(labels))])[None]

    def on_train_epoch_end(self) -> None:
        if self.trainer.world_size > 1:
            share_state(self.batches)
        super().on_train_epoch_end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["memory"] = self.batches.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches.load_state_dict(checkpoint["memory"])
