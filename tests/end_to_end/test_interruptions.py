"""Ctrl-C leaves a result that says so, and the same command goes on to the numbers of a job never interrupted."""

import signal

import pytest

from tests.end_to_end.conftest import TINY

JOB = ("experiment=patch_weak", *TINY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("interrupted")


@pytest.mark.parametrize("where", ["resume.ckpt", "search.safetensors"])
def test_interrupted(where, run, folder):
    """In the training, where Lightning would end the process with a result unsaid, and in the search."""
    ran = run(folder, *JOB, strike=(signal.SIGINT, f"{folder}/store/**/{where}"))
    assert ran.code == 130
    assert ran.result["status"] == "interrupted" and "goes on from here" in ran.result["error"]
    assert not ran.result["metrics"] and not ran.result["verdict"]
    assert "Traceback" not in ran.text


def test_goes_on_to_the_same_numbers(run, folder, tiny):
    ran = run(folder, *JOB)
    assert ran.code == 0, ran.text
    assert ran.result["status"] == "ok" and ran.result["metrics"] == tiny.result["metrics"]
    curves, unbroken = ((each.result["folder"] / "curves.csv").read_text().splitlines() for each in (ran, tiny))
    assert sorted(curves) == sorted(unbroken), "those of what was in the store already, too"


def test_a_damaged_result_is_written_anew(run, folder, tiny):
    (path,) = folder.rglob("result.json")
    path.write_text(path.read_text()[:500])
    ran = run(folder, *JOB)
    assert ran.code == 0 and ran.result["metrics"] == tiny.result["metrics"]


def test_an_interrupted_sweep_ends_with_one_line(run, tmp_path):
    ran = run(tmp_path, "-m", *JOB, "target_class=0,1", strike=(signal.SIGINT, f"{tmp_path}/store/**/resume.ckpt"))
    assert ran.code == 130
    assert ran.text.strip().splitlines()[-1].startswith("interrupted")
    assert [result["status"] for result in ran.results] == ["interrupted"]
    assert "Traceback" not in ran.text
