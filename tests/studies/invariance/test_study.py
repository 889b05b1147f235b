"""The study of one network: numbers against all activations at once, what is shown, what is said."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from src.core.result import Result, rows
from src.methods.modularity.patched import Patch, patched_subject
from src.networks.subjects import Subject
from src.report.page import render
from tests.fakes.networks import images, subject
from tests.fakes.study import FakeSession
from tests.studies.invariance.given import COUNT, answers, measured_images, nv, row, studied, turned


@pytest.fixture(scope="module")
def whole() -> Result:
    return studied(same_equivariance=True, measures=["distance", "anova", "firing"], ambiguous=[0, "class 2"])


def test_the_numbers_are_those_of_all_activations_at_once() -> None:
    result = studied(layers=["fc_2"], aggregations=["none"])
    values, labels = answers(subject(), images(COUNT)), measured_images().labels
    own = row(result, "networks")
    assert own["nv_positions"] == pytest.approx(float(nv(values).mean()), rel=1e-4)
    within = torch.stack([nv(values[labels == label]) for label in range(3)])
    assert own["nv_positions_stratified"] == pytest.approx(float(within.mean()), rel=1e-4)
    hits = (values.argmax(2) == labels[:, None]).double()
    assert own["accuracy"] == pytest.approx(float(hits[:, 0].mean()))
    assert own["transformed_accuracy"] == pytest.approx(float(hits.mean()))
    for name in ("accuracy", "transformed_accuracy", "nv_positions"):
        estimate = result.metrics[name]
        assert estimate.value == pytest.approx(own[name]) and estimate.low <= estimate.value <= estimate.high
        assert (estimate.n, estimate.unit) == (COUNT, "images")
    matrix = {(cell["images_of"], cell["output"]): cell["nv"] for cell in rows(result.tables["outputs_1"])}
    for label in range(3):
        for unit in range(3):
            assert matrix[f"class {label}", f"class {unit}"] == pytest.approx(float(within[label, unit]), rel=1e-4)
    cells = {(cell["class"], cell["transformation"]): cell["accuracy"]
             for cell in rows(result.tables["class_accuracy_1"])}  # fmt: skip
    assert cells["class 1", "90°"] == pytest.approx(float(hits[labels == 1, 1].mean())), "not that of another turn"
    assert f"of images as they are, {float(hits.mean()):.1%} of transformed images" in result.verdict
    assert f"{float(nv(values).mean()):.2f} (NV positions)" in result.verdict


def test_classes_that_a_transformation_exchanges_are_told_apart(whole: Result) -> None:
    hits = (answers(subject(), images(COUNT)).argmax(2) == measured_images().labels[:, None]).double()
    clear = measured_images().labels == 1
    own = row(whole, "networks")
    assert own["transformed_accuracy_unambiguous"] == pytest.approx(float(hits[clear].mean()))
    assert own["transformed_accuracy"] == pytest.approx(float(hits.mean()))
    assert whole.metrics["transformed_accuracy_unambiguous"].value == own["transformed_accuracy_unambiguous"]
    assert "all but the classes class 0, class 2" in whole.captions["networks"]
    assert "unambiguous" not in studied(layers=["fc_2"], untrained=False).captions["networks"]


def test_rows_and_columns_of_the_curves(whole: Result) -> None:
    for name in ("layers_sum", "layers_positions", "layers_same_equivariance"):
        table = rows(whole.tables[name])
        networks = list(dict.fromkeys(each["network"] for each in table))
        assert networks == ["network", "untrained", "interpolation alone"]
        curve = [each for each in table if each["network"] == "network"]
        assert [each["depth"] for each in curve] == [number / (len(curve) - 1) for number in range(len(curve))]
        assert all(each["nv_low"] <= each["nv"] <= each["nv_high"] for each in curve)
    layers = [each["layer"] for each in rows(whole.tables["layers_sum"]) if each["network"] == "network"]
    assert layers == ["conv_0", "relu_0", "conv_1", "relu_1", "fc_2"]
    mapped = [each["layer"] for each in rows(whole.tables["layers_same_equivariance"])]
    assert "fc_2" not in mapped, "only maps can be moved back"
    mean = torch.tensor([each["nv"] for each in rows(whole.tables["layers_sum"])[:5]]).double().mean()
    assert row(whole, "networks")["nv_sum"] == pytest.approx(float(mean))


def test_the_rise_is_that_of_the_curve(whole: Result) -> None:
    curve = [each["nv"] for each in rows(whole.tables["layers_positions"]) if each["network"] == "network"]
    expected = sum(curve[-2:]) / 2 - sum(curve[:2]) / 2
    own = next(
        each
        for each in rows(whole.tables["over_depth"])
        if (each["network"], each["units"]) == ("network", "NV positions")
    )
    assert own["rise"] == pytest.approx(expected)
    ranks = torch.tensor(curve).argsort().argsort().double()
    assert own["rank_correlation"] == pytest.approx(
        float(torch.corrcoef(torch.stack([ranks, torch.arange(5.0)]))[0, 1])
    )


def test_every_figure_can_be_drawn_and_every_table_has_its_section(whole: Result) -> None:
    assert "could not be drawn" not in render(whole)
    assert set(whole.tables) - set(whole.sections) == {"networks"}, "which is shown first"
    assert all(figure.section for figure in whole.figures)
    for figure in whole.figures:
        if figure.kind == "lines":
            assert len(set(whole.tables[figure.table][figure.group])) <= 4, "more have no bands"
        assert "untrained" not in figure.title or figure.table.startswith("units_"), "no matrices of random answers"
    assert {"units_1", "units_2", "maps_least", "maps_most"} == set(whole.images)


def test_every_further_measure_has_its_table(whole: Result) -> None:
    for name, column in {
        "distance": "nd",
        "anova": "moved",
        "firing": "score",
        "equivariance": "relative_distance",
    }.items():
        table = rows(whole.tables[name])
        assert {each["network"] for each in table} == {"network", "untrained"}
        assert all(each[column] >= 0 for each in table if each["network"] == "network"), name
    assert set(studied(layers=["fc_2"]).tables).isdisjoint(["distance", "anova", "firing", "equivariance"])


def test_units_without_a_ratio_are_counted() -> None:
    own = subject()
    with torch.no_grad():
        own.model.state_dict()["fc_2.weight"][0] = 0.0
    result = studied(network=own, layers=["fc_2"], untrained=False, aggregations=["none"])
    counts = row(result, "units")
    assert (counts["units"], counts["dead"], counts["infinite"]) == (3, 1, 0)
    values = answers(own, images(COUNT))[..., 1:]
    assert row(result, "networks")["nv_positions"] == pytest.approx(float(nv(values).mean()), rel=1e-4)


def equivariant() -> Subject:
    """Kernels that look the same however they are turned: maps turn with the image."""
    own = subject()
    with torch.no_grad():
        for module in own.model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(torch.stack([module.weight.rot90(k, (2, 3)) for k in range(4)]).mean(0))
    return own


def test_an_equivariant_network_is_seen_as_one() -> None:
    result = studied(network=equivariant(), same_equivariance=True, untrained=False)
    other = studied(same_equivariance=True, untrained=False)
    assert max(result.tables["equivariance"]["relative_distance"]) < 1e-5
    assert min(other.tables["equivariance"]["relative_distance"]) > 0.1
    assert row(result, "networks")["nv_same_equivariance"] < 1e-5 < 0.2 < row(other, "networks")["nv_same_equivariance"]


def test_the_distance_of_maps_does_not_depend_on_their_size() -> None:
    """Maps that have nothing in common are the root of two apart, however many positions they have."""
    own = studied(same_equivariance=True, untrained=False, layers=["conv_*"])
    for each in rows(own.tables["equivariance"]):
        assert 0.3 < each["relative_distance"] < 1.6
    raw = images(COUNT)
    with torch.no_grad():
        seen = (turned(raw) - torch.tensor(subject().mean).view(3, 1, 1)) / torch.tensor(subject().std).view(3, 1, 1)
        maps = subject().model.get_submodule("conv_0")(seen.flatten(0, 1)).unflatten(0, (COUNT, 4))
    back = torch.stack([maps[:, k].rot90(-k, (2, 3)) for k in range(4)], 1).flatten(3)
    unit = back / back.norm(dim=3, keepdim=True)
    expected = (unit - unit[:, :1]).norm(dim=3).mean()
    assert own.tables["equivariance"]["relative_distance"][0] == pytest.approx(float(expected), rel=1e-4)


def test_a_network_without_an_untrained_twin_is_an_event() -> None:
    weak, strong, session = subject(0), subject(1), FakeSession()
    patch = Patch(0, 0, strong.model, 1.0, 0.0, True, "margin")  # over an empty part of the other outputs
    result = studied(session, patched_subject(weak, [strong], [patch], 1.0))
    assert session.events == [
        "study.untrained=true: a patched network is made of trained ones; there is no untrained baseline"
    ]
    assert result.tables["networks"]["network"] == ["network"]
    assert {"weak.conv_0", "modules_by_target.0.conv_0"} < set(result.tables["layers_sum"]["layer"])


def test_averaged_spreads_are_said_to_be() -> None:
    result = studied(after="mean", aggregations=["none"], untrained=False, permutations=0)
    assert "spreads averaged over the positions of a map" in result.captions["layers_positions"]
    units = rows(result.tables["layers_positions"])[0]["units"]
    assert units == subject().model.get_submodule("conv_0").out_channels
    assert "class_conditional" not in result.tables, "permutations=0"


def test_the_last_of_chosen_layers_is_not_called_the_output() -> None:
    result = studied(layers=["conv_*"], untrained=False)
    assert "outputs_1" not in result.tables
    (figure,) = [figure for figure in result.figures if figure.table == "invariance_by_class"]
    assert "'conv_1'" in figure.title and "units of 'conv_1', the last layer" in result.captions["class_conditional"]
