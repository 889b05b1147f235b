"""One training run: a learner meets its data under a Lightning trainer."""

import math
import signal
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import pytorch_lightning as pl
import torch
from annotated_types import Ge, Gt
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch.multiprocessing.spawn import ProcessRaisedException

from src.core.errors import UserError
from src.core.files import read_json
from src.core.options import Count, Share, options
from src.data.datamodule import ImageData
from src.training.checkpoints import ENDED, RESUME, AtomicCheckpoints, Checkpoints, EpochSeed, read_history
from src.training.course import Course
from src.training.determinism import seed_everything
from src.training.early_stopping import EarlyStopping, LossStopping
from src.training.learners.stepping import Stepping
from src.training.replicas import Replicas, quieten
from src.training.resuming import has_ended, resumable


@options
class Training:
    """How long and how exactly a network is trained.

    Attributes:
        epochs: passes over the training images.
        precision: Lightning's name of the arithmetic.
        keep_every: also keep the weights of each k-th epoch.
        minimum_accuracy: validation accuracy below which the network counts as not trained.
        label_smoothing: of the training loss.
        gradient_clip: norm that the gradient is clipped to, or None.
        early_stopping: None to train for all epochs.
        train_only: patterns of names of layers; all others are frozen. None: all are trained.
    """

    epochs: Count
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] = "32-true"
    keep_every: Count | None = None
    minimum_accuracy: Share = 0.0
    label_smoothing: Share = 0.0
    gradient_clip: Annotated[float, Gt(0)] | None = None
    early_stopping: EarlyStopping | None = None
    train_only: tuple[str, ...] | None = None


@options
class VariantTraining(Training):
    """How the width variants of a sweep are trained.

    Attributes:
        ghost_batch: images over which batch norm takes its statistics, the same for all variants; None for the whole
            batch, which then has to fit in memory at once.
        skip_below: end after the first cycle where the training accuracy is below so many times chance, or None.
    """

    precision: Literal["32-true", "bf16-mixed", "64-true"] = "32-true"
    ghost_batch: Annotated[int, Ge(2)] | None = None
    skip_below: Annotated[float, Gt(0)] | None = None


def fit(
    learner: Stepping,
    data: ImageData,
    training: Training,
    folder: Path,
    *,
    seed: int,
    device: torch.device | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    callbacks: Sequence[Callback] = (),
    keep_last: bool = True,
    devices: int = 1,
    resume_every: float = 0.0,
    on_event: Callable[[str], None] | None = None,
    on_seconds: Callable[[float], None] | None = None,
) -> list[dict[str, float]]:
    """Train, keeping checkpoints in ``folder``; go on where a killed run of the same folder stopped.

    Args:
        callbacks: further ones, such as :class:`src.training.early_stopping.EarlySkip`.
        keep_last: whether ``last.safetensors`` is left beside ``best.safetensors``.
        devices: processes that train the network together (learners with a ``ghost_batch`` only); ``on_epoch`` is then
            told at the end.
        resume_every: seconds between resumable checkpoints. It decides what a kill costs, never the result.
        on_event: told where something that was found had to be thrown away.
        on_seconds: told how long the epochs took, those before a kill included.

    Returns:
        One dictionary per epoch: ``epoch``, ``train/loss``, ``train/accuracy``, ``val/loss``, ``val/accuracy``.
    """
    if has_ended(folder, on_event):  # and its job was killed before the store had it
        return _told(folder, on_epoch, on_seconds)
    seed_everything("fit", seed)
    on_gpu = device is not None and device.type == "cuda"
    keeper = Checkpoints(folder, training.keep_every, keep_last, resume_every)
    every: list[Callback] = [OwnSignals(), EpochSeed(seed), *callbacks, Course(folder), keeper]
    if training.early_stopping is not None:
        every.append(LossStopping(training.early_stopping))
    if on_epoch and devices == 1:
        every.append(EpochReport(keeper, on_epoch))
    if devices > 1:
        _check_devices(devices, learner, on_gpu)
    if training.precision == "64-true":
        learner.double()  # Lightning would load a checkpoint's weights before it converts the network
    with warnings.catch_warnings():
        quieten()
        trainer = pl.Trainer(
            max_epochs=training.epochs,
            accelerator="gpu" if on_gpu else "cpu",
            devices=[device.index or 0] if device and on_gpu and devices == 1 else devices,
            strategy=Replicas(on_gpu) if devices > 1 else "auto",
            plugins=[LightningEnvironment(), AtomicCheckpoints()],  # a scheduler's signals are the job's to handle
            precision=training.precision,
            callbacks=every,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=True,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            default_root_dir=folder,
        )
        try:
            trainer.fit(learner, datamodule=data, ckpt_path=resumable(folder, on_event), weights_only=True)
        except ProcessRaisedException as error:  # of one of several devices
            last = str(error).strip().splitlines()[-1]
            if "UserError: " in last:
                raise UserError(last.split("UserError: ", 1)[1]) from None
            raise
        except SystemExit as end:  # Lightning ends the process at Ctrl-C; the job has to say first that it is no result
            raise KeyboardInterrupt from end
        finally:
            if devices > 1 and trainer.strategy.launcher is not None:
                trainer.strategy.launcher.kill(signal.SIGKILL)  # none of the others outlives this one
    return _told(folder, on_epoch if devices > 1 else None, on_seconds)


