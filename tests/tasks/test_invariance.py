"""The task and the study of invariance: numbers against all activations at once, what is compared, what is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn

from src.artifacts.examined_subject import Examined
from src.artifacts.network import Trained
from src.core.errors import UserError
from src.core.paths import CONF
from src.core.result import Result, rows
from src.core.store import Store
from src.data.image_set import ImageSet
from src.imageops.transformations import transformation_set
from src.methods.modularity.patched import Patch
from src.methods.modularity.patched_subject import patched_subject
from src.networks.models import build
from src.networks.slicing import extract, plan_for
from src.networks.subjects import Subject, kept_of, save_subject
from src.report.page import render
from src.report.session import Session
from src.studies.invariance import maps as invariance_maps
from src.studies.invariance import study as invariance_study
from src.studies.invariance.controls import controls
from src.studies.invariance.measured import check_study, untrained_like
from src.studies.invariance.retraining import schemes
from src.tasks import invariance as task
from src.tasks.measure import measure
from src.training.fitting import Training
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE, SHAPE, images, subject
from tests.fakes.study import FakeSession
from tests.tasks.composing import configured

STUDY = {k: v for k, v in yaml.safe_load((CONF / "study" / "invariance.yaml").read_text()).items() if k != "defaults"}
TURNS = {"family": "rot90"}
COUNT = 24
NOWHERE: Any = None  # a store that nothing may be asked of


def config(transformation: dict[str, Any] = TURNS, **options: Any) -> dict[str, Any]:
    study = {**STUDY, "permutations": 19, "images_per_class": None, "kept_units": 8, **options}
    return {"name": "n", "device": "cpu", "seed": 0, "resamples": 20, "subject": {"kind": "checkpoint"},
            "study": study, "transformation": transformation}  # fmt: skip


def fake() -> Any:
    """A session that keeps the events."""
    return FakeSession()


def measured_images() -> ImageSet:
    return ImageSet(images(COUNT), (torch.arange(COUNT) * 5) % 3, subject().classes)


def found(session: Any = None, own: Subject | None = None, **options: Any) -> Result:
    """The study of one network."""
    result = Result("measure", "n")
    examined = Examined(own or subject(), measured_images(), measured_images())
    invariance_study.invariance(result, examined, config(**options), session or fake())
    return result


@pytest.fixture(scope="module")
def studied() -> Result:
    return found(same_equivariance=True, measures=["distance", "anova", "firing"], ambiguous=[0, "class 2"])


def row(result: Result, table: str, network: str = "network") -> dict[str, Any]:
    return next(each for each in rows(result.tables[table]) if each["network"] == network)


def turned(raw: Tensor) -> Tensor:
    """uint8 (S, C, H, W) -> float (S, 4, C, H, W), by quarter turns."""
    return torch.stack([(raw.float() / 255).rot90(k, (2, 3)) for k in range(4)], 1)


@torch.no_grad()
def answers(own: Subject, raw: Tensor) -> Tensor:
    moved = turned(raw)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (own.mean, own.std))
    return own.model(((moved - mean) / std).flatten(0, 1)).view(len(raw), 4, -1).double()


def nv(values: Tensor) -> Tensor:
    """(S, T, U) -> (U,)."""
    return values.std(1).mean(0) / values.std(0).mean(0)


# the study of one network


def test_the_numbers_are_those_of_all_activations_at_once() -> None:
    result = found(layers=["fc_2"], aggregations=["none"])
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
    assert f"{float(hits.mean()):.1%} of the transformed images" in result.verdict
    assert f"{float(nv(values).mean()):.2f} (each position of a map is a unit)" in result.verdict


def test_classes_that_a_transformation_exchanges_are_told_apart(studied: Result) -> None:
    hits = (answers(subject(), images(COUNT)).argmax(2) == measured_images().labels[:, None]).double()
    clear = measured_images().labels == 1
    own = row(studied, "networks")
    assert own["transformed_accuracy_unambiguous"] == pytest.approx(float(hits[clear].mean()))
    assert own["transformed_accuracy"] == pytest.approx(float(hits.mean()))
    assert studied.metrics["transformed_accuracy_unambiguous"].value == own["transformed_accuracy_unambiguous"]
    assert "all but the classes class 0, class 2" in studied.captions["networks"]
    assert "unambiguous" not in found(layers=["fc_2"], untrained=False).captions["networks"]


def test_rows_and_columns_of_the_curves(studied: Result) -> None:
    for name in ("layers_sum", "layers_positions", "layers_same_equivariance"):
        table = rows(studied.tables[name])
        networks = list(dict.fromkeys(each["network"] for each in table))
        assert networks == ["network", "untrained", "interpolation alone"]
        curve = [each for each in table if each["network"] == "network"]
        assert [each["depth"] for each in curve] == [number / (len(curve) - 1) for number in range(len(curve))]
        assert all(each["nv_low"] <= each["nv"] <= each["nv_high"] for each in curve)
    layers = [each["layer"] for each in rows(studied.tables["layers_sum"]) if each["network"] == "network"]
    assert layers == ["conv_0", "relu_0", "conv_1", "relu_1", "fc_2"]
    mapped = [each["layer"] for each in rows(studied.tables["layers_same_equivariance"])]
    assert "fc_2" not in mapped, "only maps can be moved back"
    mean = torch.tensor([each["nv"] for each in rows(studied.tables["layers_sum"])[:5]]).double().mean()
    assert row(studied, "networks")["nv_sum"] == pytest.approx(float(mean))


def test_the_rise_is_that_of_the_curve(studied: Result) -> None:
    curve = [each["nv"] for each in rows(studied.tables["layers_positions"]) if each["network"] == "network"]
    expected = sum(curve[-2:]) / 2 - sum(curve[:2]) / 2
    own = next(
        each
        for each in rows(studied.tables["over_depth"])
        if (each["network"], each["units"]) == ("network", "each position of a map is a unit")
    )
    assert own["rise"] == pytest.approx(expected)
    ranks = torch.tensor(curve).argsort().argsort().double()
    assert own["rank_correlation"] == pytest.approx(
        float(torch.corrcoef(torch.stack([ranks, torch.arange(5.0)]))[0, 1])
    )


def test_every_figure_can_be_drawn_and_every_table_has_its_section(studied: Result) -> None:
    assert "could not be drawn" not in render(studied)
    assert set(studied.tables) - set(studied.sections) == {"networks"}, "which is shown first"
    assert all(figure.section for figure in studied.figures)
    for figure in studied.figures:
        if figure.kind == "lines":
            assert len(set(studied.tables[figure.table][figure.group])) <= 4, "more have no bands"
        assert "untrained" not in figure.title or figure.table.startswith("units_"), "no matrices of random answers"
    assert {"units_1", "units_2", "maps_least", "maps_most"} == set(studied.images)


def test_every_further_measure_has_its_table(studied: Result) -> None:
    for name, column in {
        "distance": "nd",
        "anova": "moved",
        "firing": "score",
        "equivariance": "relative_distance",
    }.items():
        table = rows(studied.tables[name])
        assert {each["network"] for each in table} == {"network", "untrained"}
        assert all(each[column] >= 0 for each in table if each["network"] == "network"), name
    assert set(found(layers=["fc_2"]).tables).isdisjoint(["distance", "anova", "firing", "equivariance"])


def test_units_without_a_ratio_are_counted() -> None:
    own = subject()
    with torch.no_grad():
        own.model.state_dict()["fc_2.weight"][0] = 0.0
    result = found(own=own, layers=["fc_2"], untrained=False, aggregations=["none"])
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
    result = found(own=equivariant(), same_equivariance=True, untrained=False)
    other = found(same_equivariance=True, untrained=False)
    assert max(result.tables["equivariance"]["relative_distance"]) < 1e-5
    assert min(other.tables["equivariance"]["relative_distance"]) > 0.1
    assert row(result, "networks")["nv_same_equivariance"] < 1e-5 < 0.2 < row(other, "networks")["nv_same_equivariance"]


def test_the_distance_of_maps_does_not_depend_on_their_size() -> None:
    """Maps that have nothing in common are the root of two apart, however many positions they have."""
    own = found(same_equivariance=True, untrained=False, layers=["conv_*"])
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
    weak, strong, session = subject(0), subject(1), fake()
    patch = Patch(0, 0, strong.model, 1.0, 0.0, True, "margin")  # over an empty part of the other outputs
    result = found(session, patched_subject(weak, [strong], [patch], 1.0))
    assert session.events == [
        "study.untrained=true: a patched network is made of trained ones; there is no untrained baseline"
    ]
    assert result.tables["networks"]["network"] == ["network"]
    assert {"weak.conv_0", "modules_by_target.0.conv_0"} < set(result.tables["layers_sum"]["layer"])


def first_weight(own: Subject) -> Tensor:
    return own.model.state_dict()["conv_0.weight"]


def test_the_untrained_twin_of_a_module_is_of_its_size() -> None:
    own = subject(0)
    plan = plan_for(own.model, SHAPE)
    keep = torch.arange(plan.kernels) % 2 == 0
    module = replace(own, model=extract(own.model, plan, keep).eval(), kept=kept_of(keep, plan.offsets))
    twin = untrained_like(module, measured_images(), config(), fake())
    assert twin is not None
    shapes = [[tuple(tensor.shape) for tensor in each.model.state_dict().values()] for each in (module, twin)]
    assert shapes[0] == shapes[1]
    assert not torch.equal(first_weight(twin), first_weight(module))


def test_the_same_seed_gives_the_same_untrained_network() -> None:
    one, same, other = (
        untrained_like(subject(), measured_images(), {**config(), "seed": seed}, fake()) for seed in (0, 0, 1)
    )
    assert one and same and other
    weights = [first_weight(each) for each in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_as_many_images_of_each_class() -> None:
    session, uneven = fake(), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 0])
    test = ImageSet(images(9), uneven, subject().classes)
    few = invariance_study.chosen(test, {"images_per_class": 2}, session)
    assert few.labels.tolist() == [0, 0, 1, 1, 2, 2] and torch.equal(few.images, images(9)[[0, 1, 3, 4, 5, 6]])
    assert session.events == ["study.images_per_class=2: 6 of 9 test images"]
    assert invariance_study.chosen(test, {"images_per_class": None}, session) is test
    single = test.select(torch.tensor([0, 1, 3, 5, 6]))
    with pytest.raises(UserError, match="data: class 'class 1' has a single test image"):
        invariance_study.chosen(single, {"images_per_class": None}, session)


# options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aggregations": []}, r"study.aggregations=\[\]: name at least one"),
        ({"aggregations": ["sum", "sum"]}, "each only once"),
        ({"aggregations": ["summ"]}, "study.before=summ: did you mean 'sum'"),
        ({"aggregations": ["sum"], "after": "mean"}, r"study.after=mean: .* add none to them"),
        ({"after": "sum"}, "study.after=sum"),
        (
            {"dtype": "float16"},
            "study.dtype=float16: did you mean 'float64'|study.dtype=float16: did you mean 'float32'",
        ),
        ({"measures": ["anovaa"]}, "study.measures: no 'anovaa'; did you mean 'anova'"),
        ({"images_per_class": 1}, "study.images_per_class=1: give a whole number from 2, or null"),
        ({"images_per_class": True}, "study.images_per_class=True"),
        ({"permutations": -1}, "study.permutations=-1: give a whole number from 0"),
        ({"pictures": 2.5}, "study.pictures=2.5: give a whole number from 0"),
        ({"kept_units": 0}, "study.kept_units=0: give a whole number from 1"),
        ({"memory_gb": 0}, "memory_gb=0"),
        ({"transformation": {"family": "rotatio"}}, "transformation.family=rotatio: did you mean 'rotation'"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_trains(
    options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.tasks.measure.subject_of", lambda *_: pytest.fail("trained"))
    with pytest.raises(UserError, match=said):
        measure(config(**options), NOWHERE, fake())
    check_study(config()["study"])


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([7], r"study.ambiguous=\[7\]: class 7 is not in the data"),
        (["class 9"], "study.ambiguous.* did you mean"),
        ([0, 1, 2], r"study.ambiguous=\[0, 1, 2\]: leaves no class"),
    ],
)
def test_ambiguous_classes_must_be_there_before_anything_is_measured(
    classes: list[Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invariance_study, "examine", lambda *_: pytest.fail("measured"))
    with pytest.raises(UserError, match=said):
        found(ambiguous=classes)


def test_averaged_spreads_are_said_to_be() -> None:
    result = found(after="mean", aggregations=["none"], untrained=False, permutations=0)
    figure = next(figure for figure in result.figures if figure.table == "layers_positions")
    assert "spreads averaged over the positions of a map" in figure.title
    units = rows(result.tables["layers_positions"])[0]["units"]
    assert units == subject().model.get_submodule("conv_0").out_channels
    assert "class_conditional" not in result.tables, "permutations=0"


def test_the_last_of_chosen_layers_is_not_called_the_output() -> None:
    result = found(layers=["conv_*"], untrained=False)
    assert "outputs_1" not in result.tables
    (figure,) = [figure for figure in result.figures if figure.table == "invariance_by_class"]
    assert "'conv_1'" in figure.title and "units of 'conv_1', the last layer" in result.captions["class_conditional"]


# controls


def test_interpolation_is_the_measure_of_the_image_itself() -> None:
    few, session = measured_images(), fake()
    exact = controls(few, transformation_set(TURNS), ["sum", "none", "max"], STUDY, session)
    pixels = turned(few.images).flatten(2).double()
    assert exact["none"].image == pytest.approx(float(nv(pixels).mean()), rel=1e-4)
    within = torch.stack([nv(pixels[few.labels == label]) for label in range(3)])
    assert exact["none"].image_stratified == pytest.approx(float(within.mean()), rel=1e-4)
    assert exact["none"].interpolation == exact["max"].interpolation == exact["max"].image == 0
    assert exact["sum"].image < 1e-4, "turned, an image sums to the same"
    rough = controls(few, transformation_set({"family": "rotation", "count": 8}), ["none"], STUDY, session)["none"]
    assert 0.05 < rough.interpolation < rough.image and rough.interpolation < rough.interpolation_stratified
    assert not session.events


def test_where_no_pixel_always_holds_the_image_there_is_no_control() -> None:
    session = fake()
    result = found(session, transformation={"family": "translation", "shift": 0.6}, untrained=False)
    assert any("no pixel always holds the image" in event for event in session.events)
    assert "interpolation" not in result.tables and "pixels" not in result.tables
    assert set(result.tables["layers_sum"]["network"]) == {"network"}


# maps


class Reusing(nn.Module):
    """A rectifier that is called twice, and a sum that is no module."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.out = nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        x = x + self.relu(self.second(x))
        return torch.as_tensor(self.out(x.mean((2, 3))))


