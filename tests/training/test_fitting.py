"""A training ends with the same bits however often it was killed, and its checkpoints are safe to load."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback

from src.core.errors import UserError
from src.core.options import options_of
from src.networks.weights import load_weights
from src.training.checkpoints import EARLIER, RESUME
from src.training.course import COURSE, read_course
from src.training.fitting import Training, VariantTraining, overfitted_epoch
from tests.fakes.networks import ARCHITECTURE
from tests.fakes.training import EPOCHS, LAST, LEARNERS, PLACES, train

WEIGHTS = {"best.safetensors", "last.safetensors", *(f"epoch_{epoch:04d}.safetensors" for epoch in range(EPOCHS))}


def left_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    train(folder)
    return folder


@pytest.fixture(scope="module")
def whole(unbroken: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of an unbroken training of each learner."""
    folders = {"monolithic": unbroken}
    for learner in LEARNERS[1:]:
        folders[learner] = tmp_path_factory.mktemp(f"unbroken_{learner}")
        train(folders[learner], learner=learner)
    return folders


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder per learner and place at which a training was killed."""
    root = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, "-m", "tests.fakes.training", str(root)], check=True)
    return root


def test_files_of_a_finished_training(unbroken: Path):
    files = left_in(unbroken)
    assert set(files) == {*WEIGHTS, "history.json"}
    history = json.loads(files["history.json"])
    assert [row["epoch"] for row in history] == list(range(EPOCHS))
    assert all(set(row) == {"epoch", "train/loss", "train/accuracy", "val/loss", "val/accuracy"} for row in history)
    best = max(history, key=lambda row: (row["val/accuracy"], -row["val/loss"]))["epoch"]
    assert files["best.safetensors"] == files[f"epoch_{best:04d}.safetensors"]
    assert files["last.safetensors"] == files[f"epoch_{EPOCHS - 1:04d}.safetensors"]
    assert len({files[name] for name in WEIGHTS if name.startswith("epoch")}) == EPOCHS, "each epoch learns"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("learner", LEARNERS)
def test_a_killed_training_goes_on_to_the_same_bits(
    learner: str, place: str, killed: Path, whole: dict[str, Path], tmp_path: Path
):
    folder = tmp_path / place
    shutil.copytree(killed / f"{learner}_{place}", folder)
    saved = torch.load(folder / RESUME, weights_only=True)  # no code in it
    assert saved["epoch"] == LAST - 1
    assert "last.safetensors" not in left_in(folder)
    told: list[dict[str, float]] = []
    history = train(folder, learner=learner, on_epoch=told.append)
    assert told == history and len(history) == EPOCHS, "epochs done before are told too, each once"
    assert left_in(folder) == left_in(whole[learner])
    course = read_course(folder)
    assert [row["epoch"] for row in course] == list(range(EPOCHS)), "what each epoch cost, those before the kill too"
    assert all(row["lr"] >= 0 and row["epoch_seconds"] >= 0 and row["memory_gb"] > 0 for row in course)


@pytest.mark.parametrize("learner", LEARNERS)
def test_fewer_resumable_checkpoints_end_in_the_same_bits(
    learner: str, killed: Path, whole: dict[str, Path], tmp_path: Path
):
    """Only the weights and the history of later epochs are there, as the last checkpoint is of an early one."""
    folder = tmp_path / "early"
    with pytest.raises(KeyError):  # ends where the second epoch begins
        train(folder, learner=learner, on_epoch=lambda metrics: {}[metrics["epoch"]])
    shutil.copytree(killed / f"{learner}_history", tmp_path / "late")
    (folder / RESUME).replace(tmp_path / "late" / RESUME)
    assert torch.load(tmp_path / "late" / RESUME, weights_only=True)["epoch"] == 0
    train(tmp_path / "late", learner=learner, resume_every=3600)
    assert left_in(tmp_path / "late") == left_in(whole[learner])


def test_a_request_to_end_reaches_the_process(killed: Path):
    """SIGTERM within a training is the process's own to handle, and ends it where it does not."""
    assert json.loads((killed / "ends.json").read_text()) == {"handled": 3, "unhandled": -signal.SIGTERM}


