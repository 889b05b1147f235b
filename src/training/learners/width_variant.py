"""The learner of width variants: several optimiser steps per call, so that a step costs little beside its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from src.data.epoch_loader import Call
from src.networks.models.registry import build
from src.training.learners.stepping import Stepping
from src.training.micro_batches import MicroBatches
from src.training.replicas import share_state, sum_gradients


class WidthVariant(Stepping):
    """A registered model trained on calls of :class:`src.data.resident.ResidentImages`.

    Logged once per epoch: ``train/loss`` and ``train/accuracy`` (averages over the epoch's training passes),
    ``val/loss``, ``val/accuracy``, ``val/top5`` (top 5 of at most 5 classes is all of them).

    Args:
        architecture: what :func:`src.networks.models.registry.build` takes.
        optim: what :func:`src.training.optimisation.build_optimizer` and ``rate_of`` take.
        batch_size: images per optimiser step.
        ghost_batch, micro_batch, recompute, on_event: as :class:`src.training.micro_batches.MicroBatches` takes them.
        label_smoothing: of the training loss.
        gradient_clip: norm that the gradient is clipped to, or None.
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
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(build(architecture), optim, label_smoothing, gradient_clip)
        self.batches = MicroBatches(self.model, self._loss, batch_size, ghost_batch, micro_batch, recompute, on_event)
        self.top = min(5, int(architecture["classes"]))

    @property
    def events(self) -> list[str]:
        """What was done where memory ran out; ``fit`` leaves it in ``events.json`` too."""
        return self.batches.events

    @property
    def shareable(self) -> bool:
        """Whether several devices can train the network: batch norm has to know which images belong together."""
        return self.batches.ghost_batch is not None

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, reduction="sum", label_smoothing=self.label_smoothing)

    def _steps(self, call: Call) -> None:
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        images, counts = call.images.to(self.dtype), [part.ours for part in call.shares]
        all_logits: list[Tensor] = []
        all_losses: list[Tensor] = []
        for some, labels, part in zip(images.split(counts), call.labels.split(counts), call.shares, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = self.rate(self.step)
            optimizer.zero_grad()
            logits, losses = self.batches.accumulate(
                some, labels, part.whole, part.first, moment=self._moment(), context=self._arithmetic
            )
            if self.trainer.world_size > 1:
                sum_gradients(self.batches)
            if self.gradient_clip is not None:
                nn.utils.clip_grad_norm_(self.parameters_list, self.gradient_clip)
            optimizer.step()
            self.step += 1
            all_logits += logits
            all_losses += losses
        self._add("train", torch.cat(all_logits), call.labels, torch.stack(all_losses).sum())

    def _moment(self) -> str:
        return f"epoch {self.current_epoch}, step {self.step - self.current_epoch * self.steps_per_epoch}"

    def _arithmetic(self) -> torch.autocast:
        # without the cache: it would keep the weights of the step before
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed, cache_enabled=False)

    def validation_step(self, call: Call, call_index: int) -> None:
        # no more images at once than training has: they fit for certain
        logits = torch.cat([self.model(some) for some in call.images.to(self.dtype).split(self.batches.images)])
        self._add("val", logits, call.labels, cross_entropy(logits, call.labels, reduction="sum"))

    @torch.no_grad()
    def _add(self, stage: str, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Adds to (loss, right, right within the top, images), on the device."""
        right = logits.topk(self.top).indices == labels[:, None]
        count = torch.full_like(loss, len(labels))
        found = torch.stack([loss, right[:, 0].sum(), right.sum(), count]).double()
        self.sums[stage] = self.sums[stage] + found if stage in self.sums else found

    def on_train_epoch_end(self) -> None:
        if self.trainer.world_size > 1:
            share_state(self.batches)
        loss, right, _, count = self._summed("train")
        self.log_dict({"train/loss": loss / count, "train/accuracy": right / count})

    def on_validation_epoch_end(self) -> None:
        loss, right, top, count = self._summed("val")
        self.log_dict({"val/loss": loss / count, "val/accuracy": right / count, "val/top5": top / count})

    def _summed(self, stage: str) -> list[float]:
        sums = self.sums.pop(stage)
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(sums)
        return sums.tolist()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["memory"] = self.batches.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches.load_state_dict(checkpoint["memory"])