def test_maps_of_functions_and_of_second_calls_are_those_named() -> None:
    own = replace(subject(), model=Reusing().eval())
    moves = transformation_set(TURNS)
    ranked = [("relu#2", 1, 0.1), ("add", 2, 0.2), ("first", 0, 0.3)]
    moved, maps = invariance_maps._maps(own, images(1)[0], moves, [0, 3], ranked)
    network = own.model
    assert isinstance(network, Reusing)
    with torch.no_grad():
        first = network.first(own.normalise_values(moved))
        second = network.second(first.relu()).relu()
    expected = [second[:, 1], (first.relu() + second)[:, 2], first[:, 0]]
    for shown, value in zip(maps, expected, strict=True):
        assert torch.allclose(shown, value, atol=1e-6)
    assert set(found(own=own, untrained=False).images) == {"units_1", "maps_least", "maps_most"}


def test_the_image_that_is_shown_is_one_that_moves_the_maps() -> None:
    raw = torch.full_like(images(COUNT), 100)
    raw[COUNT - 1] = images(1)[0]
    test = ImageSet(raw, measured_images().labels, subject().classes)
    result = Result("measure", "n")
    examined = Examined(subject(), test, test)
    options = config(untrained=False, permutations=0)
    invariance_study.invariance(result, examined, options, fake())
    captions = [figure.caption for figure in result.figures if figure.table == "maps_most"]
    assert f"an image of 'class {int(test.labels[COUNT - 1])}'" in captions[0]
    assert len(set(result.images["maps_most"].flatten().tolist())) > 20


