"""The learner of modules: one of a label tree by itself, or all of them at once, several optimiser steps per call."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from src.data.epoch_loader import Share
from src.training.learners.stepping import Stepping


class Modular(Stepping):
    """Modules that each decide between the children of one node of a label tree.

    Every module learns from the images below its node alone, with the right child as label (teacher forcing). The sum
    of their losses over the nodes above an image's class is the negative logarithm of the probability that the softly
    gated composition gives that class: to fine-tune all modules jointly is to go on like this, and modules that share
    no weights do not notice each other. They do where they share a trunk.

    ``train/accuracy`` counts images all of whose decisions were right, each made as if the ones before had been;
    ``val/accuracy`` is of the whole network.

    Args:
        network: images (n, C, H, W) to logits or log-probabilities (n, N); what is trained and kept.
        parts: its modules, (n, ...) to logits (n, children); None: the network itself is the only one.
        targets: int64 (parts, N): for each class the child that it is below, -1 where it is not below the node.
        trunk: what the parts share, or None.
        optim, label_smoothing, gradient_clip: as of a :class:`Stepping`.
    """

    def __init__(
        self,
        network: nn.Module,
        optim: Mapping[str, Any],
        label_smoothing: float = 0.0,
        gradient_clip: float | None = None,
        *,
        parts: Sequence[nn.Module] | None = None,
        targets: Tensor | None = None,
        trunk: nn.Module | None = None,
    ) -> None:
        super().__init__(network, optim, label_smoothing, gradient_clip)
        self.parts = None if parts is None else list(parts)  # a list: their weights are the network's
        self.shared = [trunk]
        self.targets: Tensor
        self.register_buffer("targets", torch.zeros(0) if targets is None else targets, persistent=False)
        self.normed = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())

    def _gradient(self, images: Tensor, labels: Tensor, share: Share) -> Tensor:
        loss, right = self._pass(images, labels)
        self._backward(loss / len(labels))
        return torch.stack([loss.detach(), right.sum()])

    def _counted(self, passes: Sequence[Tensor], labels: Tensor) -> Tensor:
        sums = torch.stack(list(passes)).sum(0)
        return torch.cat([sums, sums.new_full((1,), len(labels))])[None]

    def _pass(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss summed over the batch, and whether each image's decisions were all right (n,)."""
        with self._arithmetic():
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
