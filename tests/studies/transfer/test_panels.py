"""What a transfer shows and says of its findings."""

from __future__ import annotations

import pytest

from src.core.result import Result, rows
from src.studies.transfer.few_images import SCRATCH, STARTS, WARM
from src.studies.transfer.panels import target_panels, tree_panel, verdict
from tests.studies.transfer.experts import both_trees, on_target


def test_every_expert_and_every_number_of_images_has_a_row() -> None:
    result = Result("transfer", "test")
    result.add(*target_panels(on_target()))
    curve = {(row["start"], row["images_per_class"]): row["accuracy"] for row in rows(result.tables["curve"])}
    assert curve == pytest.approx(
        {
            (STARTS[start], count): accuracy
            for start, count, accuracy in [
                (WARM, 0, 0.5),
                (WARM, 4, 0.8),
                (WARM, 8, 0.8),
                (SCRATCH, 4, 0.5),
                (SCRATCH, 8, 0.8),
            ]
        }
    )
    assert [row["gain"] for row in rows(result.tables["gain"])] == pytest.approx([0.3, 0.0])
    assert [(row["expert"], row["images_per_class"]) for row in rows(result.tables["experts"])] == [
        ("a", 4), ("a", 8), ("b", 4), ("b", 8)
    ]  # fmt: skip
    assert "chance is 38%" in result.captions["curve"]


def test_a_tree_costs_what_was_trained_for_it() -> None:
    source, moved, anew = tree_panel(both_trees()).rows
    assert (source["network"], moved["network"]) == ("source tree", "other tree, experts moved")
    assert (moved["modules"], moved["moved"], moved["trained"], moved["training_macs"]) == (7, 4, 3, 3.0)
    assert (anew["accuracy"], anew["accuracy_low"], anew["against_anew"]) == (0.75, 0.65, 0.0)


def test_the_sentence_is_of_the_fewest_images() -> None:
    found = verdict(both_trees(), on_target(), {"data": "glyphs"})
    assert found.sentence == (
        "with 4 images per class of the other look a warm start gains +30.0 points [+20.0, +40.0] over 2 experts "
        "(80.0% against 50.0%, without any training 50.0%); 4 experts moved to another tree classify 62.5% of the "
        "test images right (-12.5 points against new experts) and save 62% of its training"
    )
    assert found.metrics["gain"] == on_target().gain[4] and found.metrics["moving_saves"].value == 0.625
    assert found.units["gain"] == found.units["moved_against_anew"] == "points"
    assert found.units["moving_saves"] == found.units["warm_accuracy"] == "%" and found.row == {"data": "glyphs"}
