"""The learner of one network trained as a whole."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from src.data.epoch_loader import Share
from src.networks.models.registry import build
from src.training.learners.stepping import Stepping


class Monolithic(Stepping):
    """A registered model with cross-entropy, the mean over each batch.

    Args:
        architecture: what :func:`src.networks.models.registry.build` takes.
        optim, label_smoothing, gradient_clip: as of a :class:`Stepping`.
    """

    draws = "step"
    reduction = "mean"

    def __init__(
        self,
        architecture: Mapping[str, Any],
        optim: Mapping[str, Any],
        label_smoothing: float = 0.0,
        gradient_clip: float | None = None,
    ) -> None:
        super().__init__(build(architecture), optim, label_smoothing, gradient_clip)

    def _gradient(self, images: Tensor, labels: Tensor, share: Share) -> tuple[Tensor, Tensor]:
        with self._arithmetic():
            logits = self.model(images)
            loss = self._loss(logits, labels)
        self._backward(loss)
        return loss.detach(), logits.detach()

    def _counted(self, passes: Sequence[tuple[Tensor, Tensor]], labels: Tensor) -> Tensor:
        losses, logits = (list(values) for values in zip(*passes, strict=True))
        counts = [len(batch) for batch in logits]
        right = (torch.cat(logits).argmax(1) == labels).split(counts)
        columns = [torch.stack(losses), torch.stack([batch.sum() for batch in right]), losses[0].new_tensor(counts)]
        return torch.stack(columns, dim=1)

    def _means(self, rows: np.ndarray) -> list[float]:
        """As torchmetrics summed before: in single precision, batch by batch, a loss that is no number left out.

        Epochs have been chosen by these bits.
        """
        losses, right, images = rows.astype(np.float32).T
        known = ~np.isnan(losses)
        sums = (losses * images)[known].cumsum()  # one after another
        loss = float(sums[-1]) / float(images[known].sum()) if len(sums) else float("nan")
        return [loss, float(right.sum()) / float(images.sum())]
