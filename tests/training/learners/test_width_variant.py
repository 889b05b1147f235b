"""The learner trains as a plain loop does, tells what happened, and adds up over several processes."""

from __future__ import annotations

import copy
import json
import pickle
import signal
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.data.epoch_loader import Call
from src.networks.weights import load_weights
from src.training import fitting
from src.training.checkpoints import RESUME, events_of
from src.training.early_stopping import EarlySkip
from src.training.fitting import VariantTraining, fit
from src.training.freezing import TrainOnly
from src.training.learners.width_variant import WidthVariant
from src.training.optimisation import sgdr
from src.training.replicas import Replicas
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE

NETWORK = {**ARCHITECTURE, "batch_norm": True, "dropout": 0.0}
LEARNING_RATE = 0.05
OPTIM = {
    "name": "sgd", "lr": LEARNING_RATE, "momentum": 0.9, "weight_decay": 5e-4,
    "schedule": {"name": "sgdr", "first": 1, "factor": 2, "lowest": 1e-5},
}  # fmt: skip
BATCH = 10  # 36 images: three batches and one of six


class Observed(WidthVariant):
    """Remembers its calls, and the weights at the start."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        torch.manual_seed(0)
        super().__init__(*arguments, **options)
        self.start = copy.deepcopy(self.model.state_dict())
        self.calls: list[Call] = []

    def training_step(self, call: Call, call_index: int) -> None:
        self.calls.append(call)
        super().training_step(call, call_index)


class Narrow(nn.Module):
    """Memory for only so many images per pass while training."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x


def images(per_call: int = 3) -> TinyData:
    data = TinyData(batch_size=BATCH)
    data.per_call = per_call
    return data


def trained(folder: Path, learner: WidthVariant, epochs: int = 3, **options: Any) -> list[dict[str, float]]:
    training = VariantTraining(epochs, precision=options.pop("precision", "64-true"))
    folder.mkdir(exist_ok=True)
    data = options.pop("data", None) or images()
    return fit(learner, data, training, folder, seed=0, **options)


def assert_same(found: nn.Module, expected: dict[str, Tensor], tolerance: float = 1e-10) -> None:
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, expected[name].to(value.dtype), rtol=tolerance, atol=tolerance)


def test_it_learns_and_tells_what_a_plain_loop_does(tmp_path: Path):
    smoothing, clip = 0.1, 0.5
    learner = Observed(NETWORK, OPTIM, BATCH, label_smoothing=smoothing, gradient_clip=clip)
    data = images()
    history = trained(tmp_path, learner, data=data)
    network = Observed(NETWORK, OPTIM, BATCH).model
    model = network.double().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=9.0, momentum=0.9, weight_decay=5e-4)
    calls, step = iter(learner.calls), 0
    held, answers = data.tensor("validation")
    for row in history:
        right, losses = 0, 0.0
        sizes = [10, 10, 10, 6]
        batches = [batch for _ in range(2) for batch in _batches(next(calls), sizes)]
        assert [len(labels) for _, labels in batches] == sizes
        for x, y in batches:
            for group in optimizer.param_groups:
                group["lr"] = sgdr(step, 4, 3, LEARNING_RATE, 1, 2, 1e-5)
            logits = model(x.double())
            loss = nn.functional.cross_entropy(logits, y, label_smoothing=smoothing)
            optimizer.zero_grad()
            (loss * len(y) / BATCH).backward()
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            step += 1
            right, losses = right + int((logits.argmax(1) == y).sum()), losses + loss.item() * len(y)
        assert row["train/accuracy"] == pytest.approx(right / 36)
        assert row["train/loss"] == pytest.approx(losses / 36, rel=1e-5)
        with torch.no_grad():
            logits = model.eval()(held.double())
        model.train()
        assert row["val/loss"] == pytest.approx(nn.functional.cross_entropy(logits, answers).item(), rel=1e-5)
        assert row["val/accuracy"] == pytest.approx((logits.argmax(1) == answers).double().mean().item())
        assert row["val/top5"] == 1.0, "there are three classes"
    assert step == 12 and next(calls, None) is None
    assert_same(learner.model, model.state_dict())


def _batches(call: Call, sizes: list[int]) -> list[tuple[Tensor, Tensor]]:
    counts = [part.ours for part in call.shares]
    return list(zip(call.images.split(counts), call.labels.split(counts), strict=True))