# the task


RECIPE: dict[str, Any] = {
    "data": {"source": {"name": "tiny", "names": "dots"}, "augment": {"flip": True}},
    "model": {key: value for key, value in ARCHITECTURE.items() if key not in ("classes", "input_shape")},
    "optim": {"name": "adam", "lr": 0.001},
    "training": {"epochs": 3, "keep_every": 1, "minimum_accuracy": 0.5},
    "select": "best",
    "seed": 0,
}


def whole(**options: Any) -> dict[str, Any]:
    """The configuration of the task."""
    own: dict[str, Any] = {key: options.pop(key) for key in ("match_accuracy", "retrain", "recipe") if key in options}
    return {**config(**options), "task": "invariance", "match_accuracy": True, "augmented": {"epochs": 5},
            "retrain": {"layers": "none", "epochs": 1}, "recipe": RECIPE, **own}  # fmt: skip


def network(folder: Path, seed: int, accuracies: list[float], minimum: float = 0.5) -> Trained:
    """As trained: validation accuracies by epoch, the last epoch is the chosen one; other weights after each."""
    data = TinyData()
    data.setup()
    for epoch in range(len(accuracies)):
        save_subject(subject(10 * seed + epoch), folder, f"epoch_{epoch:04d}")
    history = [
        {"epoch": epoch, **dict.fromkeys(("train/loss", "val/loss", "train/accuracy"), 0.5), "val/accuracy": accuracy}
        for epoch, accuracy in enumerate(accuracies)
    ]
    last = replace(subject(10 * seed + len(accuracies) - 1), lineage=(f"digest {seed}",))
    training = Training(len(accuracies), minimum_accuracy=minimum)
    return Trained(last, data, f"digest {seed}", folder, history, training, len(accuracies) - 1, 1.0, {})


