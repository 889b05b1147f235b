"""What is shown of a training, and what is said where a network did not train."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from src.artifacts.network import Trained
from src.artifacts.trained import no_verdict, training_panels
from src.core.estimate import Estimate
from src.core.result import Result, Verdict
from src.training.fitting import Training
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
    panel, _ = training_panels({"strong": network(), "weak": network()})
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
    _, classes = training_panels(several)
    sets = several["seed 0"].data.sets
    assert classes.rows[0] == {
        "network": "seed 0 and 4 more", "class": several["seed 0"].data.classes[0],
        **{part: int(sets[part].per_class[0]) for part in ("train", "validation", "calibration", "test")},
    }  # fmt: skip
    assert len(classes.rows) == len(several["seed 0"].data.classes)


def test_no_verdict_leaves_the_numbers() -> None:
    verdict = Verdict("trained", "success", {"accuracy": Estimate(0.5)}, {"accuracy": "%"}, {"data": "glyphs"})
    refused = no_verdict("the weak network", network(), verdict)
    assert refused.sentence.startswith("did not train, no verdict: the weak network reached 50.0% on validation images")
    assert "60% are required" in refused.sentence and refused.kind == "no verdict"
    assert (refused.metrics, refused.units, refused.row) == (verdict.metrics, verdict.units, verdict.row)
    assert no_verdict("the weak network", network()).metrics == {}
