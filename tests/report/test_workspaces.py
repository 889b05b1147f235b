"""Workspaces as code: what an experiment's file says, and what the library's own models make of it, offline."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from src.core.errors import UserError
from src.jobs.command_line import check_command_line
from src.jobs.resolvers import register
from src.report.described import described, experiments
from src.report.workspaces import metrics_of, specification, workspace

pytest.importorskip("wandb_workspaces")


def sections_of(plain: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    bank = plain["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in bank}


@pytest.mark.parametrize(
    "name", ["patch_weak", "layer_widths_mnist", "modular_notebook", "modules_texture", "robustness"]
)
def test_what_a_file_says_is_what_hydra_composes(name: str):
    register()
    said = described(name)
    composed = check_command_line([f"experiment={name}", "hydra.mode=MULTIRUN", "data_root=x"]).composed
    plain = OmegaConf.to_container(composed, resolve=False)
    assert said.task == composed.task and said.comparison.items() <= (plain["comparison"] or {}).items()
    assert said.group == (None if "${" in plain["name"] else plain["name"])
    for key in said.keys:
        assert OmegaConf.select(composed, key, throw_on_resolution_failure=False) is not None or key == "variant"


def test_a_workspace_of_each_experiment_passes_the_librarys_models():
    names = experiments()
    assert len(names) > 40
    for name in names:
        experiment = described(name)
        plain = specification(workspace(experiment, "cnn-anatomy"))
        sections = sections_of(plain)
        assert list(sections) == [
            "Verdict",
            "Results over swept keys",
            "Parallel coordinates",
            "Learning curves",
            "Lineage",
        ]
        assert experiment.question in str(sections["Verdict"]) and "tables/jobs" in str(sections["Verdict"])
        assert ("tables/claims" in str(sections["Verdict"])) == bool(experiment.comparison.get("claims"))
        (coordinates, *_) = sections["Parallel coordinates"]
        accessors = [column["accessor"] for column in coordinates["config"]["columns"]]
        assert len(accessors) == len(experiment.keys) + len(metrics_of(experiment))
        if experiment.group is not None:
            assert experiment.group in str(plain["spec"]["section"]["runSets"])


def test_seeds_are_grouped_and_metrics_stand_over_swept_keys():
    experiment = described("patch_weak")
    plain = specification(workspace(experiment, "p", "team", artifacts=["network-0123456789abcdef"]))
    (runs,) = plain["spec"]["section"]["runSets"]
    assert [group["name"] for group in runs["grouping"]] == ["target_class.value"]
    results = sections_of(plain)["Results over swept keys"]
    bars = [panel["config"] for panel in results if panel["viewType"] == "Bar Chart"]
    assert {bar["groupAgg"] for bar in bars} == {"mean"} and len(bars) == len(metrics_of(experiment))
    axes = {panel["config"]["xAxis"] for panel in results if panel["viewType"] == "Scatter Plot"}
    assert {axis.rpartition(":")[2] for axis in axes} == {"target_class.value", "seed.value"}
    assert "network-0123456789abcdef" in str(sections_of(plain)["Lineage"])
    assert plain == specification(workspace(experiment, "p", "team", artifacts=["network-0123456789abcdef"]))


def test_metrics_are_those_of_the_comparison_else_of_a_result_else_of_the_task():
    assert metrics_of(described("modules_local"), ["x"])[0] == "clean_accuracy"
    assert metrics_of(described("transfer_expert"), ["gain", "trained"]) == ["gain", "trained"]
    assert metrics_of(described("modularize"))[0] == "composed_against_strong"
    with pytest.raises(UserError, match="did you mean 'patch_weak'"):
        described("patch_waek")
