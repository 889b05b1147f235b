"""What learners of several optimiser steps per call share: rates by step, and arithmetic that is theirs to choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor, nn

from src.data.epoch_loader import Call
from src.training.optimisation import build_optimizer, rate_of


class Stepping(pl.LightningModule):
    """Takes calls of several batches; a subclass does the steps of one in ``_steps``.

    Args:
        network: images (n, C, H, W) to logits (n, N); what is trained and kept.
        optim: what :func:`src.training.optimisation.build_optimizer` and ``rate_of`` take.
        label_smoothing: of the training loss.
        gradient_clip: norm that the gradient is clipped to, or None.
    """

    def __init__(
        self, network: nn.Module, optim: Mapping[str, Any], label_smoothing: float, gradient_clip: float | None
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.optim = dict(optim)
        self.model = network.to(memory_format=torch.channels_last)
        self.label_smoothing, self.gradient_clip = label_smoothing, gradient_clip
        self.sums: dict[str, Tensor] = {}
        self.mixed = False  # until the trainer says so

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, N) of normalised images (n, C, H, W)."""
        return self.model(images)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer(self.optim, self.model)

    def on_train_start(self) -> None:
        loader: Any = self.trainer.train_dataloader
        self.steps_per_epoch = len(loader.sizes)
        steps = self.steps_per_epoch * int(self.trainer.max_epochs or 0)
        self.rate = rate_of(self.optim, steps, self.steps_per_epoch, loader.whole_batches)
        self.parameters_list = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.mixed = isinstance(self.trainer.precision_plugin, MixedPrecision)

    def on_train_epoch_start(self) -> None:
        self.step = self.current_epoch * self.steps_per_epoch

    def training_step(self, call: Call, call_index: int) -> None:
        # Lightning's own autocast spans the whole call: its cache would outlive an optimiser step
        with torch.autocast(self.device.type, enabled=False):
            self._steps(call)

    def _steps(self, call: Call) -> None:
        raise NotImplementedError
