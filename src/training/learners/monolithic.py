"""The learner of one network trained as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from src.networks.models.registry import build
from src.training.optimisation import build_optimizer, build_schedule


class Monolithic(pl.LightningModule):
    """A registered model with cross-entropy, accuracy and an optimiser by configuration.

    Metrics are gathered on the device and logged once per epoch: ``train/loss``, ``train/accuracy``, ``val/loss``,
    ``val/accuracy``.

    Args:
        architecture: what :func:`src.networks.models.registry.build` takes.
        optim: what :func:`src.training.optimisation.build_optimizer` takes.
        label_smoothing: of the training loss.
    """

    def __init__(self, architecture: Mapping[str, Any], optim: Mapping[str, Any], label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.save_hyperparameters({"architecture": dict(architecture), "optim": dict(optim)})
        self.optim = dict(optim)
        self.model = build(architecture).to(memory_format=torch.channels_last)
        self.train_loss = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        metrics = MetricCollection({"accuracy": MulticlassAccuracy(architecture["classes"], average="micro")})
        self.train_metrics, self.val_metrics = metrics.clone("train/"), metrics.clone("val/")
        self.train_losses, self.val_losses = MeanMetric(), MeanMetric()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, N) of normalised images (n, C, H, W)."""
        return self.model(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        images, labels = batch
        logits = self.model(images)
        loss = self.train_loss(logits, labels)
        self.train_metrics.update(logits.detach(), labels)
        self.train_losses.update(loss.detach(), len(labels))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        images, labels = batch
        logits = self.model(images)
        self.val_metrics.update(logits, labels)
        self.val_losses.update(nn.functional.cross_entropy(logits, labels), len(labels))

    def on_train_epoch_end(self) -> None:
        self._log("train", self.train_metrics, self.train_losses)

    def on_validation_epoch_end(self) -> None:
        self._log("val", self.val_metrics, self.val_losses)

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.optim, self.model)
        steps = int(self.trainer.estimated_stepping_batches)
        whole = getattr(self.trainer.train_dataloader, "whole_batches", 0)
        schedule = build_schedule(self.optim, optimizer, steps, int(self.trainer.num_training_batches), whole)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log(self, stage: str, metrics: MetricCollection, losses: MeanMetric) -> None:
        self.log_dict({f"{stage}/loss": losses.compute(), **metrics.compute()})
        losses.reset()
        metrics.reset()