def pair(folder: Path, plain: list[float], augmented: list[float]) -> dict[str, Trained]:
    return {"plain": network(folder / "plain", 1, plain), "augmented": network(folder / "augmented", 2, augmented)}


def run(monkeypatch: pytest.MonkeyPatch, networks: dict[str, Trained], session: Any = None, **options: Any) -> Result:
    """The task with networks that are trained already."""
    asked = {}

    def trained(recipe: Any, *_: Any, role: str, **__: Any) -> Trained:
        asked[role] = recipe
        return networks[role]

    monkeypatch.setattr(task, "trained", trained)
    monkeypatch.setattr(task, "images_of", lambda *_: networks["plain"].data)
    result = task.invariance(whole(**options), NOWHERE, session or fake())
    assert asked["plain"] == RECIPE
    assert asked["augmented"]["training"]["epochs"] == 5
    assert asked["augmented"]["data"]["augment"] == {"flip": True, "transformation": TURNS}
    return result


@pytest.mark.parametrize(
    ("plain", "augmented", "expected"),
    [
        ([0.5, 0.7, 0.9], [0.6, 0.69], ("plain", 1)),
        ([0.5, 0.69], [0.6, 0.71, 0.68, 0.9], ("augmented", 2)),
        ([0.5, 0.71, 0.71, 0.9], [0.7], ("plain", 2)),  # the later of two
        ([0.5, 0.704], [0.6, 0.7], ("plain", None)),  # near enough
        ([0.1, 0.2, 0.9], [0.6, 0.7], ("plain", None)),  # no epoch is nearer
    ],
)
def test_the_epoch_that_is_as_accurate_as_the_other_network(
    plain: list[float], augmented: list[float], expected: tuple[str, int | None], tmp_path: Path
) -> None:
    assert task.matched_epoch(pair(tmp_path, plain, augmented)) == expected


