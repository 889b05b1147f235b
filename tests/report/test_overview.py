import pytest

from src.core.estimate import Estimate
from src.core.result import Explorer, Figure, Result, load, rows, save
from src.report.__main__ import main
from src.report.explorer import read
from src.report.overview import curves_of, overview, write_overview
from src.report.rebuild import rebuild


def sweep(root, jobs=3):
    """Jobs with rows and learning curves; the last one failed, and left neither."""
    folders = []
    for variant in range(jobs):
        result = Result(
            "train", f"widths/variant={variant}", config={"variant": variant, "seed": variant % 2, "lr": 0.1}
        )
        folders.append(root / f"variant={variant}")
        if variant == jobs - 1:
            result.status, result.error = "failed", "out of memory"
        else:
            result.row = {
                "variant": variant,
                "xi": 0.5 * variant,
                "widths": [2, 3 + variant],
                "job": "no",
                "accuracy": 0,
            }
            result.metrics = {"accuracy": Estimate(0.5, 0.4, 0.6, 10, "images")}
            result.units = {"accuracy": "%"}
            result.tables["training"] = {
                "network": ["n"] * 2, "split": ["train", "validation"], "epoch": [0, 0], "loss": [1.0, 2.0],
                "accuracy": [0.1 * variant, 0.2], "curve": ["n, train", "n, validation"],
            }  # fmt: skip
            if variant == 1:
                result.tables["training"]["seconds"] = [1, 2]
        save(result, folders[-1])
    return folders


def test_a_jobs_row_comes_after_its_name(tmp_path):
    table = overview(sweep(tmp_path), tmp_path / "overview" / "page.html").tables["jobs"]
    # `variant` is told once, a metric is not overruled by the row, and nobody but us says which job it is
    assert list(table)[:6] == ["job", "outcome", "variant", "xi", "widths", "accuracy"]
    assert table["variant"] == [0, 1, 2] and table["xi"] == [0.0, 0.5, None]  # as its settings say it, where it failed
    assert table["widths"] == [[2, 3], [2, 4], None]
    assert table["accuracy"] == [0.5, 0.5, None]
    assert table["job"] == ["variant=0", "variant=1", "variant=2"]
    assert table["note"] == ["", "", "out of memory"]
    assert "[2, 3]" not in write_overview(sweep(tmp_path), tmp_path / "o.html").read_text()  # lists of words, no Python


def test_a_whole_grid_of_judged_jobs_says_how_many_and_how_much(tmp_path):
    folders = []
    for number, (target, seed) in enumerate((target, seed) for target in (0, 1) for seed in (0, 1)):
        kind = "success" if seed or target else "no success"
        result = Result(
            "t", f"p/{number}", config={"target": target, "seed": seed}, verdict_kind=kind, units={"gain": "%"}
        )
        result.metrics = {"gain": Estimate(0.1 + 0.1 * target + 0.2 * seed)}
        folders.append(tmp_path / str(number))
        save(result, folders[-1])
    page = tmp_path / "o.html"
    assert overview(folders, page).verdict.startswith(
        "4 jobs (success: 3, no success: 1); Gain: 25.0% [-102.1, 152.1], mean of all settings over 2 seeds"
    )
    assert overview(folders[:3], page).verdict == "3 jobs (success: 2, no success: 1)"  # one setting has a seed less


def test_a_few_settings_without_a_verdict_say_what_each_came_to(tmp_path):
    folders = []
    for number, (change, seed) in enumerate((change, seed) for change in ("add", "drop") for seed in (0, 1)):
        result = Result("t", f"p/{number}", config={"change": change, "seed": seed}, units={"lost": "points"})
        result.metrics = {"lost": Estimate(0.01 * (number + 1))}
        folders.append(tmp_path / str(number))
        save(result, folders[-1])
    said = overview(folders, tmp_path / "o.html").verdict
    assert said.startswith(
        "4 jobs (finished: 4); Lost, mean over seeds: add +1.5 points [-4.9, +7.9], drop +3.5 points"
    )
    one = overview(folders[:2], tmp_path / "o.html").verdict
    assert one.startswith("2 jobs (finished: 2); Lost, mean over seeds: +1.5 points")


def test_the_curves_of_all_jobs_are_one_table(tmp_path):
    folders = sweep(tmp_path)
    (folders[2] / "tables").mkdir()
    (folders[2] / "tables" / "training.parquet").write_bytes(b"half a file")
    table = curves_of([*folders, tmp_path / "never started"])
    assert list(table) == ["job", "network", "split", "epoch", "loss", "accuracy", "curve", "seconds"]
    assert [(row["job"], row["split"], row["seconds"]) for row in rows(table)] == [
        ("variant=0", "train", None), ("variant=0", "validation", None),
        ("variant=1", "train", 1), ("variant=1", "validation", 2),
    ]  # fmt: skip
    assert curves_of([]) == {}


