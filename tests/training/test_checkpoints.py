"""Which weights a training leaves behind."""

import json
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from src.core.errors import full_disk
from src.networks.weights import load_weights
from src.training.checkpoints import (
    BEST,
    EARLIER,
    HISTORY,
    RESUME,
    AtomicCheckpoints,
    Checkpoints,
    read_history,
    write_history,
)
from src.training.resuming import resumable


class Trainer(SimpleNamespace):
    """What `Checkpoints` sees of a trainer."""

    strategy = SimpleNamespace(broadcast=lambda due: due)

    def save_checkpoint(self, path: Path) -> None:
        torch.save({"epoch": self.current_epoch}, path)


def run(keeper: Checkpoints, metrics: list[tuple[float, float]], max_epochs: int, start: int = 0) -> None:
    """Ends the epochs with these (accuracy, loss); the weights of an epoch are all its number."""
    model = nn.Linear(2, 2)
    for epoch, (accuracy, loss) in enumerate(metrics, start):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(epoch)
        logged = {"val/accuracy": torch.tensor(accuracy), "val/loss": torch.tensor(loss), "lr": torch.tensor(0.0)}
        trainer = Trainer(current_epoch=epoch, max_epochs=max_epochs, callback_metrics=logged, should_stop=False)
        keeper.on_train_epoch_end(trainer, SimpleNamespace(model=model))  # type: ignore[arg-type]


def test_last_is_kept_where_wanted_and_the_checkpoint_is_written_where_due(tmp_path: Path):
    run(Checkpoints(tmp_path, keep_last=False, resume_every=3600), [(0.5, 1.0), (0.75, 0.5)], max_epochs=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", HISTORY]


def epoch_of(path: Path) -> float:
    model = nn.Linear(2, 2)
    load_weights(model, path)
    return model.weight[0, 0].item()


def test_best_last_and_every_kth_are_kept(tmp_path: Path):
    run(Checkpoints(tmp_path, every=2), [(0.5, 1.0), (0.75, 0.5), (0.25, 2.0), (0.5, 1.0), (0.5, 1.0)], max_epochs=5)
    kept = {path.name: epoch_of(path) for path in tmp_path.glob("*.safetensors")}
    assert kept == {"best.safetensors": 1, "last.safetensors": 4, "epoch_0001.safetensors": 1,
                    "epoch_0003.safetensors": 3}  # fmt: skip
    history = json.loads((tmp_path / HISTORY).read_text())
    assert [row["epoch"] for row in history] == [0, 1, 2, 3, 4]
    assert history[2] == {"epoch": 2, "val/accuracy": 0.25, "val/loss": 2.0}  # only metrics of a stage


def test_a_loss_that_is_no_number_is_never_best(tmp_path: Path):
    nan = float("nan")
    run(Checkpoints(tmp_path), [(0.5, nan), (0.1, 2.0), (0.5, nan)], max_epochs=3)
    assert epoch_of(tmp_path / BEST) == 1


def test_the_history_is_json(tmp_path: Path):
    row = {"epoch": 0, "val/accuracy": 0.1, "val/loss": float("nan"), "train/loss": float("inf")}
    write_history(tmp_path, [row])
    (found,) = json.loads((tmp_path / HISTORY).read_text(), parse_constant=pytest.fail)
    assert found == {"epoch": 0, "val/accuracy": 0.1, "val/loss": "nan", "train/loss": "inf"}
    assert str(read_history(tmp_path)) == str([row])
    (tmp_path / HISTORY).write_text('[{"epoch": 0, "val/loss": NaN, "train/loss": Infinity, "val/accuracy": 0.1}]')
    (old,) = read_history(tmp_path)
    assert str(old["val/loss"]) == "nan" and old["train/loss"] == float("inf")


def test_the_best_that_a_checkpoint_names_stays_until_there_is_another(tmp_path: Path):
    keeper = Checkpoints(tmp_path, resume_every=0.0)
    run(keeper, [(0.5, 1.0)], max_epochs=9)
    keeper.resume_every = 3600
    run(keeper, [(0.6, 1.0), (0.7, 1.0)], max_epochs=9, start=1)
    assert epoch_of(tmp_path / BEST) == 2 and epoch_of(tmp_path / EARLIER) == 0
    keeper.resume_every = 0.0
    run(keeper, [(0.1, 1.0)], max_epochs=9, start=3)
    assert epoch_of(tmp_path / BEST) == 2 and not (tmp_path / EARLIER).exists()


def test_of_equal_accuracies_the_lower_loss_is_best(tmp_path: Path):
    run(Checkpoints(tmp_path), [(0.5, 1.0), (0.5, 0.5), (0.5, 0.5), (0.5, 0.75)], max_epochs=9)
    assert epoch_of(tmp_path / "best.safetensors") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", HISTORY, RESUME]


def test_an_accuracy_of_zero_still_leaves_a_best(tmp_path: Path):
    run(Checkpoints(tmp_path), [(0.0, float("nan"))], max_epochs=1)
    assert (tmp_path / "best.safetensors").exists()


def test_history_and_best_go_on_after_a_restart(tmp_path: Path):
    first = Checkpoints(tmp_path)
    run(first, [(0.75, 0.5), (0.5, 1.0)], max_epochs=4)
    second = Checkpoints(tmp_path)
    second.load_state_dict(first.state_dict())
    run(second, [(0.5, 0.25), (0.75, 0.5)], max_epochs=4, start=2)
    assert epoch_of(tmp_path / "best.safetensors") == 0
    assert [row["epoch"] for row in json.loads((tmp_path / HISTORY).read_text())] == [0, 1, 2, 3]


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_no_checkpoint(tmp_path: Path, damage: bytes | None):
    path = tmp_path / RESUME
    assert resumable(tmp_path) is None
    torch.save({"epoch": 3, "state_dict": {"weight": torch.zeros(1000)}}, path)
    assert resumable(tmp_path) == path
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert resumable(tmp_path) is None
    assert not path.exists()


class Payload:
    """Code that a pickle would run."""


def test_a_checkpoint_with_code_is_not_loaded(tmp_path: Path):
    torch.save({"epoch": 3, "code": Payload()}, tmp_path / RESUME)
    assert resumable(tmp_path) is None


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_full_disk_is_told_as_one_whatever_torch_makes_of_it(tmp_path: Path, size: int):
    """`torch.save` ends in a RuntimeError of another text, which Lightning may wrap again."""
    state = {"large": torch.zeros(size), "more": [torch.zeros(30_000) for _ in range(5)]}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises((OSError, RuntimeError)) as caught:
            AtomicCheckpoints().save_checkpoint(state, tmp_path / RESUME)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
    outer, outermost = RuntimeError("could not save"), RuntimeError("could not train")
    outer.__context__, outermost.__cause__ = caught.value, outer
    assert "make room" in full_disk(caught.value, tmp_path) and "make room" in full_disk(outermost, tmp_path)
