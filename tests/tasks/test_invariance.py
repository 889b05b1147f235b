"""The task of invariance: what is compared, what is said, what is refused before anything trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from src.artifacts.network import Trained
from src.core.errors import UserError
from src.core.options import options_of
from src.core.paths import CONF
from src.core.result import Result, rows
from src.core.store import Store
from src.studies.invariance import retraining as retraining_module
from src.studies.invariance.options import Invariance
from src.tasks import invariance as task
from tests.fakes.artifacts import artifacts
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE, subject
from tests.fakes.study import FakeSession
from tests.fakes.trained import network, pair
from tests.studies.invariance.given import TURNS, answers, row, study_values
from tests.studies.invariance.test_retraining import SCHEMES
from tests.tasks.composing import asked

RECIPE: dict[str, Any] = {
    "data": {"source": {"name": "tiny", "names": "dots"}, "augment": {"flip": True}},
    "model": {key: value for key, value in ARCHITECTURE.items() if key not in ("classes", "input_shape")},
    "optim": {"name": "adam", "lr": 0.001},
    "training": {"epochs": 3, "keep_every": 1, "minimum_accuracy": 0.5},
    "select": "best",
    "seed": 0,
}


def whole(**options: Any) -> Invariance:
    """The options of the task."""
    mine: dict[str, Any] = {key: options.pop(key) for key in ("match_accuracy", "retrain", "recipe") if key in options}
    plain = {"seed": 0, "resamples": 20, "match_accuracy": True, "study": study_values(**options),
             "transformation": TURNS, "augmented": {"epochs": 5}, "retrain": {"layers": "none", "epochs": 1},
             "recipe": RECIPE, **mine}  # fmt: skip
    return options_of(Invariance, plain)


def ran(monkeypatch: pytest.MonkeyPatch, networks: dict[str, Trained], session: Any = None, **options: Any) -> Result:
    """The task with networks that are trained already."""
    recipes = {}

    def trained(recipe: Any, *_: Any, role: str, **__: Any) -> Trained:
        recipes[role] = recipe
        return networks[role]

    monkeypatch.setattr(task, "trained", trained)
    monkeypatch.setattr(task, "images_of", lambda *_: networks["plain"].data)
    result = task.invariance(whole(**options), artifacts(session))
    assert recipes["plain"] == RECIPE
    assert recipes["augmented"]["training"]["epochs"] == 5
    assert recipes["augmented"]["data"]["augment"] == {"flip": True, "transformation": TURNS}
    return result


def test_at_equal_accuracy_the_earlier_network_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks, session = pair(tmp_path, [0.5, 0.7, 0.9], [0.6, 0.71]), FakeSession()
    result = ran(monkeypatch, networks, session)
    assert result.tables["networks"]["network"] == ["plain", "augmented", "untrained", "plain, fully trained"]
    test = networks["plain"].data.sets["test"]
    for name, seed in {"plain": 11, "plain, fully trained": 12, "augmented": 21}.items():
        hits = answers(subject(seed), test.images).argmax(2) == test.labels[:, None]
        assert row(result, "networks", name)["transformed_accuracy"] == pytest.approx(float(hits.double().mean())), name
    assert result.row["accuracy_gap"] == pytest.approx(0.01)
    assert "classifies 71.0% right and the plain one 70.0%, which counts as equal" in result.verdict
    assert (
        "the plain network is measured after epoch 1 (70.0% of the validation images right instead" in session.events[0]
    )
    drawn = {name for figure in result.figures if figure.group == "network"
             for name in result.tables[figure.table]["network"]}  # fmt: skip
    assert drawn == {"plain", "augmented", "untrained", "interpolation alone"}, "fully trained: in tables alone"
    assert not [figure.title for figure in result.figures if "fully trained" in figure.title]


def test_metrics_have_the_signs_they_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = ran(monkeypatch, pair(tmp_path, [0.5, 0.7, 0.9], [0.6, 0.71]))
    for key, words in {"sum": "NV sum", "positions": "NV positions"}.items():
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
    result = ran(monkeypatch, {"plain": one, "augmented": one})
    for key in ("sum", "positions"):
        difference, own = result.metrics[f"nv_{key}_difference"], result.metrics[f"nv_{key}_plain"]
        assert difference.low == difference.value == difference.high == 0 and own.low < own.high


def test_columns_of_every_claim_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = ran(monkeypatch, pair(tmp_path, [0.7], [0.7]))
    asked = yaml.safe_load((CONF / "experiment" / "invariance_rotation.yaml").read_text())["comparison"]
    for name in asked["claims"]:
        claim = yaml.safe_load((CONF / "claims" / f"{name}.yaml").read_text())
        assert claim["metric"] in result.metrics and claim["unit"] in result.row
        assert set(claim.get("where", ())) <= set(result.row)
    assert set(asked["over_seeds"]) <= set(result.metrics)
    assert set(asked["over_depth"]["tables"]) <= set(result.tables)


def test_unequal_accuracy_is_never_called_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession()
    result = ran(monkeypatch, pair(tmp_path, [0.4, 0.9], [0.6, 0.7]), session)
    assert "equal accuracy" not in result.verdict and "70.0% right and the plain one 90.0%" in result.verdict
    assert session.events == ["match_accuracy=true: 20.0% of the validation images remain between the networks"]
    assert result.row["accuracy_gap"] == pytest.approx(0.2)
    as_they_are = ran(monkeypatch, pair(tmp_path, [0.5, 0.7, 0.9], [0.6, 0.7]), match_accuracy=False)
    assert as_they_are.row["accuracy_gap"] == pytest.approx(0.2)
    assert as_they_are.tables["networks"]["network"] == ["plain", "augmented", "untrained"]


def test_no_verdict_where_a_network_did_not_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "examine", lambda *_: pytest.fail("measured"))
    result = ran(monkeypatch, pair(tmp_path, [0.5, 0.9], [0.3, 0.4]))
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
        (
            {"retrain": {"layers": "eac", "epochs": 1}},
            "retrain.layers=eac: allowed is none, each, kind; did you mean 'each'",
        ),
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
        task.invariance(whole(**options), artifacts())


def test_a_network_for_other_images_is_refused_before_anything_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    data = TinyData()
    data.setup()
    data.contrast = "global"
    monkeypatch.setattr(task, "images_of", lambda *_: data)
    monkeypatch.setattr(task, "trained", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(UserError, match=r"data\.contrast=global"):
        task.invariance(whole(), artifacts())


def test_retraining_that_did_not_train_leaves_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of layers that learn alone any accuracy is a finding; where all do, the recipe's least one is asked."""
    networks, asked_for, reached = pair(tmp_path, [0.8], [0.8]), {}, [0.6, 0.6, 0.6, 0.4, 0.4, 0.4]

    def again(recipe: Any, *_: Any, role: str, **__: Any) -> Trained:
        asked_for[role] = minimum = recipe["training"]["minimum_accuracy"]
        return network(tmp_path / role, 3, [reached.pop(0)], minimum)

    monkeypatch.setattr(retraining_module, "trained", again)
    for kind in ("", "no verdict"):
        result = ran(monkeypatch, networks, retrain={"layers": "kind", "epochs": 1})
        assert asked_for == {"retrained all convolutions": 0.0, "retrained all linear": 0.0, "retrained all": 0.5}
        assert result.verdict_kind == kind and result.tables["retraining"]
    assert result.verdict.startswith("did not train, no verdict: the plain network with all retrained reached 40.0%")


# retraining, with real trainings


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Store]:
    folder = tmp_path_factory.mktemp("retrained")
    options = ["transformation=rot90", "retrain.layers=each", "study.permutations=0", "study.untrained=false"]
    made, job = asked(folder, "experiment=invariance_rotation", *options, "study.aggregations=[sum]")
    return task.invariance(made, job), job.store


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