def test_overview_and_curves_make_an_explorer(tmp_path):
    folders = sweep(tmp_path)
    result = overview(folders, tmp_path / "overview" / "page.html")
    result.tables["curves"] = curves_of(folders)
    result.explorer = Explorer("jobs", "variant", ("accuracy",), profile="widths", curves="curves")
    found = read(result)
    assert [line[:2] for line in found["curves"]["lines"]] == [
        [0, "train"], [0, "validation"], [1, "train"], [1, "validation"],
    ]  # fmt: skip
    assert (
        next(column for column in found["columns"] if column["key"] == "job")["targets"][0]
        == "./../variant%3D0/result.json"
    )


def test_a_jobs_page_is_made_anew(tmp_path):
    result = Result("t", "n", tables={"a": {"x": ["p", "q"], "y": [1.0, 2.0]}}, verdict="as it was")
    result.figures = [Figure("bars", "a", "Bars", x="x", y="y"), Figure("bars", "a", "Gone", x="x", y="z")]
    save(result, tmp_path)
    page = rebuild(tmp_path)
    assert page == tmp_path / "page.html"
    assert "as it was" in page.read_text() and "&#39;Gone&#39; could not be drawn" in page.read_text()
    assert (tmp_path / "figures" / "bars.png").exists()


def test_a_sweeps_page_is_made_anew_or_by_whom_is_asked(tmp_path):
    folders = sweep(tmp_path)
    assert rebuild(tmp_path) == tmp_path / "overview" / "page.html"
    assert "out of memory" in (tmp_path / "overview" / "page.html").read_text()
    save(Result("compare", "the last comparison"), tmp_path)
    asked = []

    def compare(found, path):
        asked.append((list(found), path))
        return path

    assert rebuild(tmp_path, compare) == tmp_path / "overview" / "page.html"
    assert asked == [(folders, tmp_path / "overview" / "page.html")]


def damaged(folder):
    (folder / "result.json").write_text("{")


def other_format(folder):
    (folder / "result.json").write_text('{"format": 1}')


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: folder.rmdir(), "no such folder"),
        (lambda folder: None, "holds no result.json at any depth"),
        (damaged, "its result cannot be read"),
        (other_format, "another format"),
    ],
)
def test_what_cannot_be_made_is_one_line(tmp_path, capsys, prepare, said):
    folder = tmp_path / "here"
    folder.mkdir()
    prepare(folder)
    save(Result("t", "n"), tmp_path / "good")
    assert main([str(folder), str(tmp_path / "good")]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ") and said in told.err and told.err.count("\n") == 1
    assert "good/page.html" in told.out  # the others are made all the same


def test_jobs_that_all_failed_still_make_a_table_that_can_be_saved(tmp_path):
    for number, variant in enumerate(("baseline", 7)):
        failed = Result("t", f"x/{number}", status="failed", error="no", config={"variant": variant})
        save(failed, tmp_path / str(number))
    result = overview([tmp_path / "0", tmp_path / "1"], tmp_path / "overview" / "page.html")
    save(result, tmp_path / "overview")
    assert load(tmp_path / "overview").tables["jobs"]["Variant"] == ["baseline", "7"]


def test_a_job_whose_table_or_result_was_changed_stands_there_as_damaged(tmp_path, capsys):
    folders = sweep(tmp_path, 4)
    table = folders[0] / "tables" / "training.parquet"
    content = bytearray(table.read_bytes())
    content[len(content) // 3] ^= 4
    table.write_bytes(content)
    (folders[1] / "result.json").write_text((folders[1] / "result.json").read_text().replace('"xi": 0.5', '"xi": 0.7'))
    found = overview(folders, tmp_path / "overview" / "page.html").tables["jobs"]
    assert found["outcome"] == ["failed", "failed", "finished", "failed"]
    assert "training.parquet has another checksum" in found["note"][0] and "checksum does not hold" in found["note"][1]
    assert found["accuracy"][:2] == [None, None] and set(curves_of(folders)["job"]) == {"variant=2"}
    assert main([str(tmp_path), str(folders[0])]) == 2
    assert "4 jobs (failed: 3, finished: 1)" in (tmp_path / "overview" / "page.html").read_text()
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "training.parquet has another checksum" in told


def test_copies_and_tiny_jobs_beside_whole_ones_do_not_count(tmp_path):
    for name, identity, tiny in (("a", "1", False), ("again", "1", False), ("b", "2", False), ("quick", "3", True)):
        result = Result("train", f"widths/{name}", identity=identity, config={"seed": 0, "lr": 0.1, "tiny": tiny})
        save(result, tmp_path / name)
    shown = overview(sorted(tmp_path.iterdir()), tmp_path / "page.html")
    assert [str(name) for name in shown.tables["jobs"]["job"]] == ["a", "b"]
    assert any("1 jobs of debug=tiny" in event for event in shown.events)
    assert any("1 jobs are left out: they are copies" in event for event in shown.events)
