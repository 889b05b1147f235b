"""Several jobs at once: one strong network, one set of modules, the same bits on any launcher, honest exit codes."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.end_to_end.conftest import TINY, Ran, Run

TARGETS = "target_class=0,1,2"
FOLDER = ("task=train", "data@recipe.data=image_folder", "recipe.data.source.size=32", *TINY)


@pytest.fixture(scope="module")
def sweep(run, tmp_path_factory):
    ran = run(tmp_path_factory.mktemp("cores"), "-m", "experiment=patch_weak", TARGETS, "hydra/launcher=cores", *TINY)
    assert ran.code == 0, ran.text
    return ran


def kinds(ran):
    return sorted(f"{entry['kind']} {entry['recipe'].get('model', {}).get('name', '')}".strip() for entry in ran.store)


def test_jobs_at_once_share_one_strong_network_and_one_set_of_modules(sweep):
    assert len(sweep.results) == 3
    # three weak networks and the same three retrained; whoever came second waited and found the rest
    assert kinds(sweep) == ["checkpoint simcnn", *["checkpoint simcnn_weak"] * 6, "modules"]
    shared = set.intersection(*(set(result["uses"]) for result in sweep.results))
    assert shared == {
        entry["digest"] for entry in sweep.store if entry["recipe"].get("model", {}).get("name") in (None, "simcnn")
    }


def test_every_job_is_told_and_counted(sweep):
    lines = sweep.text.splitlines()
    told = [line.split()[:3] for line in lines if "/3 " in line]
    assert [(count, status) for count, status, _ in told] == [("1/3", "ok"), ("2/3", "ok"), ("3/3", "ok")]
    assert {label for _, _, label in told} == {"target0-seed0", "target1-seed0", "target2-seed0"}
    assert any(line.startswith("3 jobs: 3 ended, 0 failed") for line in lines)


def test_a_single_run_gives_the_same_bits_in_the_same_folder(sweep, tiny):
    (twin,) = [result for result in sweep.results if result["config"]["target_class"] == 0]
    assert twin["folder"].name == tiny.result["folder"].name
    assert same(twin["metrics"], tiny.result["metrics"])


def test_one_failing_job_fails_the_sweep_and_leaves_the_others(run, tmp_path):
    images(tmp_path / "whole", 20)
    shutil.copytree(tmp_path / "whole", tmp_path / "damaged")
    (tmp_path / "damaged" / "dark" / "3.png").write_bytes(b"no image")
    root = f"recipe.data.source.root={tmp_path / 'whole'},{tmp_path / 'damaged'}"
    ran = run(tmp_path / "out", "-m", *FOLDER, "seed=0", root)
    assert ran.code == 1
    assert sorted(result["status"] for result in ran.results) == ["failed", "ok"]
    assert "2 jobs: 1 ended, 1 failed" in ran.text and "Traceback" not in ran.text


def same(first, second):
    return first.keys() == second.keys() and all(
        a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))
        for name in first
        for a, b in zip(first[name].values(), second[name].values(), strict=True)
    )


def images(folder: Path, count: int, start: int = 0) -> None:
    generator = torch.Generator().manual_seed(start)
    for name in ("light", "dark"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(start, start + count):
            noise = torch.rand(32, 32, 3, generator=generator) * 128 + (127 if name == "light" else 0)
            Image.fromarray(noise.to(torch.uint8).numpy()).save(folder / name / f"{number}.png")


def test_changed_images_are_noticed_and_a_copy_of_them_is_not(run: Run, tmp_path: Path):
    def sweep(folder: Path) -> Ran:
        return run(tmp_path / "out", "-m", *FOLDER, "seed=0,1", f"recipe.data.source.root={folder}")

    images(tmp_path / "photos", 20)
    first = sweep(tmp_path / "photos")
    assert first.code == 0, first.text
    shutil.copytree(tmp_path / "photos", tmp_path / "copy")
    assert "2 of 2 jobs are done already" in sweep(tmp_path / "copy").text
    images(tmp_path / "photos", 5, start=20)
    grown = sweep(tmp_path / "photos")
    assert grown.code == 0 and "done already" not in grown.text
    assert len(grown.results) == 4 and len(grown.store) == 4


@pytest.mark.slow  # the choice and what the overview says are tested alone
def test_a_sample_leaves_the_rest_open_and_the_same_command_without_it_goes_on(run: Run, tmp_path: Path):
    images(tmp_path / "photos", 20)
    line = ["-m", *FOLDER, f"recipe.data.source.root={tmp_path / 'photos'}", "seed=0,1,2", "data_seed=0,1"]
    first = run(tmp_path / "out", *line, "sweep.sample=3")
    assert first.code == 0 and {result["config"]["seed"] for result in first.results} == {0, 1, 2}, first.text
    assert "a sample of the grid: 3 more jobs stay open" in first.overview["events"][-1]
    again = run(tmp_path / "out", *line, "sweep.sample=3")
    assert "3 of 3 jobs are done already" in again.text
    whole = run(tmp_path / "out", *line)
    assert "3 of 6 jobs are done already" in whole.text and len(whole.results) == 6
    assert not any("sample" in event for event in whole.overview["events"])
    late = run(tmp_path / "out", *line, "sweep.rerun=true", "sweep.max_hours=1e-9")
    assert late.code == 1 and "6 not started" in late.text
    assert late.text.splitlines()[-1].startswith("6 of 6 jobs were not started (sweep.max_hours=1e-09)")
