"""What the learners share: calls of several batches, the rate and the step of the optimiser, and sums of an epoch.

A step costs little beside its tensors: Lightning is gone through once per call, and the host waits for the device once
per epoch, for the sums.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from src.data.epoch_loader import Call, Share
from src.networks.models.foreign import check_trainable, events_of_model
from src.training.optimisation import build_optimizer, rate_of


def memory_format_for(network: nn.Module) -> torch.memory_format:
    """How a network's weights lie while it learns: channels last, which is faster.

    With AVX2 alone torch 2.15 writes beyond its memory in the backward pass of a strided 1x1 convolution of fewer than
    8 channels that lie last (as in narrow ResNets), which ends the process.
    """
    narrow = any(
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.stride != (1, 1)
        and layer.in_channels < 8
        for layer in network.modules()
    )
    overruns = narrow and torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if overruns else torch.channels_last


class Stepping(pl.LightningModule):
    """Takes calls of several batches and makes an optimiser step of each.

    Logged once per epoch, the sums over its images: ``train/loss`` and ``train/accuracy`` of the training passes,
    ``val/loss`` and ``val/accuracy``.

    Args:
        network: images (n, C, H, W) to logits (n, N); what is trained and kept.
        optim: what :func:`src.training.optimisation.build_optimizer` and ``rate_of`` take.
        label_smoothing: of the training loss.
        gradient_clip: norm that the gradient is clipped to, or None.

    Raises:
        UserError: the network cannot be trained.
    """

    draws: Literal["epoch", "step"] = "epoch"
    """For what augmentation draws at once (`src.data.epoch_loader`)."""
    ghost_batch: int | None = None
    reduction: Literal["mean", "sum"] = "sum"
    """Of the loss over the images of a batch."""

    def __init__(
        self, network: nn.Module, optim: Mapping[str, Any], label_smoothing: float, gradient_clip: float | None
    ) -> None:
        super().__init__()
        check_trainable(network)
        self.automatic_optimization = False
        self.optim = dict(optim)
        self.model = network.to(memory_format=memory_format_for(network))
        self.label_smoothing, self.gradient_clip = label_smoothing, gradient_clip
        self.rows: dict[str, list[Tensor]] = {"train": [], "val": []}
        self.mixed: torch.dtype | None = None  # until the trainer says so
        self.scaler: torch.amp.GradScaler | None = None

    @property
    def events(self) -> list[str]:
        """What has to be told of the training; ``fit`` leaves it in ``events.json`` too."""
        return events_of_model(self.model)

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
        plugin = self.trainer.precision_plugin
        if isinstance(plugin, MixedPrecision):
            self.mixed = torch.bfloat16 if plugin.precision == "bf16-mixed" else torch.float16
            self.scaler = plugin.scaler

    def on_train_epoch_start(self) -> None:
        self.step = self.current_epoch * self.steps_per_epoch

    def training_step(self, call: Call, call_index: int) -> None:
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        call = call._replace(images=call.images.to(self.dtype))
        passes = []
        # Lightning's own autocast spans the whole call: its cache would outlive an optimiser step
        with torch.autocast(self.device.type, enabled=False):
            for images, labels, share in call.batches():
                rate = self.rate(self.step)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad()
                passes.append(self._gradient(images, labels, share))
                self._update(optimizer)
                self.step += 1
            self.rows["train"].append(self._counted(passes, call.labels))

    def _gradient(self, images: Tensor, labels: Tensor, share: Share) -> Any:
        """Leave the gradient of a batch in the parameters; returns what ``_counted`` takes of each batch."""
        raise NotImplementedError

    def _counted(self, passes: Sequence[Any], labels: Tensor) -> Tensor:
        """What is summed over an epoch, from a call: rows of (loss, right, ..., images)."""
        raise NotImplementedError

    def _backward(self, loss: Tensor) -> None:
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def _update(self, optimizer: torch.optim.Optimizer) -> None:
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters_list, self.gradient_clip)
        if self.scaler is None:
            optimizer.step()
        else:
            self.scaler.step(optimizer)
            self.scaler.update()

    def _arithmetic(self) -> AbstractContextManager[None]:
        """That of a forward pass."""
        return nullcontext() if self.mixed is None else self._autocast()

    @contextmanager
    def _autocast(self) -> Iterator[None]:
        try:
            with torch.autocast(self.device.type, self.mixed):
                yield
        finally:
            torch.clear_autocast_cache()  # Lightning's context is around this one and would keep the step's weights

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, reduction=self.reduction, label_smoothing=self.label_smoothing)

    def _logits(self, images: Tensor) -> Tensor:
        return self.model(images)

    def validation_step(self, call: Call, call_index: int) -> None:
        logits = self._logits(call.images.to(self.dtype))
        loss = cross_entropy(logits, call.labels, reduction=self.reduction)
        self.rows["val"].append(self._row(loss, logits, call.labels))

    def _row(self, loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """(1, 3): loss, right, images; on the device."""
        return torch.stack([loss, (logits.argmax(1) == labels).sum(), torch.full_like(loss, len(labels))])[None]

    def on_train_epoch_end(self) -> None:
        self._log("train")

    def on_validation_epoch_end(self) -> None:
        self._log("val")

    def _log(self, stage: str) -> None:
        rows = torch.cat(self.rows[stage]).cpu().numpy()
        self.rows[stage] = []
        names = ("loss", "accuracy") if stage == "train" else ("loss", "accuracy", "top5")
        self.log_dict({f"{stage}/{name}": value for name, value in zip(names, self._means(rows), strict=False)})

    def _means(self, rows: np.ndarray) -> list[float]:
        """Of each column but the last, images, what it is per image."""
        sums = torch.from_numpy(rows.astype(np.float64).cumsum(0)[-1])
        if self.trainer.world_size > 1:
            sums = sums.to(self.device)
            torch.distributed.all_reduce(sums)
        *values, images = sums.tolist()
        return [value / images for value in values]
