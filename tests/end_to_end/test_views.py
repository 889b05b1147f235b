"""The views of a job through the command line: the page, an offline W&B run, and neither where neither is asked for."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.end_to_end.conftest import ROOT
from tests.end_to_end.test_multirun import images
from tests.report.test_wandb_view import artifacts_in, read_back

TINY = ("experiment=patch_weak", "debug=tiny", "traceback=false")


def test_page_and_offline_run(run, tmp_path):
    private = {name: str(tmp_path / "wandb") for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")}
    ran = run(tmp_path, *TINY, "logger.tags=[glyphs,'${oc.env:SECRET}']", **private, SECRET="geheim-4711")
    assert ran.code == 0, ran.text
    folder = ran.result["folder"]
    page = (folder / "page.html").read_text()
    assert ran.result["verdict"].split("'")[0] in page and "plotly" in page
    assert str(folder / "page.html") in ran.text
    assert f"wandb sync {tmp_path}/store/wandb {folder}/wandb" in ran.text
    offline = read_back(folder)
    assert (offline[0].run_group, offline[0].job_type) == ("patch_weak", "patch")
    assert list(offline[0].tags) == ["glyphs", "${oc.env:SECRET}", "simcnn", "simcnn_weak"]
    told, digests = artifacts_in(folder), ran.result["uses"]
    assert {name for name, how in told.items() if how == "made"} == {f"patched-{ran.result['identity']}"}
    assert {name.split("-")[1] for name in told if name.startswith(("network", "modules"))} == set(digests)
    stages = tmp_path / "store" / "wandb"
    assert {path.name.split("-")[-1] for path in stages.glob("offline-run-*")} == set(digests)
    assert offline[1]["environment"]["commit"] == ran.result["environment"]["revision"]
    assert offline[2]["f1_patched"] == ran.result["metrics"]["f1_patched"]["value"]
    assert not [path for path in folder.rglob("*") if path.is_file() and says(path, "geheim-4711")]
    written = [*folder.rglob("*"), *stages.rglob("*")]
    views = [path for path in written if path.suffix in (".json", ".html", ".csv", ".log", ".wandb", ".txt")]
    assert len(views) > 20 and not [path for path in views if says(path, str(tmp_path), str(ROOT))]


def says(path, *texts):
    return any(text.encode() in path.read_bytes() for text in texts)


@pytest.mark.slow
def test_results_say_neither_where_they_were_made_nor_what_the_environment_held(run, tmp_path):
    """And they are found again, compared and kept where they were moved to."""
    home, data, outputs = tmp_path / "home-of-anna", tmp_path / "disk" / "photos", tmp_path / "home-of-anna" / "out"
    images(data / "geheim-4711", 20)
    shutil.copytree(data / "geheim-4711", data / "damaged")
    (data / "damaged" / "dark" / "3.png").write_bytes(b"no image")
    private = {name: str(tmp_path / "wandb") for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")}
    environment = {"HOME": str(home), "SECRET": "geheim-4711", "TIMES": "not-a-number", **private}
    roots = "recipe.data.source.root=${data_root}/${oc.env:SECRET},${data_root}/damaged"
    sweep = (
        "-m", "task=train", "data@recipe.data=image_folder", "recipe.data.source.size=32", "debug=tiny",
        f"data_root={data}", "seed=0,1", roots,
    )  # fmt: skip
    ran = run(outputs, *sweep, **environment)
    assert sorted(result["status"] for result in ran.results) == ["failed", "failed", "ok", "ok"], ran.text
    assert all("data_root/damaged/dark/3.png" in result["error"] for result in ran.results if result["error"])
    assert {result["config"]["outputs"] for result in ran.results} == {"outputs"}
    (ended,) = {result["config"]["recipe"]["data"]["source"]["root"] for result in ran.results if not result["error"]}
    assert ended == "data_root/${oc.env:SECRET}"
    mistake = run(
        outputs, *sweep[1:5], "recipe.data.source.root=x", "recipe.training.epochs=${oc.env:TIMES}", **environment
    )
    assert mistake.code == 2 and "epochs=${oc.env:TIMES}" in mistake.text and "not-a-number" not in mistake.text

    def speaking():
        files = [path for path in outputs.rglob("*") if path.is_file()]
        assert {".json", ".html", ".csv", ".log", ".wandb", ".parquet"} <= {path.suffix for path in files}
        return [path for path in files if says(path, "geheim-4711", str(home), str(data), str(outputs), str(ROOT))]

    assert not speaking()
    outputs = outputs.rename(tmp_path / "moved")
    assert "2 of 4 jobs are done already" in run(outputs, *sweep, **environment).text
    command = [sys.executable, "-m", "src.report", str(outputs / "train")]
    assert not subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
    pruned = run(outputs, "task=store", "prune=unused", **environment)
    assert pruned.code == 0 and pruned.results[-1]["metrics"]["entries"]["value"] == 2, pruned.text
    assert not speaking()


def test_without_them_their_packages_are_not_imported(tiny):
    assert tiny.text.splitlines()[-1] == "imported: ['torch']"


def test_a_tracked_job_imports_them(run, tmp_path):
    """Or the test above would not see them."""
    ran = run(tmp_path, *TINY, "logger.mode=offline", "strong.data.splits.validation=0", watch=["wandb", "plotly"])
    assert ran.code == 1 and ran.text.splitlines()[-1] == "imported: ['wandb']"
