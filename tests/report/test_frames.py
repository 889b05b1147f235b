"""Results of many jobs as a frame, as a labelled data set, on the command line and in files."""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Result, save
from src.report import load
from src.report.__main__ import main
from tests.fakes.sweep import FORMULA

SWEPT = {"variant": ["baseline", 7], "seed": [0, 1, 2], "data": ["glyphs", "digits"]}


def leave(root: Path, variant: Any, seed: int, data: str, **more: Any) -> Path:
    """A job of a sweep; its accuracy tells its settings."""
    value = (0.5 if variant == "baseline" else 0.7) + 0.1 * (data == "digits") + 0.01 * seed
    recipe = {"model": {"name": "vgg", "widths": [2, 3]}, "data": {"source": {"name": data}}, "seed": seed}
    config = {"task": "train", "name": "widths", "label": f"{variant}-{seed}", "variant": variant, "seed": seed,
              "recipe": recipe, "study": {"name": "robustness"}, "sweep": {"id": None}, "until": None}  # fmt: skip
    result = Result("train", "widths/x", config=config, verdict_kind="success", units={"accuracy": "%"})
    result.metrics = {"accuracy": Estimate(value, value - 0.1, value + 0.1, 250, "images"), "macs": Estimate(1e6)}
    result.tables["t"] = {"a": [1]}
    for key, changed in more.items():
        setattr(result, key, changed)
    save(result, root / f"{variant}-{seed}-{data}")
    return root / f"{variant}-{seed}-{data}"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for variant, seed, data in product(*SWEPT.values()):
        leave(tmp_path / "widths", variant, seed, data)
    overview = Result(
        "compare", "overview", config={"folders": [str(place) for place in (tmp_path / "widths").iterdir()]}
    )
    save(overview, tmp_path / "widths" / "overview")
    return tmp_path / "widths"


def test_a_row_per_job_and_metric_with_the_keys_that_vary(sweep: Path):
    frame = load(sweep)
    assert list(frame.columns) == [
        "experiment", "study", "variant", "seed", "recipe.data.source.name",
        "metric", "value", "low", "high", "n", "of", "unit", "status", "verdict", "folder",
    ]  # fmt: skip
    assert len(frame) == 12 * 2 and frame["folder"].nunique() == 12 and set(frame["study"]) == {"robustness"}
    assert set(map(type, frame["variant"])) == {str, int} and frame["seed"].dtype.kind == "i"
    row = frame.query("variant == 7 and seed == 2 and metric == 'accuracy'").iloc[0]
    assert (row.value, row.low, row.n, row.of, row.unit) == (
        pytest.approx(0.82),
        pytest.approx(0.72),
        250,
        "images",
        "%",
    )
    assert frame[frame.metric == "macs"]["low"].isna().all()
    assert frame.query("seed == 0").axes_swept == ["variant", "recipe.data.source.name"], (
        "what pandas leaves is one too"
    )


def test_of_a_job_alone_nothing_varies(sweep: Path):
    frame = load(sweep / "7-0-glyphs")
    assert len(frame) == 2 and frame.swept == []


def test_several_experiments_are_one_frame_and_each_has_its_own_grid(sweep: Path):
    other = {"task": "patch", "name": "patch", "target_class": 3, "sweep": {}}
    save(Result("patch", "patch/x", config=other, metrics={"f1": Estimate(0.5)}), sweep.parent / "patch" / "x")
    frame = load(sweep.parent)
    assert set(frame["experiment"]) == {"widths", "patch"} and len(frame) == 25
    with pytest.raises(UserError, match="takes one experiment, not patch, widths"):
        frame.to_xarray()


def failed(sweep: Path) -> str:
    leave(sweep, 7, 0, "glyphs", status="failed", metrics={}, error="out of memory")
    return "7-0-glyphs failed"


def never_run(sweep: Path) -> str:
    (sweep / "7-0-glyphs" / "result.json").unlink()
    return "variant=7 seed=0 recipe.data.source.name=glyphs"


def a_whole_seed(sweep: Path) -> str:
    """Only the sweep itself knows that there was to be one."""
    for place in sweep.glob("*-2-*"):
        (place / "result.json").unlink()
    return "4 of 12 jobs of the grid are missing"


@pytest.mark.parametrize("hole", [failed, never_run, a_whole_seed])
def test_holes_are_refused_unless_asked_for(hole: Any, sweep: Path):
    named = hole(sweep)
    with pytest.raises(UserError, match="jobs of the grid are missing") as refusal:
        load(sweep)
    assert named in str(refusal.value) and "holes=keep" in str(refusal.value) and "\n" not in str(refusal.value)
    kept = load(sweep, holes="keep")
    assert len(kept[kept.metric == "accuracy"]) in (11, 8)
    if hole is failed:
        assert list(kept[kept.status == "failed"]["metric"].isna()) == [True]


def test_a_damaged_table_is_refused_as_elsewhere(sweep: Path, capsys: pytest.CaptureFixture[str]):
    (sweep / "7-0-glyphs" / "tables" / "t.parquet").write_bytes(b"half")
    with pytest.raises(UserError, match=r"is damaged .* run the job again"):
        load(sweep, holes="keep")
    assert main(["show", str(sweep)]) == 2 and "is damaged" in capsys.readouterr().err
    with pytest.raises(UserError, match="holes=some: allowed is refuse, keep"):
        load(sweep, holes="some")  # type: ignore[arg-type]


