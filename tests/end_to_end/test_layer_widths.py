"""The layer-width sweep: a row per variant, the original's table, claims with verdicts, a page made anew at will."""

import csv

import pyarrow.parquet as pq
import pytest

from src.methods.widths.variants import find
from tests.end_to_end.conftest import TINY

SWEEP = ("experiment=layer_widths", "variant=192,baseline,0", *TINY)


@pytest.fixture(scope="module")
def sweep(run, tmp_path_factory):
    ran = run(tmp_path_factory.mktemp("widths"), *SWEEP, "report=page")
    assert ran.code == 0, ran.text
    return ran


def by_variant(ran):
    return {result["row"]["variant"]: result for result in ran.results}


def table(result, name):
    return pq.read_table(result["folder"] / "tables" / f"{name}.parquet").to_pydict()


def test_a_job_says_what_its_variant_is_and_costs(sweep):
    found = by_variant(sweep)
    assert set(found) == {"192", "baseline", "0"}
    row, wanted = found["192"]["row"], find(192, features=0.0625)
    assert row["widths"] == list(wanted.widths) and row["minimum_width"] == min(wanted.widths)
    assert (row["location"], row["scale"], row["skew"]) == (15, 5.5, -12)
    assert row["full_minimum_width"] == 24
    assert found["baseline"]["row"]["location"] is None
    assert found["0"]["row"]["macs"] > 5 * row["macs"], "early features are computed on large maps"
    assert found["0"]["row"]["fp32_activation_bytes"] > row["fp32_activation_bytes"]
    assert row["precision"] == "32-true" and row["recompute"] is False and row["micro_batch"] is None
    assert not list(found["0"]["folder"].glob("page.html")), "jobs of a sweep write data only"


def test_the_longest_job_ran_first(sweep):
    told = [line.split()[2] for line in sweep.text.splitlines() if line.split()[1:2] == ["ok"]]
    assert told == ["variant0-seed0", "variantbaseline-seed0", "variant192-seed0"]


def test_each_architecture_has_the_originals_table(sweep):
    for name, result in by_variant(sweep).items():
        with (result["folder"] / "architecture.csv").open(newline="") as file:
            header, values = csv.reader(file)
        row = dict(zip(header, values, strict=True))
        assert header == ["", "Filters", "Parameters", "Mean", "Variance", "Skew", "BestVal", "BestValsTrain",
                          "BestEpoch", "LastValPrec", "LastTrainPrec", "AllTrain", "AllVal"]  # fmt: skip
        assert row["Mean"] == {"192": "15.0", "0": "0.0", "baseline": ""}[name]
        assert float(row["BestVal"]) == pytest.approx(100 * result["metrics"]["validation_accuracy"]["value"])


def test_only_the_best_weights_are_kept(sweep):
    entries = [entry for entry in sweep.store if entry["kind"] == "checkpoint"]
    assert len(entries) == 3
    for entry in entries:
        assert {"best.safetensors", "history.json"} <= set(entry["files"])
        assert not {"last.safetensors", "resume.ckpt"} & set(entry["files"])


def test_the_sweep_ends_in_verdicts_and_one_page(sweep):
    overview = sweep.overview
    assert overview["status"] == "ok" and overview["task"] == "compare"
    claims = table(overview, "claims")
    assert len(claims["claim"]) == 4 and set(claims["verdict"]) == {"no verdict"}, "three variants prove nothing"
    assert all("no verdict" in reason.lower() for reason in table(overview, "why")["reason"])
    jobs = table(overview, "jobs")
    assert sorted(jobs["variant"]) == ["0", "192", "baseline"]
    assert len(table(overview, "curves")["epoch"]) == 3 * 2 * 1
    page = (overview["folder"] / "page.html").read_text()
    assert page.count("plotly.js v") == 1 or "Plotly" in page
    assert '"profile"' in page and "xi" not in overview["verdict"]


def test_nothing_runs_twice_and_the_page_is_made_anew(sweep, run):
    before = {path: path.stat().st_mtime_ns for path in sweep.outputs.rglob("variant*/result.json")}
    again = run(sweep.outputs, *SWEEP, "report=page")
    assert again.code == 0 and "3 of 3 jobs are done already" in again.text
    assert before == {path: path.stat().st_mtime_ns for path in sweep.outputs.rglob("variant*/result.json")}
    from src.report.__main__ import _compare, main

    page = sweep.outputs / "layer_widths" / "overview" / "page.html"
    page.unlink()
    assert main([str(sweep.outputs / "layer_widths")], _compare) == 0
    assert page.exists()


def test_a_single_run_has_the_sweeps_folder_and_numbers(sweep, run, tmp_path):
    ran = run(tmp_path, "experiment=layer_widths", "variant=192", "hydra.mode=RUN", *TINY)
    twin = by_variant(sweep)["192"]
    assert ran.result["folder"].name == twin["folder"].name
    assert ran.result["metrics"] == twin["metrics"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("variant=193", "depth 16 has 0 to 192"),
        ("variant=latest", "variant=latest"),
        ("depth=15", "depth=15"),
        ("recipe.select=last", "recipe.select=last"),
        ("recipe.learner=widths", "width_variant"),
        ("memory.allow=[bf17]", "memory.allow"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(override, said, run, tmp_path):
    more = () if override.startswith(("variant", "depth")) else ("variant=192",)
    ran = run(tmp_path, "experiment=layer_widths", "hydra.mode=RUN", override, *more, *TINY)
    assert ran.code in (1, 2) and said in ran.text and "Traceback" not in ran.text, ran.text
