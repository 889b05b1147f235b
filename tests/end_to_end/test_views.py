"""The views of a job through the command line: the page, an offline W&B run, and neither where neither is asked for."""

from tests.report.test_wandb_view import read_back

TINY = ("experiment=patch_weak", "debug=tiny", "traceback=false")


def test_page_and_offline_run(run, tmp_path):
    private = {name: str(tmp_path / "wandb") for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")}
    ran = run(tmp_path, *TINY, "logger.tags=[glyphs,first]", **private)
    assert ran.code == 0, ran.text
    folder = ran.result["folder"]
    page = (folder / "page.html").read_text()
    assert ran.result["verdict"].split("'")[0] in page and "plotly" in page
    assert str(folder / "page.html") in ran.text
    offline = read_back(folder)
    assert (offline[0].run_group, offline[0].job_type) == ("patch_weak", "patch")
    assert list(offline[0].tags) == ["glyphs", "first"]
    assert offline[2]["f1_patched"] == ran.result["metrics"]["f1_patched"]["value"]


def test_without_them_their_packages_are_not_imported(tiny):
    assert tiny.text.splitlines()[-1] == "imported: ['torch']"


def test_a_tracked_job_imports_them(run, tmp_path):
    """Or the test above would not see them."""
    ran = run(tmp_path, *TINY, "logger.mode=offline", "strong.data.splits.validation=0", watch=["wandb", "plotly"])
    assert ran.code == 1 and ran.text.splitlines()[-1] == "imported: ['wandb']"