def test_a_labelled_data_set(sweep: Path):
    pytest.importorskip("xarray")
    data = load(sweep).to_xarray()
    assert dict(data.sizes) == {"variant": 2, "seed": 3, "recipe.data.source.name": 2}
    chosen = data["accuracy"].sel(variant=7, seed=2)
    assert chosen.sel({"recipe.data.source.name": "digits"}).item() == pytest.approx(0.82)
    assert data["accuracy"].attrs == {"unit": "%", "of": "images"} and data["accuracy_low"].shape == (2, 3, 2)
    assert "macs_low" not in data and data["accuracy"].mean("seed").shape == (2, 2)
    never_run(sweep)
    with pytest.raises(UserError, match="1 of 12 jobs of the grid are missing"):
        load(sweep, holes="keep").to_xarray()
    holes = load(sweep, holes="keep").to_xarray(holes="keep")
    assert int(holes["accuracy"].isnull().sum()) == 1


def test_without_xarray_one_line_says_how_to_get_it(sweep: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(UserError, match=r"uv sync --extra xarray$"):
        load(sweep).to_xarray()


def test_means_over_seeds_are_shown_with_what_is_missing(sweep: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["show", str(sweep)]) == 0
    told = capsys.readouterr().out
    # t of two degrees of freedom 4.3027, deviation 0.01: half width 2.5 points
    assert "71.0 [68.5, 73.5]" in told and "Accuracy (%)" in told and "missing" not in told and "Macs" not in told
    never_run(sweep)
    leave(sweep, 7, 1, "glyphs", verdict_kind="no verdict")
    assert main(["show", str(sweep), "--metric", "accuracy", "--metric", "macs"]) == 0
    told = capsys.readouterr().out
    assert "note: " in told and "1 of 12 jobs of the grid are missing" in told and "1 M" in told
    assert any(line.split()[:3] == ["7", "glyphs", "72.0"] for line in told.splitlines()), "one of three seeds is left"


@pytest.mark.parametrize(
    ("more", "first"), [([], ["7", "digits", "81.0"]), (["--min"], ["baseline", "glyphs", "51.0"])]
)
def test_the_best_setting_comes_first(
    more: list[str], first: list[str], sweep: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["best", str(sweep), "--metric", "accuracy", *more]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "glyphs" in line or "digits" in line]
    assert rows[0][:3] == first and len(rows) == 4
    assert main(["best", str(sweep), "--metric", "acuracy"]) == 2
    assert "did you mean 'accuracy'?" in capsys.readouterr().err


def test_two_sweeps_are_compared_in_pairs(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for variant, seed, data in product(["baseline", 7], [0, 1], ["glyphs", "digits"]):
        config = json.loads((sweep / f"{variant}-{seed}-{data}" / "result.json").read_text())["config"]
        value = (0.5 if variant == "baseline" else 0.7) + 0.1 * (data == "digits") + 0.01 * seed + 0.2
        leave(tmp_path / "wide", variant, seed, data, metrics={"accuracy": Estimate(value), "macs": Estimate(1e6)},
              config={**config, "epochs": 9})  # fmt: skip
    assert main(["diff", str(sweep), str(tmp_path / "wide")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["seed", "0,", "1,", "2", "0,", "1"] in lines and ["epochs", "–", "9"] in lines
    (accuracy,) = [line for line in lines if line[:1] == ["accuracy"]]
    assert accuracy[1] == "%" and float(accuracy[4]) == 20 and accuracy[-1] == "8"
    assert not [line for line in lines if line[:1] == ["macs"]], "it does not differ"
    assert main(["diff", str(sweep / "7-0-glyphs"), str(sweep / "7-1-glyphs")]) == 0
    assert ["seed", "0", "1"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_files_hold_what_the_frame_holds(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for seed in (0, 1, 2):
        for variant in ("baseline", 7):
            (sweep / f"{variant}-{seed}-digits" / "result.json").unlink()
            config = json.loads((sweep / f"{variant}-{seed}-glyphs" / "result.json").read_text())["config"]
            leave(sweep, variant, seed, "digits", config={**config, "data": FORMULA})
    (sweep / "overview" / "result.json").unlink()
    frame = load(sweep)
    files = {ending: tmp_path / "new" / f"all.{ending}" for ending in ("csv", "parquet", "json")}
    for path in files.values():
        assert main(["export", str(sweep), "--to", str(path)]) == 0
    read = {"csv": pd.read_csv(files["csv"]), "parquet": pd.read_parquet(files["parquet"]),
            "json": pd.DataFrame(json.loads(files["json"].read_text()))}  # fmt: skip
    for ending, table in read.items():
        assert list(table.columns) == list(frame.columns) and list(table["value"]) == list(frame["value"]), ending
        assert set(table["variant"].astype(str)) == {"baseline", "7"}
    assert set(read["parquet"]["data"].dropna()) == {FORMULA}
    assert set(read["csv"]["data"].dropna()) == {f"'{FORMULA}"}, "a spreadsheet would run it"
    assert {path.name for path in (tmp_path / "new").iterdir()} == {path.name for path in files.values()}
    assert main(["export", str(sweep), "--to", str(tmp_path / "all.xls")]) == 2
    (sweep / "7-0-glyphs" / "result.json").unlink()
    assert main(["export", str(sweep), "--to", str(files["csv"])]) == 2
    assert main(["export", str(sweep), "--to", str(files["csv"]), "--holes", "keep"]) == 0