def test_a_training_whose_checkpoint_is_damaged_starts_anew(killed: Path, unbroken: Path, tmp_path: Path):
    folder = tmp_path / "damaged"
    shutil.copytree(killed / "monolithic_step", folder)
    whole = (folder / RESUME).read_bytes()
    (folder / RESUME).write_bytes(whole[: len(whole) // 2])
    told: list[dict[str, float]] = []
    train(folder, on_epoch=told.append)
    assert [row["epoch"] for row in told] == list(range(EPOCHS))
    assert left_in(folder) == left_in(unbroken)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 64
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["best.safetensors", "epoch_0000.safetensors"])
@pytest.mark.parametrize(
    "damage", [flip, lambda path: path.write_bytes(b""), Path.unlink], ids=["bit", "empty", "gone"]
)
def test_damaged_weights_of_a_killed_training_are_not_believed(
    name: str, damage: Callable[[Path], None], killed: Path, unbroken: Path, tmp_path: Path
):
    """An epoch's weights that are the best ones too stand in for them; what cannot be put back is trained again."""
    folder = tmp_path / "damaged"
    shutil.copytree(killed / "monolithic_step", folder)
    twins = [path for path in folder.glob("*.safetensors") if path.read_bytes() == (folder / name).read_bytes()]
    damage(folder / name)
    epochs: list[int] = []
    events: list[str] = []
    began = [Begins(epochs)]
    train(folder, on_event=events.append, callbacks=began)
    (event,) = events
    assert "damaged" in event and name in event and ("began anew" in event) == (len(twins) == 1)
    assert epochs == list(range(EPOCHS))[0 if len(twins) == 1 else LAST :]
    assert left_in(folder) == left_in(unbroken)


def test_where_nothing_stands_in_it_begins_anew(killed: Path, unbroken: Path, tmp_path: Path):
    folder = tmp_path / "damaged"
    shutil.copytree(killed / "monolithic_step", folder)
    (folder / "epoch_0009.safetensors").write_bytes(b"of another training")
    for path in folder.glob("*.safetensors"):
        flip(path)
    events: list[str] = []
    train(folder, on_event=events.append)
    (event,) = events
    assert "best.safetensors" in event and "epoch_0001.safetensors" in event and event.endswith("began anew")
    assert left_in(folder) == left_in(unbroken)


def test_what_a_later_epoch_left_is_forgotten(killed: Path, unbroken: Path, tmp_path: Path):
    """The best is the one that the checkpoint names, whatever a later epoch, which may now be another, put there."""
    folder = tmp_path / "late"
    shutil.copytree(killed / "monolithic_step", folder)
    (folder / "best.safetensors").replace(folder / EARLIER)
    for name in ("best.safetensors", "epoch_0003.safetensors"):
        (folder / name).write_bytes(b"of a later epoch")
    (folder / "history.json").write_text("damaged")
    seen: list[dict[str, bytes]] = []
    events: list[str] = []
    train(folder, on_event=events.append, callbacks=[Looks(folder, seen)])
    assert not events and set(seen[0]) == {"best.safetensors", "epoch_0000.safetensors", "epoch_0001.safetensors",
                                           "history.json", COURSE, RESUME}  # fmt: skip
    assert b"later" not in seen[0]["best.safetensors"] and len(json.loads(seen[0]["history.json"])) == LAST
    assert left_in(folder) == left_in(unbroken) and not (folder / EARLIER).exists()


def test_a_training_that_has_ended_is_not_started_again(unbroken: Path, tmp_path: Path):
    """A job can be killed before the store has what it trained."""
    folder = tmp_path / "ended"
    shutil.copytree(unbroken, folder)
    (folder / RESUME).touch()  # which it deletes last
    epochs: list[int] = []
    told: list[dict[str, float]] = []
    seconds: list[float] = []
    again = train(folder, callbacks=[Begins(epochs)], on_epoch=told.append, on_seconds=seconds.append)
    assert not epochs and told == again == json.loads((unbroken / "history.json").read_text()) and len(seconds) == 1
    assert left_in(folder) == left_in(unbroken)
    flip(folder / "last.safetensors")
    events: list[str] = []
    train(folder, callbacks=[Begins(epochs)], on_event=events.append)
    assert epochs == list(range(EPOCHS)) and "last.safetensors has another checksum" in events[0]
    assert left_in(folder) == left_in(unbroken)


class Begins(Callback):
    """Notes the epochs that begin."""

    def __init__(self, epochs: list[int]) -> None:
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self.epochs.append(trainer.current_epoch)


class Looks(Begins):
    """Notes the files that are there as a training begins."""

    def __init__(self, folder: Path, seen: list[dict[str, bytes]]) -> None:
        super().__init__([])
        self.folder, self.seen = folder, seen

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self.seen.append({path.name: path.read_bytes() for path in self.folder.iterdir()})


def test_same_seed_same_bits_other_seed_other_bits(unbroken: Path, tmp_path: Path):
    torch.manual_seed(99)  # what ran before does not matter
    train(tmp_path / "same")
    assert left_in(tmp_path / "same") == left_in(unbroken)
    other = train(tmp_path / "other", seed=1, epochs=1)
    assert other[0]["train/loss"] != json.loads((unbroken / "history.json").read_text())[0]["train/loss"]
    assert left_in(tmp_path / "other")["epoch_0000.safetensors"] != left_in(unbroken)["epoch_0000.safetensors"]


def test_the_weights_load_into_a_plain_network(unbroken: Path):
    from src.networks.models import build

    first, second = (build({**ARCHITECTURE, "batch_norm": True}).eval() for _ in range(2))
    images = torch.rand(2, *ARCHITECTURE["input_shape"])
    assert not torch.equal(first(images), second(images))
    for network in (first, second):
        load_weights(network, unbroken / "last.safetensors")
    assert torch.equal(first(images), second(images))


def curve(*losses: float) -> list[dict[str, float]]:
    return [{"epoch": epoch, "val/loss": loss} for epoch, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ((1.0, 0.5, 0.55, 0.6, 0.9), 3),  # a fifth above 0.5 is 0.6
        ((5.0, 1.0, 1.19, 1.21, 1.0), 3),
        ((2.0, 1.0, 1.5, 0.5, 0.55, 0.7), 5),  # a rise before the lowest loss does not count
    ],
)
def test_overfitted_is_a_fifth_above_the_lowest_loss(losses, epoch):
    assert overfitted_epoch(curve(*losses)) == (epoch, "")


