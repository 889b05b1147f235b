"""Modules on a page."""

from __future__ import annotations

from src.core.result import Result, rows
from src.studies.patching.module_panels import module_panels
from tests.studies.patching.findings import two_modules


def shown() -> Result:
    result = Result("modularize", "test")
    result.add(*module_panels(two_modules()))
    return result


def test_modules_composed_and_one_by_one() -> None:
    result = shown()
    strong, calibrated, raw = rows(result.tables["composition"])
    assert (strong["network"], strong["against_strong"]) == ("strong network", 0.0)
    assert (calibrated["accuracy"], calibrated["accuracy_low"], calibrated["against_strong"]) == (0.625, 0.5, -0.125)
    assert raw["network"] == "modules, raw logits"
    first, second = rows(result.tables["modules"])
    assert (first["class"], first["kernels"], first["macs_retained"], first["parameters"]) == ("disc", 4, 0.25, 100)
    assert (second["auc"], second["auc_logit"], second["recall_composed"]) == (1.0, 1.0, 0.5)
    assert result.captions["modules"].endswith(
        "From the least to the greatest module: kernels 50.0% to 75.0%, multiply-adds 25.0% to 75.0%, AUC 87.5% to "
        "100.0%."
    )
    assert result.units_of("modules")["auc"] == "%" and result.units_of("composition")["against_strong"] == "points"


def test_how_they_were_found() -> None:
    result = shown()
    shares = [(row["generation"], row["quantity"], row["share"]) for row in rows(result.tables["search"])]
    assert shares[:2] == [(0, "accuracy of the best composition", 0.5), (1, "accuracy of the best composition", 0.75)]
    assert shares[-1] == (1, "kernels kept", 0.625)
    assert rows(result.tables["sensitivity"])[1] == {"layer": "first (sensitive)", "kept": 0.75, "accuracy": 0.5}
    assert rows(result.tables["sensitivity"])[2] == {"layer": "second", "kept": 0.5, "accuracy": 0.75}
    assert rows(result.tables["kept_kernels"])[1] == {"class": "disc", "layer": "second", "kept": 0.25}
    assert rows(result.tables["module_differences"])[1] == {"class": "disc", "other": "ring", "difference": 0.5}
    assert [figure.table for figure in result.figures] == [
        "search", "sensitivity", "kept_kernels", "module_differences", "kernels_kept", "kernels_dropped", "filters"
    ]  # fmt: skip
    assert [figure.labels for figure in result.figures[-3:]] == [
        ("kernel 3: disc", "kernel 3: disc"), ("kernel 0: ring", "kernel 0: disc"), ("0: dropped", "1: kept")
    ]  # fmt: skip
