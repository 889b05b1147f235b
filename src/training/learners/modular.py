"""The learner of modules: one of a label tree by itself, or all of them at once, several optimiser steps per call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from src.data.epoch_loader import Call
from src.training.learners.stepping import Stepping


class Modular(Stepping):
    """Modules that each decide between the children of one node of a label tree.

    Every module learns from the images below its node alone, with the right child as label (teacher forcing). The sum
    of their losses over the nodes above an image's class is the negative logarithm of the probability that the softly
    gated composition gives that class: to fine-tune all modules jointly is to go on like this, and modules that share
    no weights do not notice each other. They do where they share a trunk.

    Logged once per epoch: ``train/loss``, ``train/accuracy`` (images all of whose decisions were right, each made as if
    the ones before had been), ``val/loss``, ``val/accuracy`` (of the whole network).

    Args:
        network: images (n, C, H, W) to logits or log-probabilities (n, N); what is trained and kept.
        parts: its modules, (n, ...) to logits (n, children); None: the network itself is the only one.
        targets: int64 (parts, N): for each class the child that it is below, -1 where it is not below the node.
        trunk: what the parts share, or None.
        optim: what :func:`src.training.optimisation.build_optimizer` and ``rate_of`` take.
        label_smoothing: of the training loss.
        gradient_clip: norm that the gradient is clipped to, or None.
    """

    def __init__(
        self,
        network: nn.Module,
        optim: Mapping[str, Any],
        *,
        parts: Sequence[nn.Module] | None = None,
        targets: Tensor | None = None,
        trunk: nn.Module | None = None,
        label_smoothing: float = 0.0,
        gradient_clip: float | None = None,
    ) -> None:
        super().__init__(network, optim, label_smoothing, gradient_clip)
        self.parts = None if parts is None else list(parts)  # a list: their weights are the network's
        self.shared = [trunk]
        self.targets: Tensor
        self.register_buffer("targets", torch.zeros(0) if targets is None else targets, persistent=False)
        self.normed = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())

    def _steps(self, call: Call) -> None:
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        counts = [part.ours for part in call.shares]
        found: list[Tensor] = []
        for images, labels in zip(call.images.to(self.dtype).split(counts), call.labels.split(counts), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = self.rate(self.step)
            optimizer.zero_grad()
            loss, right = self._pass(images, labels)
            (loss / len(labels)).backward()
            if self.gradient_clip is not None:
                nn.utils.clip_grad_norm_(self.parameters_list, self.gradient_clip)
            optimizer.step()
            self.step += 1
            found.append(torch.stack([loss.detach(), right.sum()]))
        self._add("train", torch.stack(found).sum(0), len(call.labels))

    def _pass(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss summed over the batch, and whether each image's decisions were all right (n,)."""
        # without autocast's cache: it would keep the weights of the step before
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed, cache_enabled=False):
            if self.parts is None:
                logits = self.model(images)
                return self._loss(logits, labels), logits.detach().argmax(1) == labels
            (trunk,) = self.shared
            features = images if trunk is None else trunk(images)
            losses, right = [], torch.ones_like(labels, dtype=torch.bool)
            for part, targets in zip(self.parts, self.targets[:, labels], strict=True):
                below = (targets >= 0).nonzero()[:, 0]
                if len(below) > (1 if self.normed else 0):  # batch norm cannot take a single image
                    logits = part(features[below])
                    losses.append(self._loss(logits, targets[below]))
                    right[below] &= logits.detach().argmax(1) == targets[below]
        return torch.stack(losses).sum(), right

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, reduction="sum", label_smoothing=self.label_smoothing)

    def validation_step(self, call: Call, call_index: int) -> None:
        logits = self.model(call.images.to(self.dtype))
        loss = cross_entropy(logits, call.labels, reduction="sum")
        self._add("val", torch.stack([loss, (logits.argmax(1) == call.labels).sum()]), len(call.labels))

    @torch.no_grad()
    def _add(self, stage: str, found: Tensor, images: int) -> None:
        """Adds to (loss, right, images), on the device."""
        values = torch.cat([found.double(), found.new_tensor([images], dtype=torch.float64)])
        self.sums[stage] = self.sums[stage] + values if stage in self.sums else values

    def on_train_epoch_end(self) -> None:
        self._log("train")

    def on_validation_epoch_end(self) -> None:
        self._log("val")

    def _log(self, stage: str) -> None:
        loss, right, images = self.sums.pop(stage).tolist()
        self.log_dict({f"{stage}/loss": loss / images, f"{stage}/accuracy": right / images})