def test_a_loss_that_is_no_number_counts_for_nothing():
    nan = float("nan")
    assert overfitted_epoch(curve(nan, 1.0, nan, 0.5, nan, 0.7)) == (5, "")
    assert overfitted_epoch(curve(nan, 1.0, nan))[0] == 2
    assert "no number" in overfitted_epoch(curve(nan, nan))[1]


def test_where_nothing_overfits_the_last_epoch_is_taken_and_said():
    epoch, note = overfitted_epoch(curve(1.0, 0.5, 0.59))
    assert epoch == 2
    assert "0.500 at epoch 1" in note and "the last epoch is taken" in note


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Training, {"epochs": 0}, "epochs=0: allowed is a whole number from 1"),
        (Training, {"keep_every": 0}, "keep_every=0: allowed is null or a whole number from 1"),
        (Training, {"precision": "64-tru"}, "precision=64-tru: allowed is 32-true, bf16-mixed, 16-mixed, 64-true; did "
         "you mean '64-true'?"),
        (Training, {"label_smoothing": 1.5}, "label_smoothing=1.5: allowed is a number from 0 to 1"),
        (Training, {"gradient_clip": 0.0}, "gradient_clip=0.0: allowed is null or a number above 0"),
        (Training, {"ghost_batch": 4}, "ghost_batch is not a setting"),
        (VariantTraining, {"ghost_batch": 1}, "ghost_batch=1: allowed is null or a whole number from 2"),
        (VariantTraining, {"skip_below": 0.0}, "skip_below=0.0: allowed is null or a number above 0"),
        (VariantTraining, {"precision": "16-mixed"}, "precision=16-mixed: allowed is 32-true, bf16-mixed, 64-true"),
    ],
)  # fmt: skip
def test_settings_that_are_not_allowed(kind, values, message):
    with pytest.raises(UserError) as error:
        options_of(kind, {"epochs": 1, **values}, "recipe.training")
    assert str(error.value).startswith(f"recipe.training.{message}")
    assert "\n" not in str(error.value)
