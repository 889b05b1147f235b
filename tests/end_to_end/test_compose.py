"""Modular against monolithic networks through the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

import src.artifacts.composed  # noqa: F401  it knows how a composed network is put together
from src.data.sources import load_source
from src.networks.subjects import load_subject
from tests.end_to_end.conftest import TINY, Ran, Run

FEW = ("shift.corruptions=[contrast]", "shift.severities=[1,5]")
KEEP = tuple(f"{role}.training.keep_every=1" for role in ("monolith", "router", "expert"))
COMPOSE = ("experiment=modular_vs_monolithic", *TINY, *FEW, *KEEP)


@pytest.fixture(scope="module")
def first(run: Run, tmp_path_factory) -> Ran:
    """The default; the others of this module share its store."""
    ran = run(tmp_path_factory.mktemp("compose"), *COMPOSE)
    assert ran.code == 0, ran.text
    return ran


def again(run: Run, first: Ran, *argv: str) -> dict:
    known = {found["folder"] for found in first.results}
    ran = run(first.outputs, *COMPOSE, *argv)
    assert ran.code == 0, ran.text
    (own,) = [found for found in ran.results if found["folder"] not in known]
    assert own["status"] == "ok", own["error"]
    return own


def table(result: dict, name: str) -> dict[str, list]:
    return pq.read_table(result["folder"] / "tables" / f"{name}.parquet").to_pydict()


def row(result: dict, name: str, network: str) -> dict:
    found = table(result, name)
    place = found["network"].index(network)
    return {column: values[place] for column, values in found.items()}


def test_every_panel_is_there(first):
    result = first.result
    for name in ("networks", "gap", "heuristic", "superclasses", "calibration", "reliability", "robustness",
                 "corruptions", "unknown_classes", "learning", "cost", "parts", "routes", "training"):  # fmt: skip
        assert name in result["tables"], name
    rules = ("soft", "hard", "top_m", "beam", "product", "additive", "logarithmic", "chaining", "oracle routing")
    names = table(result, "networks")["network"]
    assert names[:10] == ["monolith", *(f"modules, {rule}" for rule in rules)]
    assert names[10:] == ["random tree, soft", "random tree, hard"]
    parts = table(result, "parts")
    assert len(parts["part"]) == 8 and parts["train_images"][1] == sum(parts["train_images"][2:])


def test_the_gap_is_split_exactly(first):
    gap = table(first.result, "gap")
    for router, experts in zip(gap["router_share"], gap["experts_share"], strict=True):
        assert math.isnan(router) or router + experts == pytest.approx(1)
    assert gap["network"][-1].startswith("thesis") and gap["router_share"][-1] == pytest.approx(0.171, abs=1e-3)
    for network in ("monolith", "modules, hard"):
        found = row(first.result, "networks", network)
        assert found["accuracy"] == pytest.approx(found["superclass_accuracy"] * found["within_superclass"])


def test_the_composed_network_is_left_as_one_that_anyone_can_load(first):
    result = first.result
    subject = load_subject(result["folder"] / "composed" / "weights.safetensors")
    source = result["config"]["monolith"]["data"]["source"]
    test = load_source(source["name"], source).test
    with torch.inference_mode():
        right = subject.model(subject.normalise(test.images)).argmax(1) == test.labels
    assert float(right.double().mean()) == pytest.approx(row(result, "networks", "modules, soft")["accuracy"])
    assert set(subject.lineage) < set(result["uses"])


def test_the_monolith_has_the_modules_size(first):
    cost = {network: row(first.result, "cost", network) for network in ("monolith", "modules, hard route")}
    assert cost["monolith"]["stored_parameters"] == pytest.approx(
        cost["modules, hard route"]["stored_parameters"], rel=0.15
    )  # tiny networks come in coarse sizes


def test_another_rule_trains_nothing_anew(run, first):
    own = again(run, first, "composition.rule=top_m", "control=none")
    assert not [stage for stage, took in own["seconds"].items() if "training" in stage and took > 0]
    assert "random tree, soft" not in table(own, "networks")["network"]
    assert row(own, "robustness", "modules, top_m")["clean_accuracy"] is not None


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("modules=together",), marks=pytest.mark.slow),
        ("modules=trunk", "views=ten"),
        ("finetune_epochs=1", "tree=clustered", "temperature=fit"),
        pytest.param(("match=macs", "expert_cap=smallest", "composition.rule=hard"), marks=pytest.mark.slow),
    ],
    ids=["together", "trunk", "finetuned", "capped"],
)
def test_other_ways_to_make_one(run, first, options):
    own = again(run, first, "control=none", *options)
    assert own["verdict"]
    kinds = {entry["kind"] for entry in first.store}
    assert ("composed" in kinds) or options[0] == "match=macs"


@pytest.mark.parametrize("scope", ["subset", pytest.param("evaluation", marks=pytest.mark.slow)])
def test_crops_and_whitening_go_with_the_composed_network(run, first, scope):
    options = ("+monolith.data.augment.crop=28", "monolith.data.contrast=per_pixel", "views=ten",
               f"+monolith.data.whitening={{scope: {scope}}}", "monolith.data.augment.crop_padding=0")  # fmt: skip
    own = again(run, first, "control=none", *options)
    subject = load_subject(own["folder"] / "composed" / "weights.safetensors")
    source = own["config"]["monolith"]["data"]["source"]
    test = load_source(source["name"], source).test
    assert subject.input_shape == (3, 32, 32) and subject.contrast == "none"
    with torch.inference_mode():
        right = subject.model(subject.normalise(test.images)).argmax(1) == test.labels
    assert float(right.double().mean()) == pytest.approx(row(own, "networks", "modules, soft")["accuracy"])


@pytest.mark.slow
def test_modules_are_jobs_of_a_sweep(run, tmp_path):
    argv = ("experiment=modular_vs_monolithic", *TINY, *KEEP)
    ran = run(tmp_path, "-m", *argv, "task=train_module", "module=0,stroke")
    assert ran.code == 0, ran.text
    assert [found["row"]["module"] for found in ran.results] == ["root", "stroke"]
    apart = {digest for found in ran.results for digest in found["uses"]}
    whole = run(tmp_path, *COMPOSE, "control=none")
    assert "in store" in whole.text and whole.code == 0
    (used,) = [found["uses"] for found in whole.results if found["task"] == "compose"]
    assert apart < set(used)
    wrong = run(tmp_path, *argv, "task=train_module", "module=7")
    assert wrong.code == 1 and "module=7" in wrong.text


def test_modules_are_a_stage_that_a_sweep_shares(run, tmp_path):
    ran = run(tmp_path, "-m", *COMPOSE, "composition.rule=soft,hard", "control=none")
    assert ran.code == 0, ran.text
    assert len(ran.results) == 2
    assert len([entry for entry in ran.store if entry["kind"] == "checkpoint"]) == 8, "one monolith, seven modules"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("tree=file", "tree.path={tree}"), "tree: "),
        (("views=centre", "match=size"), "match=size"),
        (("modules=apart",), "modules=apart"),
        (("modules=together", "finetune_epochs=3"), "finetune_epochs=3"),
        (("+monolith.data.augment.crop=28",), "views=whole"),
    ],
)
def test_faults_are_told_before_anything_trains(run, tmp_path, options, said):
    tree = tmp_path / "tree.json"
    tree.write_text(json.dumps({"one": ["disc"], "two": ["ring"]}))
    ran = run(Path(tmp_path), *COMPOSE, *(option.format(tree=tree) for option in options))
    assert ran.code == 1 or ran.code == 2
    assert said in ran.text and "Traceback" not in ran.text
    assert not [entry for entry in ran.store if entry["kind"] in ("checkpoint", "composed")]
