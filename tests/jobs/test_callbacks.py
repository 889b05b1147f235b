"""Callbacks from YAML take part in every training, and are part of what a job and its networks are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.core.configuration import identity
from src.core.errors import UserError
from src.jobs import job
from src.jobs.border import with_digests
from src.jobs.callbacks import check_callbacks
from src.jobs.command_line import check_command_line
from src.jobs.needs import check_needs
from src.jobs.resolvers import register

CALLBACK = '''
"""Sets all biases of the last layer to a number when the training ends an epoch, and notes that it ran."""

from pathlib import Path

from pytorch_lightning import Callback


class Constant(Callback):
    def __init__(self, value, note):
        self.value, self.note = value, Path(note)

    def on_train_epoch_end(self, trainer, pl_module):
        list(pl_module.model.parameters())[-1].data.fill_(self.value)
        self.note.open("a").write("epoch\\n")


def number():
    return 3
'''
LIGHTNING = "{_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/loss}"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch) -> Path:
    """A folder of a user's own with a callback and its file of values."""
    register()
    folder = tmp_path / "mine"
    (folder / "conf" / "callbacks").mkdir(parents=True)
    (folder / "steps.py").write_text(CALLBACK)
    values = f"constant:\n  _target_: steps.Constant\n  value: 0.25\n  note: {tmp_path / 'note'}\n"
    (folder / "conf" / "callbacks" / "mine.yaml").write_text(f"# Constant biases\n{values}")
    monkeypatch.setenv("CNN_ANATOMY_OWN", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    return folder


def values_of(outputs: Path, *lines: str) -> dict[str, Any]:
    line = ["task=train", "debug=tiny", "logger=csv", "report=none", "workers=1", "jobs_at_once=1", *lines]
    return with_digests(check_command_line([*line, f"outputs={outputs}"]).values)


def test_an_own_callback_takes_part_in_the_training_and_in_the_identity(tmp_path: Path, mine: Path):
    plain, changed = values_of(tmp_path), values_of(tmp_path, "callbacks=mine")
    assert "callbacks" not in plain and identity(plain) != identity(changed)
    check_needs(changed)
    ended = job.execute(changed, tmp_path / "job", quiet=True)
    assert ended["status"] == "ok", ended
    assert (tmp_path / "note").read_text() == "epoch\n", "one epoch, told once"
    (manifest,) = (json.loads(path.read_text()) for path in tmp_path.glob("store/checkpoint/*/manifest.json"))
    assert manifest["recipe"]["callbacks"]["constant"]["value"] == 0.25 and manifest["recipe"]["callbacks_code"]
    weights = next(tmp_path.glob("store/checkpoint/*/best.safetensors"))
    from safetensors.torch import load_file

    assert any(bool((tensor == 0.25).all()) for tensor in load_file(weights).values())
    assert values_of(tmp_path, "callbacks=mine", "callbacks.constant=null") == plain, "null leaves one out"


def test_its_source_counts_and_a_librarys_does_not(tmp_path: Path, mine: Path):
    changed = values_of(tmp_path, "callbacks=mine")
    assert set(changed["code"]) == {"callbacks.constant"}
    library = values_of(tmp_path, f"+callbacks.stop={LIGHTNING}")
    assert "code" not in library and identity(library) not in (identity(changed), identity(values_of(tmp_path)))
    check_callbacks(library, here=True)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{value: 1}", "callbacks.x={'value': 1}: names no class; write _target_: module.Class"),
        (
            "{_target_: stps.Constant}",
            "callbacks.x._target_=stps.Constant: there is no module 'stps'; did you mean 'steps'?",
        ),
        ("{_target_: steps.Constnt}", "callbacks.x._target_=steps.Constnt: "),
        ("{_target_: steps.Constant, value: 1}", "cannot be made (TypeError: "),
        ("{_target_: steps.number}", "gives a int; a callback is a subclass of pytorch_lightning.Callback"),
        ("{_target_: pytorch_lightning.callbacks.EarlyStoping, monitor: x}", "EarlyStoping"),
    ],
)
def test_what_is_no_callback_is_one_line(tmp_path: Path, mine: Path, section: str, said: str):
    with pytest.raises(UserError) as refused:
        check_callbacks(values_of(tmp_path, f"+callbacks.x={section}"), here=True)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_what_asks_for_more_than_the_trainer_has_is_one_line(tmp_path: Path):
    register()
    values = values_of(tmp_path, "+callbacks.rate={_target_: pytorch_lightning.callbacks.LearningRateMonitor}")
    ended = job.execute(values, tmp_path / "job", quiet=True)
    assert ended["status"] == "failed"
    assert ended["verdict"].startswith("callbacks: ") and "LearningRateMonitor" in ended["verdict"]
    assert not (tmp_path / "job" / "traceback.txt").exists()


def test_the_files_of_the_group_can_be_made(tmp_path: Path):
    register()
    check_callbacks(values_of(tmp_path, "callbacks=early_stopping"), here=True)