def test_only_epochs_whose_weights_were_kept_can_be_chosen(tmp_path: Path) -> None:
    networks = pair(tmp_path, [0.5, 0.7, 0.72, 0.9], [0.7])
    (tmp_path / "plain" / "epoch_0001.safetensors").unlink()
    assert task.matched_epoch(networks) == ("plain", 2)


def test_at_equal_accuracy_the_earlier_network_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks, session = pair(tmp_path, [0.5, 0.7, 0.9], [0.6, 0.71]), fake()
    result = run(monkeypatch, networks, session)
    assert result.tables["networks"]["network"] == ["plain", "augmented", "untrained", "plain, fully trained"]
    test = networks["plain"].data.sets["test"]
    for name, seed in {"plain": 11, "plain, fully trained": 12, "augmented": 21}.items():
        hits = answers(subject(seed), test.images).argmax(2) == test.labels[:, None]
        assert row(result, "networks", name)["transformed_accuracy"] == pytest.approx(float(hits.double().mean())), name
    assert result.row["accuracy_gap"] == pytest.approx(0.01)
    assert "71.0% and 70.0% of the validation images are classified right, which counts as equal" in result.verdict
    assert (
        "the plain network is measured after epoch 1 (70.0% of the validation images right instead" in session.events[0]
    )
    drawn = {name for figure in result.figures if figure.group == "network"
             for name in result.tables[figure.table]["network"]}  # fmt: skip
    assert drawn == {"plain", "augmented", "untrained", "interpolation alone"}, "fully trained: in tables alone"
    assert not [figure.title for figure in result.figures if "fully trained" in figure.title]