def test_top5_of_more_classes():
    learner = WidthVariant({**NETWORK, "classes": 7}, OPTIM, BATCH)
    logits = torch.eye(7)[[0, 1, 2]] + torch.arange(7.0) / 100  # the least two are 0 and 1 unless they are the best
    assert learner._row(torch.tensor(3.0), logits, torch.tensor([0, 0, 2])).tolist() == [[3.0, 2.0, 2.0, 3.0]]
    assert learner._row(torch.tensor(1.0), logits[:1], torch.tensor([6])).tolist() == [[1.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_precision(tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch):
    seen: list[torch.dtype] = []
    learner = Observed(NETWORK, OPTIM, BATCH)
    learner.model.conv_0.register_forward_hook(lambda module, given, result: seen.append(result.dtype))
    history = trained(tmp_path, learner, precision=precision, epochs=12)
    assert set(seen) == {torch.bfloat16 if precision == "bf16-mixed" else torch.float32}
    assert all(value.dtype == torch.float32 for value in learner.model.parameters())
    assert history[-1]["train/loss"] < 0.8 * history[0]["train/loss"], "weights of a step before would not learn"


def test_bf16_steps_use_the_present_weights(tmp_path: Path):
    """Several steps within one of Lightning's arithmetic contexts give what one step per context does."""
    found = []
    for per_call in (1, 4):
        learner = Observed(NETWORK, OPTIM, BATCH)
        trained(tmp_path / str(per_call), learner, precision="bf16-mixed", data=images(per_call), epochs=1)
        found.append(learner.model.state_dict())
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())


def test_the_memory_plan_changes_nothing(tmp_path: Path):
    architecture = {**NETWORK, "dropout": 0.3}
    whole = Observed(architecture, OPTIM, BATCH, ghost_batch=4)
    trained(tmp_path / "whole", whole)
    for micro, recompute in ((4, False), (8, True)):
        learner = Observed(architecture, OPTIM, BATCH, ghost_batch=4, micro_batch=micro, recompute=recompute)
        trained(tmp_path / f"{micro}", learner)
        assert_same(learner.model, whole.model.state_dict())


def test_out_of_memory_is_told_and_remembered(tmp_path: Path):
    def narrow(limit: int, **options: Any) -> Observed:
        learner = Observed(NETWORK, OPTIM, BATCH, ghost_batch=4, **options)
        learner.model._append("narrow", Narrow(limit))
        return learner

    expected = narrow(99, micro_batch=4)
    trained(tmp_path / "small", expected)
    learner = narrow(6)
    trained(tmp_path / "replayed", learner)
    assert_same(learner.model, expected.model.state_dict())
    how = ["activations computed again", "4 images per pass"]
    events = [f"out of memory at epoch 0, step 0: the batch was replayed with {text}, kept for the rest of the training"
              for text in how]  # fmt: skip
    assert learner.events == events == json.loads((tmp_path / "replayed" / "events.json").read_text())
    # killed after the first epoch, and started again
    with pytest.raises(KeyError):
        trained(tmp_path / "killed", narrow(6), on_epoch=lambda metrics: {}[metrics["epoch"]])
    again = narrow(6)
    trained(tmp_path / "killed", again)
    assert again.events == events, "known to the new process, and the batch never failed again"
    assert_same(again.model, learner.model.state_dict(), 0)


@pytest.mark.parametrize(("share", "skipped"), [(2.99, True), (0.01, False)])
def test_early_skip(tmp_path: Path, share: float, skipped: bool):
    def skip() -> list[EarlySkip]:
        return [EarlySkip(after=1, share=share, classes=3)]

    history = trained(tmp_path / "unbroken", Observed(NETWORK, OPTIM, BATCH), callbacks=skip(), epochs=4)
    assert [row.get("skipped") for row in history] == ([None, 1.0] if skipped else [None] * 4)
    files = {path.name: path.read_bytes() for path in (tmp_path / "unbroken").glob("[!.]*")}
    assert set(files) == {"best.safetensors", "last.safetensors", "history.json"}
    # killed after its last checkpoint, before its end
    with pytest.raises(KeyError):
        trained(tmp_path / "killed", Observed(NETWORK, OPTIM, BATCH), callbacks=skip(), epochs=4,
                on_epoch=lambda metrics: _fail_after_two(tmp_path / "killed"))  # fmt: skip
    assert (tmp_path / "killed" / RESUME).exists()
    again = trained(tmp_path / "killed", Observed(NETWORK, OPTIM, BATCH), callbacks=skip(), epochs=4)
    assert again == history
    assert {path.name: path.read_bytes() for path in (tmp_path / "killed").glob("[!.]*")} == files


def _fail_after_two(folder: Path) -> None:
    if len(json.loads((folder / "history.json").read_text())) > 1:
        raise KeyError


def test_two_processes_train_one_network(tmp_path: Path):
    architecture = {**NETWORK, "dropout": 0.3}
    alone = Observed(architecture, OPTIM, BATCH, ghost_batch=4)
    expected = trained(tmp_path / "one", alone, epochs=2)
    told: list[dict[str, float]] = []
    learner = Observed(architecture, OPTIM, BATCH, ghost_batch=4, micro_batch=4)
    history = trained(tmp_path / "two", learner, epochs=2, devices=2, on_epoch=told.append)
    model = Observed(architecture, OPTIM, BATCH).model.double()
    load_weights(model, tmp_path / "two" / "last.safetensors")
    assert_same(model, alone.model.state_dict())
    assert told == history
    for row, wanted in zip(history, expected, strict=True):
        assert row == pytest.approx(wanted, rel=1e-5)
    assert sorted(path.name for path in (tmp_path / "two").glob("[!.]*") if path.is_file()) == [
        "best.safetensors", "history.json", "last.safetensors",
    ]  # fmt: skip


@pytest.mark.slow
def test_spawned_processes_train_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on GPUs: what they need is pickled, and what memory made of it comes back by a file."""
    monkeypatch.setattr(fitting, "Replicas", lambda on_gpu: Replicas(True))
    handler = signal.signal(signal.SIGTERM, lambda *_: None)  # which cannot be pickled
    learner = WidthVariant(NETWORK, OPTIM, BATCH, ghost_batch=4, recompute=True)
    learner.model._append("narrow", Narrow(4))
    try:
        history = trained(tmp_path, learner, epochs=1, devices=2, callbacks=[EarlySkip(9, 0.1, 3)])
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert len(history) == 1
    (event,) = events_of(tmp_path)
    assert event.endswith("replayed with 4 images per pass, kept for the rest of the training")


def test_what_a_spawned_process_gets_can_be_pickled():
    learner = WidthVariant(NETWORK, OPTIM, BATCH, ghost_batch=4, recompute=True)
    callbacks = [fitting.OwnSignals(), EarlySkip(9, 0.1, 3), TrainOnly(learner.model, ["conv_0"]), Replicas(True)]
    again, _, (_, _, only, replicas) = pickle.loads(ForkingPickler.dumps((learner, images(), callbacks)))
    assert again.ghost_batch == 4 and only.frozen[0] in set(again.model.modules())
    assert again.batches.rows is again.model.norm_0.rows and replicas._start_method == "spawn"


def test_several_devices_need_a_ghost_batch(tmp_path: Path):
    with pytest.raises(UserError, match=r"^trainer\.devices=2: .* set training\.ghost_batch of a width variant, or"):
        trained(tmp_path, Observed(NETWORK, OPTIM, BATCH), devices=2)


def test_an_error_of_a_device_is_told_as_one_of_ours(tmp_path: Path):
    learner = Observed(NETWORK, OPTIM, BATCH, ghost_batch=4)
    learner.model._append("narrow", Narrow(1))
    with pytest.raises(UserError, match=r"^training\.ghost_batch=4: one ghost batch of 4 images .* another device$"):
        trained(tmp_path, learner, devices=2)


def test_it_keeps_only_the_model():
    learner = WidthVariant(NETWORK, OPTIM, BATCH).eval()
    some = torch.rand(2, *NETWORK["input_shape"])
    assert torch.equal(learner(some), learner.model(some)) and learner(some).shape == (2, 3)
    assert all(name.startswith("model.") for name in learner.state_dict())
    with pytest.raises(UserError, match="ghost_batch"):
        WidthVariant(NETWORK, OPTIM, BATCH, micro_batch=5)
