"""The study of relevance on a network whose relevant pixels are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from src.artifacts.examined_subject import Examined
from src.core.errors import UserError
from src.core.paths import CONF
from src.core.result import Result
from src.data.image_set import ImageSet
from src.studies.protocol import study_options
from src.studies.relevance import study
from src.studies.relevance.findings import Findings
from src.studies.relevance.measures import NETWORK, UNTRAINED, MapName
from src.studies.relevance.pictures import _Cell, _drawn, signed
from tests.fakes.study import SIDE, FakeSession, network, pictures, run

OBJECT = slice(4, 10)  # rows and columns of the square that tells the class
OPTIONS: dict[str, Any] = {
    **yaml.safe_load((CONF / "study" / "relevance.yaml").read_text()), "methods": ["lrp_z_plus", "gradient_x_input"],
    "removal": [0.1, 0.3], "random_orders": 3, "steps": 2, "edges": {"name": "outline", "level": 1}, "tolerance": 0,
    "shifts": 2, "images": None, "pictures": 3, "batch": 7,
}  # fmt: skip


def squares(count: int = 24) -> ImageSet:
    """The class is the colour of a square in a grey picture."""
    labels = torch.arange(count) % 3
    images = pictures(count) // 4 + 60
    images[:, :, OBJECT, OBJECT] = 0
    images[torch.arange(count), labels, OBJECT, OBJECT] = 255
    masks = torch.zeros(count, SIDE, SIDE, dtype=torch.uint8)
    masks[:, OBJECT, OBJECT] = 1
    return ImageSet(images, labels, ("class 0", "class 1", "class 2"), masks=masks)


def looks_at_the_square() -> nn.Module:
    """Names the brightest colour of the square, and sees nothing else."""
    linear = nn.Linear(3 * SIDE * SIDE, 3)
    weight = torch.zeros(3, 3, SIDE, SIDE)
    for colour in range(3):
        weight[colour, colour, OBJECT, OBJECT] = 0.02
    linear.weight.data, linear.bias.data = weight.flatten(1), torch.zeros(3)
    return nn.Sequential(nn.Flatten(), linear)


def measured(model: nn.Module | None = None, images: ImageSet | None = None, **changes: Any) -> tuple[Findings, Result]:
    subject = replace(network(), model=(model or looks_at_the_square()).eval(), mean=(0.0,) * 3, std=(1.0,) * 3)
    options = study_options({**OPTIONS, **changes})
    images = squares() if images is None else images
    study.check(options, images)
    findings = study.estimate(Examined(subject, images, squares(0)), options, run(FakeSession()))
    result = Result("measure", "test")
    result.add(*study.panels(findings))
    result.conclude(study.verdict(findings))
    assert result.metrics.keys() <= study.opening(options, "a network", "images").terms.keys()
    boxes, pictures = study.steps(findings)
    assert {box.picture for box in boxes} - {""} == {panel.name for panel in pictures}
    return findings, result


def test_maps_of_a_network_that_looks_at_a_square_pass_and_controls_do_not() -> None:
    findings, result = measured()
    share = (6 / SIDE) ** 2
    for method in ("lrp_z_plus", "gradient_x_input"):
        name = MapName(method, NETWORK)
        assert findings.checks["mass"][name].value == pytest.approx(1.0, abs=1e-5)
        assert findings.checks["pointing"][name].value == 1.0
        assert findings.checks["removal"][name].low > findings.checks["removal"][MapName("random")].high
        assert findings.beyond[method, "random"].low > 0
        # within the square all pixels count alike: neither outline nor inside
        assert findings.checks["outline"][name].value == pytest.approx(0.5)
        assert findings.checks["mass"][MapName(method, UNTRAINED)].value < 0.9
    assert findings.checks["incomplete"][MapName("lrp_z_plus", NETWORK)].value < 1e-4
    uniform = MapName("uniform")
    assert findings.checks["mass"][uniform].value == pytest.approx(share)
    assert findings.checks["rank_accuracy"][uniform].value == share and uniform not in findings.checks["removal"]
    assert result.verdict_kind == "" and "better than every control: " in result.verdict
    assert result.metrics["explained_accuracy"].value == 1.0


def test_each_number_stands_in_a_table_and_each_figure_has_its_columns() -> None:
    _, result = measured()
    table = result.tables["relevance_checks"]
    assert table["key"].count("lrp_z_plus") == table["map"].count("LRP z+") == 4
    assert table["key"][-4:] == ["uniform", "random", "sobel", "centre"]
    for figure in result.figures:
        assert figure.kind == "image" or {figure.x, figure.y, figure.group} <= set(result.tables[figure.table])
    assert {"maps", "best_and_worst"} == set(result.images)
    edges = result.tables["relevance_edges"]
    assert len(edges["method"]) == 2 * 2 * 4  # methods, signs, what they are held against
    # z+ of positive pixels has nothing negative, and says so
    z_plus = [row for row in range(len(edges["method"])) if edges["method"][row] == "LRP z+"]
    negative = [row for row in z_plus if edges["relevance"][row] == "negative"]
    assert all(edges["images_without"][row] == 24 and edges["precision"][row] != edges["precision"][row]
               for row in negative)  # fmt: skip
    assert "edges_negative_lrp_z_plus" not in result.metrics and "edges_lrp_z_plus" in result.metrics


def test_every_image_is_explained_for_the_class_that_was_asked() -> None:
    by_name, by_number, predicted = (measured(target=target)[0] for target in ("class 1", 1, "predicted"))
    assert measured(target="labelled")[0].maps.targets.tolist() == squares().labels.tolist()
    assert by_name.maps.targets.tolist() == by_number.maps.targets.tolist() == [1] * 24
    assert predicted.maps.targets.tolist() == squares().labels.tolist()
    with pytest.raises(UserError, match=r"study.target=class 7: allowed are predicted, labelled, a class's name"):
        measured(target="class 7")


def test_what_is_left_out_leaves_no_table() -> None:
    findings, result = measured(removal=[], steps=0, pictures=0)
    assert "removal" not in findings.checks and "randomised_signed" not in findings.checks
    assert set(result.tables) == {"relevance_checks", "relevance_edges"} and not result.images


def test_a_network_that_guesses_has_no_verdict() -> None:
    images = squares()
    _, result = measured(images=replace(images, labels=images.labels.roll(1)))
    assert result.verdict_kind == "no verdict" and "there is nothing to explain" in result.verdict


def test_what_cannot_be_is_told_before_anything_trains() -> None:
    bare = replace(squares(), masks=None)
    for changes, images, words in (
        ({}, bare, "study.edges.name=outline: the images have no exact masks"),
        ({"images": 1}, squares(), "study.images=1: the control"),
    ):
        with pytest.raises(UserError, match=words):
            study.check(study_options({**OPTIONS, **changes}), images)
    for changes, words in (
        ({"methods": []}, r"study.methods=\[\]: allowed is a list of different methods"),
        ({"methods": ["lrp"]}, "study.methods"),
        ({"removal": [0.5, 0.1]}, "study.removal"),
        ({"edges": {"name": "silhouette", "level": 1}}, "study.edges.name=silhouette: allowed are outline, edges"),
    ):
        with pytest.raises(UserError, match=words):
            study_options({**OPTIONS, **changes})
    dense = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 3))
    with pytest.raises(UserError, match="grad_cam"):  # it has no convolution whose maps could be shown
        measured(dense, methods=["grad_cam"])


def test_red_speaks_for_the_class_and_blue_against_it() -> None:
    strength = signed(torch.tensor([[4.0, -4.0], [0.0, 2.0]]))
    assert np.allclose(strength, [[1, -1], [0, 0.5]], atol=0.02)
    picture = _drawn([[_Cell(strength, "", "")]]).reshape(-1, 3).astype(int)
    red, blue = picture[:, 0] - picture[:, 2] > 60, picture[:, 2] - picture[:, 0] > 60
    assert red.sum() > blue.sum() > 1000, "half as much for the class is paler, and neither colour is missing"


def test_a_rule_that_needs_the_inputs_bounds_has_them_for_the_randomised_network_too() -> None:
    findings, _ = measured(network().model, methods=["lrp_z_plus"], input_rule="z_box")
    assert MapName("lrp_z_plus", NETWORK) in findings.checks["randomised_signed"]