def test_metrics_have_the_signs_they_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, pair(tmp_path, [0.5, 0.7, 0.9], [0.6, 0.71]))
    for key, words in {"sum": "maps are summed first", "positions": "each position of a map is a unit"}.items():
        nvs = {name: row(result, "networks", name)[f"nv_{key}"] for name in ("plain", "augmented")}
        assert result.metrics[f"nv_{key}_difference"].value == pytest.approx(nvs["augmented"] - nvs["plain"], abs=1e-6)
        rises = {each["network"]: each["rise"] for each in rows(result.tables["over_depth"]) if each["units"] == words}
        own = result.metrics[f"lower_layers_{key}"]
        assert own.value == pytest.approx(rises["plain, fully trained"]), "not of an earlier epoch"
        learned = result.metrics[f"lower_layers_{key}_learned"]
        assert learned.value == pytest.approx(own.value - rises["untrained"])
        curve = [each["nv"] for each in rows(result.tables[f"layers_{key}"]) if each["network"] == "untrained"]
        assert rises["untrained"] == pytest.approx(sum(curve[-2:]) / 2 - sum(curve[:2]) / 2)
    assert "the metric 'lower layers'" in result.captions["over_depth"]
    assert result.metrics["augmented_accuracy"].value == row(result, "networks", "augmented")["accuracy"]
    assert result.row["data"] == "dots 12 px, rot90" and result.row["network"].split()[::2] == ["simcnn_svhn_weak", "0"]


def test_networks_are_compared_on_the_same_resamples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = network(tmp_path, 1, [0.7])
    result = run(monkeypatch, {"plain": one, "augmented": one})
    for key in ("sum", "positions"):
        difference, own = result.metrics[f"nv_{key}_difference"], result.metrics[f"nv_{key}_plain"]
        assert difference.low == difference.value == difference.high == 0 and own.low < own.high


def test_columns_of_every_claim_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, pair(tmp_path, [0.7], [0.7]))
    asked = yaml.safe_load((CONF / "experiment" / "invariance_rotation.yaml").read_text())["comparison"]
    for name in asked["claims"]:
        claim = yaml.safe_load((CONF / "claims" / f"{name}.yaml").read_text())
        assert claim["metric"] in result.metrics and claim["unit"] in result.row
        assert set(claim.get("where", ())) <= set(result.row)
    assert set(asked["over_seeds"]) <= set(result.metrics)
    assert set(asked["over_depth"]["tables"]) <= set(result.tables)


def test_unequal_accuracy_is_never_called_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = fake()
    result = run(monkeypatch, pair(tmp_path, [0.4, 0.9], [0.6, 0.7]), session)
    assert "equal accuracy" not in result.verdict and "70.0% and 90.0% of the validation images" in result.verdict
    assert session.events == ["match_accuracy=true: 20.0% of the validation images remain between the networks"]
    assert result.row["accuracy_gap"] == pytest.approx(0.2)
    as_they_are = run(monkeypatch, pair(tmp_path, [0.5, 0.7, 0.9], [0.6, 0.7]), match_accuracy=False)
    assert as_they_are.row["accuracy_gap"] == pytest.approx(0.2)
    assert as_they_are.tables["networks"]["network"] == ["plain", "augmented", "untrained"]


