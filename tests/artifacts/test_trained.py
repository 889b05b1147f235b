"""What is shown of a training, and what is said where a network did not train."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from src.artifacts.artifacts import Artifacts
from src.artifacts.network import Trained
from src.artifacts.trained import did_not_train, no_verdict, trained_network, training_panels
from src.core.estimate import Estimate
from src.core.result import Result, Verdict
from src.core.store import Entry
from src.report.session import Session
from src.training.checkpoints import write_history
from src.training.fitting import Training
from tests.fakes import trained as fakes
from tests.fakes.artifacts import running
from tests.fakes.data import TinyData

HISTORY = [
    {"epoch": 0.0, "train/loss": 2.0, "train/accuracy": 0.25, "val/loss": 3.0, "val/accuracy": 0.125},
    {"epoch": 1.0, "train/loss": 1.0, "train/accuracy": 0.75, "val/loss": 1.5, "val/accuracy": 0.5},
]


def network() -> Trained:
    data = TinyData()
    data.setup()
    return Trained(cast(Any, None), data, "d", Path(), HISTORY, Training(epochs=2, minimum_accuracy=0.6), 1, 0.0, {})


def test_both_splits_of_every_epoch() -> None:
    panel, *_ = training_panels({"strong": network(), "weak": network()})
    assert len(panel.rows) == 2 * 2 * 2
    assert panel.rows[1] == {"network": "strong", "split": "validation", "epoch": 0, "loss": 3.0, "accuracy": 0.125,
                             "curve": "strong, validation"}  # fmt: skip
    assert panel.rows[6] == {"network": "weak", "split": "train", "epoch": 1, "loss": 1.0, "accuracy": 0.75,
                             "curve": "weak, train"}  # fmt: skip
    result = Result("train", "test")
    result.add(*training_panels({"strong": network()}))
    assert result.units_of("training") == {"accuracy": "%"} and result.figures[0].group == "curve"


def test_classes_are_named_with_their_counts() -> None:
    several = {f"seed {number}": network() for number in range(5)}
    _, images, classes = training_panels(several)
    sets = several["seed 0"].data.sets
    assert classes.rows[0] == {
        "network": "seed 0 and 4 more", "class": several["seed 0"].data.classes[0],
        **{part: int(sets[part].per_class[0]) for part in ("train", "validation", "calibration", "test")},
    }  # fmt: skip
    assert len(classes.rows) == len(several["seed 0"].data.classes)
    assert images.figures[0].labels[::2] == tuple(several["seed 0"].data.classes), "two images of each class"


def test_no_verdict_leaves_the_numbers() -> None:
    verdict = Verdict("trained", "success", {"accuracy": Estimate(0.5)}, {"accuracy": "%"}, {"data": "glyphs"})
    refused = no_verdict("the weak network", network(), verdict)
    assert refused.sentence.startswith("did not train, no verdict: the weak network reached 50.0% on validation images")
    assert "60% are required" in refused.sentence and refused.kind == "no verdict"
    assert (refused.metrics, refused.units, refused.row) == (verdict.metrics, verdict.units, verdict.row)
    assert no_verdict("the weak network", network()).metrics == {}


def in_store(folder: Path, losses: list[float], session: Session) -> Trained:
    """The last epoch's network of a training in the store that ended with these validation losses."""
    made = fakes.network(folder / "entry", 1, [0.5] * len(losses), minimum=0.0)
    history = [{**row, "val/loss": loss} for row, loss in zip(made.history, losses, strict=True)]
    write_history(made.folder, history)
    entry = Entry("checkpoint", "d", made.folder, {"best_epoch": 0, "seconds": 1.0})
    made_by = Artifacts(running(), cast(Any, None), session)
    return trained_network(entry, len(losses) - 1, made.data, made.training, made_by, "strong", "", "strong: training")


def test_a_loss_that_is_no_number_is_told_and_is_no_training(tmp_path: Path) -> None:
    session = Session({}, running(), tmp_path, quiet=True)
    network = in_store(tmp_path, [1.0, math.nan, math.nan], session)
    assert session.events == ["strong: the loss was no number (NaN) in 2 of 3 epochs, first in epoch 1"]
    assert not network.converged and network.accuracy >= network.training.minimum_accuracy
    assert "the loss of the strong network is no number (NaN) after epoch 2" in did_not_train(
        "the strong network", network
    )
    assert replace(network, epoch=0).converged, "the weights before it are sound"


def test_a_training_that_was_found_has_its_curves_too(tmp_path: Path) -> None:
    session = Session({}, running(), tmp_path, quiet=True)
    in_store(tmp_path, [1.0, 0.5], session)
    session.finish(Result("train", "name"))
    with (tmp_path / "curves.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows if row["metric"] == "val/loss"] == ["1.0", "0.5"]
    assert {row["series"] for row in rows} == {"strong"} and {row["step"] for row in rows} == {"0", "1"}
