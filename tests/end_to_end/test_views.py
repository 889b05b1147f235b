"""The views of a job through the command line: the page, an offline W&B run, and neither where neither is asked for."""

import subprocess
import sys

from tests.end_to_end.conftest import ROOT
from tests.report.test_wandb_view import read_back

TINY = ("experiment=patch_weak", "debug=tiny", "traceback=false")


def test_page_and_offline_run(run, tmp_path):
    ran = run(tmp_path, *TINY, WANDB_DATA_DIR=str(tmp_path / "wandb"), WANDB_CACHE_DIR=str(tmp_path / "wandb"))
    assert ran.code == 0, ran.text
    folder = ran.result["folder"]
    page = (folder / "page.html").read_text()
    assert ran.result["verdict"].split("'")[0] in page and "plotly" in page
    assert str(folder / "page.html") in ran.text
    offline = read_back(folder)
    assert (offline[0].run_group, offline[0].job_type) == ("patch_weak", "patch")


def test_without_them_their_packages_are_not_imported(tmp_path):
    script = (
        "import sys; from src import run; code = run.main(sys.argv[1:]);"
        "print(sorted({'wandb', 'plotly'} & set(sys.modules))); sys.exit(code)"
    )
    argv = [*TINY, "logger=csv", "report=none", f"outputs={tmp_path}"]
    ran = subprocess.run([sys.executable, "-c", script, *argv], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "[]"