def test_no_verdict_where_a_network_did_not_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "examine", lambda *_: pytest.fail("measured"))
    result = run(monkeypatch, pair(tmp_path, [0.5, 0.9], [0.3, 0.4]))
    assert result.verdict_kind == "no verdict" and not result.metrics
    assert result.verdict.startswith("did not train, no verdict: the augmented network reached 40.0%")
    assert result.row["network"].split()[::2] == ["simcnn_svhn_weak", "0"] and result.row["accuracy_gap"] is None
    assert result.uses == ["digest 1", "digest 2"] and "training" in result.tables


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layers": ["convv"]}, "layers: nothing in the network fits 'convv'"),
        ({"ambiguous": ["9"]}, "study.ambiguous"),
        ({"memory_gb": 1e-6}, "memory_gb=1e-06"),
        ({"retrain": {"layers": "eac", "epochs": 1}}, "retrain.layers=eac: did you mean 'each'"),
        (
            {"recipe": {**RECIPE, "training": {**RECIPE["training"], "keep_every": None}}},
            "match_accuracy=true: chooses",
        ),
        ({"recipe": {**RECIPE, "select": "bst"}}, "recipe.select=bst"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_trains(
    options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = TinyData()
    data.setup()
    monkeypatch.setattr(task, "images_of", lambda *_: data)
    monkeypatch.setattr(task, "trained", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(UserError, match=said):
        task.invariance(whole(**options), NOWHERE, fake())


def test_a_network_for_other_images_is_refused_before_anything_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    data = TinyData()
    data.setup()
    data.contrast = "global"
    monkeypatch.setattr(task, "images_of", lambda *_: data)
    monkeypatch.setattr(task, "trained", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(UserError, match=r"data\.contrast=global"):
        task.invariance(whole(), NOWHERE, fake())


# retraining, with real trainings


SCHEMES = ["c1", "c2", "c3", "c4", "c5", "fc1", "fc2", "all convolutions", "all linear", "all"]


def test_schemes_are_named_in_the_order_of_the_network() -> None:
    model = build({"name": "simple_conv", "width": 0.0625, "classes": 3, "input_shape": [1, 16, 16]})
    each = schemes(model, "each")
    assert list(each) == SCHEMES and each["c3"] == ["c3"] and each["all"] is None
    assert each["all linear"] == ["fc1", "fc2"]
    assert list(schemes(model, "kind")) == SCHEMES[-3:]


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Store]:
    folder = tmp_path_factory.mktemp("retrained")
    options = ["transformation=rot90", "retrain.layers=each", "study.permutations=0", "study.untrained=false"]
    made = configured(folder, "experiment=invariance_rotation", *options, "study.aggregations=[sum]")
    store = Store(folder / "store")
    return task.invariance(made, store, Session(made, folder / "job", quiet=True)), store


def test_retraining_freezes_exactly_what_it_says(retrained: tuple[Result, Store]) -> None:
    result, store = retrained
    entries = {entry.digest: entry for entry in store.entries()}
    plain, _, *again = [entries[digest] for digest in result.uses]
    before = load_file(plain.folder / "best.safetensors")
    for name, entry in zip(SCHEMES, again, strict=True):
        recipe = json.loads((entry.folder / "manifest.json").read_text())["recipe"]
        after = load_file(entry.folder / "last.safetensors")
        changed = {key.partition(".")[0] for key, tensor in before.items() if not torch.equal(after[key], tensor)}
        layers = {key.partition(".")[0] for key in before}
        expected = {"all": layers, "all linear": {"fc1", "fc2"}, "all convolutions": layers - {"fc1", "fc2"}}
        assert changed == expected.get(name, {name}), name
        assert recipe["training"]["epochs"] == 1 and recipe["start"][0] == plain.digest


def test_retraining_is_told_with_its_baseline(retrained: tuple[Result, Store]) -> None:
    result, _ = retrained
    table = rows(result.tables["retraining"])
    assert [each["retrained"] for each in table[::2]] == ["none", *SCHEMES]
    assert [each["images"] for each in table[:2]] == ["as they are", "transformed"]
    plain = row(result, "networks", "plain")
    assert table[0]["accuracy"] == pytest.approx(plain["accuracy"])
    assert table[1]["accuracy"] == pytest.approx(plain["transformed_accuracy"])
    assert all(each["accuracy_low"] <= each["accuracy"] <= each["accuracy_high"] for each in table)
    assert "retraining" in {figure.table for figure in result.figures if figure.kind == "bars"}
