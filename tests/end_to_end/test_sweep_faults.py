"""Sweeps that are killed, stopped, damaged, run twice at once or on a full disk: nothing finished is lost, nothing
broken is believed, and the same command ends with the numbers of an unbroken run.
"""

import json
import os
import random
import shutil
import signal
import subprocess

import pytest

from tests.end_to_end import kills
from tests.end_to_end.conftest import TINY
from tests.end_to_end.kills import differences, numbers

SWEEP = kills.COMMANDS["sweep"]
CORES = kills.COMMANDS["cores"]
ONE = (*(part for part in SWEEP if not part.startswith("variant=")), "variant=192", "hydra.mode=RUN")


@pytest.fixture(scope="module")
def unbroken(run, tmp_path_factory):
    ran = run(tmp_path_factory.mktemp("unbroken"), *SWEEP)
    assert ran.code == 0, ran.text
    return ran


@pytest.fixture(scope="module")
def expected(unbroken):
    return numbers(unbroken)


@pytest.fixture
def finished(unbroken, tmp_path):
    """A copy of the unbroken sweep, to be damaged."""
    return shutil.copytree(unbroken.outputs, tmp_path / "copy")


def ends_right(ran, expected):
    assert ran.code == 0, ran.text
    assert not differences(numbers(ran), expected)
    assert "Traceback" not in ran.text
    return True


def test_killed_twice_it_ends_with_the_same_numbers(run, unbroken, expected, tmp_path):
    draw = random.Random(3)
    for _ in range(2):
        assert kills.killed(run, tmp_path, SWEEP, unbroken.seconds, draw)
    assert ends_right(run(tmp_path, *SWEEP), expected)


@pytest.mark.slow
def test_killed_with_its_workers_at_work(run, expected, tmp_path):
    """For a moment they work on as the same command begins: locks keep the two apart. Then they end by themselves."""
    ran = run(tmp_path, *CORES, strike=(signal.SIGKILL, f"{tmp_path}/store/**/resume.ckpt"))
    assert ran.code == -signal.SIGKILL
    assert kills.processes(ran.session), "no worker was left, so nothing was tried"
    assert ends_right(run(tmp_path, *SWEEP), expected)
    assert kills.gone(ran.session)


def began(folder):
    """A file that is there as soon as the next command trains."""
    for curves in folder.glob("layer_widths/*/curves.csv"):
        curves.unlink()
    return f"{folder}/layer_widths/*/curves.csv"


@pytest.mark.slow
def test_stopped_it_leaves_no_process_and_goes_on(run, expected, tmp_path):
    ended = run(tmp_path, *CORES, strike=(signal.SIGTERM, began(tmp_path)))
    assert ended.code == 143 and kills.gone(ended.session), ended.text
    assert "interrupted; the same command goes on from here" in ended.text and "Traceback" not in ended.text
    struck = run(tmp_path, *CORES, strike=(signal.SIGKILL, began(tmp_path), "worker"))
    assert "a worker ended before its job" in struck.text
    assert ends_right(struck, expected) and kills.gone(struck.session)


def test_stopped_in_one_process_the_job_says_so(run, expected, tmp_path):
    ran = run(tmp_path, *SWEEP, strike=(signal.SIGTERM, began(tmp_path)))
    assert ran.code == 143 and "Traceback" not in ran.text
    (result,) = ran.results
    assert result["status"] == "interrupted" and not result["metrics"]
    assert not list(tmp_path.glob("layer_widths/.sweeps"))
    assert ends_right(run(tmp_path, *SWEEP), expected)


def test_a_finished_result_outlives_an_interrupted_second_run(run, finished):
    shutil.rmtree(finished / "store")
    again = run(finished, *ONE, strike=(signal.SIGINT, f"{finished}/store/**/resume.ckpt"))
    assert again.code == 130, again.text
    assert {result["status"] for result in again.results} == {"ok"}