def _told(
    folder: Path,
    on_epoch: Callable[[dict[str, float]], None] | None,
    on_seconds: Callable[[float], None] | None,
) -> list[dict[str, float]]:
    """The history of a training that has ended, told to whoever has not heard of it; nothing goes on from here."""
    (folder / RESUME).unlink(missing_ok=True)
    history = read_history(folder)
    if on_seconds:
        on_seconds(float(read_json(folder / ENDED)["seconds"]))
    if on_epoch:
        for metrics in history:
            on_epoch(metrics)
    return history


def _check_devices(devices: int, learner: Stepping, on_gpu: bool) -> None:
    if learner.ghost_batch is None:
        raise UserError(
            f"trainer.devices={devices}: several devices share a batch by its ghost batches; set training.ghost_batch "
            "of a width variant, or trainer.devices=1"
        )
    if on_gpu and devices > torch.cuda.device_count():
        raise UserError(f"trainer.devices={devices}: this machine has {torch.cuda.device_count()} GPUs; take fewer")


class OwnSignals(Callback):
    """Puts back the process's own SIGTERM handler, which Lightning replaces by one that waits for the next batch."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)  # in the process that trains, before Lightning has its own

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # None: one that was not installed from Python
        if self.handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)


class EpochReport(Callback):
    """Tells ``on_epoch`` the metrics of each epoch that ends; the first call also tells the epochs already done."""

    def __init__(self, keeper: Checkpoints, on_epoch: Callable[[dict[str, float]], None]) -> None:
        self.keeper = keeper
        self.on_epoch = on_epoch
        self.reported = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._tell()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._tell()

    def _tell(self) -> None:
        for metrics in self.keeper.history[self.reported :]:
            self.on_epoch(metrics)
        self.reported = len(self.keeper.history)


def overfitted_epoch(history: Sequence[dict[str, float]]) -> tuple[int, str]:
    """The epoch at which a network counts as overfitted, and a note where it does not.

    The rule (ours; CNNSplitter lists its epochs without one): the first epoch after the one of lowest validation loss
    at which the validation loss has risen by a fifth above that minimum. Where none is found, the last epoch. The
    underfitted epoch is half of it, rounded down, as in CNNSplitter (ASE 2022). A loss that is NaN counts for nothing.
    """
    losses = {epoch: loss for epoch, metrics in enumerate(history) if not math.isnan(loss := metrics["val/loss"])}
    last = len(history) - 1
    if not losses:
        return last, "the validation loss was no number at any epoch: the last epoch is taken as the overfitted one"
    lowest = min(losses, key=losses.__getitem__)
    for epoch, loss in losses.items():
        if epoch >= lowest and loss >= 1.2 * losses[lowest]:
            return epoch, ""
    return last, (
        f"the validation loss never rose by a fifth above its minimum ({losses[lowest]:.3f} at epoch {lowest}): "
        "the last epoch is taken as the overfitted one"
    )