@pytest.mark.parametrize("limit", [pytest.param(60_000, marks=pytest.mark.slow), 3_000])
def test_files_that_cannot_grow(limit, run, expected, tmp_path):
    """60 kB hold a result but no weights; 3 kB not even a result."""
    ran = run(tmp_path, *SWEEP, largest_file=limit)
    assert ran.code == 1 and "Traceback" not in ran.text
    said = [line for line in ran.text.splitlines() if "File too large" in line]
    folder = "outputs/layer_widths/" if limit == 60_000 else str(tmp_path)  # as the result says it, or the process
    assert said and all(f"for {folder}" in line and "make room" in line for line in said), ran.text
    assert all(result["status"] == "failed" for result in ran.results) and not ran.store
    assert not list(tmp_path.glob("store/*/*/manifest.json"))
    assert ends_right(run(tmp_path, *SWEEP), expected)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk, and not in every container")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(run, expected, small_disk):
    ran = run(small_disk, *SWEEP)
    assert ran.code == 1 and "Traceback" not in ran.text
    assert "No space left on device" in ran.text and str(small_disk) in ran.text
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    assert ends_right(run(small_disk, *SWEEP), expected)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def retype(path):
    """Valid JSON of the wrong types, as no program of ours would write it."""
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "tables": 5, "row": "x", "metrics": None}))


def empty(path):
    path.write_bytes(b"")


def test_what_was_damaged_is_made_again_and_told(run, finished, expected):
    first, second, third = sorted(finished.glob("layer_widths/variant*"))
    digests = [json.loads((first / "result.json").read_text())["uses"][0]]
    flip(finished / "store" / "checkpoint" / digests[0] / "best.safetensors")
    truncate(first / "result.json")
    flip(second / "tables" / "training.parquet")
    retype(third / "result.json")
    truncate(finished / "layer_widths" / "overview" / "tables" / "jobs.parquet")
    ran = run(finished, *SWEEP)
    assert ends_right(ran, expected) and "done already" not in ran.text
    for result in ran.results:
        assert any("the result in this folder was damaged" in event for event in result["events"])
    (mended,) = [result for result in ran.results if result["folder"] == first]
    assert any(f"{digests[0]} is damaged (best.safetensors" in event for event in mended["events"])
    for damage in (empty, lambda path: path.write_text("[1]"), flip):
        damage(first / "result.json")
        ran = run(finished, *SWEEP)
        assert ends_right(ran, expected) and "2 of 3 jobs are done already" in ran.text


@pytest.mark.parametrize("damage", [pytest.param(truncate, marks=pytest.mark.slow), flip])
def test_a_damaged_checkpoint_of_a_killed_training(damage, run, expected, tmp_path):
    run(tmp_path, *SWEEP, strike=(signal.SIGKILL, f"{tmp_path}/store/**/resume.ckpt"))
    (path,) = tmp_path.glob("store/**/resume.ckpt")
    damage(path)
    ran = run(tmp_path, *SWEEP)
    assert ends_right(ran, expected)
    assert any("was damaged" in event for result in ran.results for event in result["events"])


def test_two_sweeps_in_one_folder_at_once(run, expected, tmp_path):
    ran = run(tmp_path, *SWEEP, copies=2)
    (twin,) = ran.twins
    assert ends_right(ran, expected) and ends_right(twin, expected)
    told = [line for text in (ran.text, twin.text) for line in text.splitlines() if "/3 " in line]
    assert sum("done by another sweep" in line for line in told) == len(told) - 3, "each job ran once"


def test_two_runs_of_one_job_at_once(run, tmp_path, tiny):
    ran = run(tmp_path, "experiment=patch_weak", *TINY, copies=2)
    assert [ran.code, ran.twins[0].code] == [0, 0], ran.text + ran.twins[0].text
    assert any("another process is at this job" in one.text for one in (ran, *ran.twins))
    found = numbers(tiny)
    assert not [line for line in differences(numbers(ran), found) if not line.startswith("only in one")]
    assert not list(ran.outputs.rglob(".*.*"))
