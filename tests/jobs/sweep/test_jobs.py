from pathlib import Path

import pytest

from src.core import result as results
from src.core.configuration import identity, setting
from src.core.result import FILE, Result
from src.jobs.sweep.jobs import Job, is_done, longest_first, stages
from src.tasks import versions as planning


def job(name, expense=0.0, **config):
    return Job((f"name={name}",), Path(name), config, expense)


@pytest.fixture
def finished(tmp_path):
    result = Result("train", "x/y", identity="abc", version="2", tables={"t": {"a": [1, 2]}})
    results.save(result, tmp_path)
    return tmp_path


def test_a_whole_result_of_the_same_identity_and_version_is_done(finished):
    assert is_done(finished, "abc", "2")


@pytest.mark.parametrize(("wanted", "version"), [("abd", "2"), ("abc", "3")])
def test_another_identity_or_an_older_version_is_not(finished, wanted, version):
    assert not is_done(finished, wanted, version)


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_what_did_not_end_well_is_not_done(tmp_path, status):
    results.save(Result("train", "x/y", status=status, identity="abc"), tmp_path)
    assert not is_done(tmp_path, "abc", "")


def test_nothing_broken_is_believed(finished, tmp_path):
    assert not is_done(tmp_path / "missing", "abc", "2")
    table = finished / "tables" / "t.parquet"
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    assert not is_done(finished, "abc", "2")
    table.unlink()
    assert not is_done(finished, "abc", "2")
    table.write_bytes(whole)
    assert is_done(finished, "abc", "2")
    text = (finished / FILE).read_text()
    for damaged in (text[: len(text) // 2], "", "[]"):
        (finished / FILE).write_text(damaged)
        assert not is_done(finished, "abc", "2")


def test_the_longest_job_goes_first_and_equals_keep_their_order():
    jobs = [job("a", 1.0), job("b", 3.0), job("c", 1.0), job("d", 3.0)]
    assert [str(found.folder) for found in longest_first(jobs)] == ["b", "d", "a", "c"]


def patch_job(name, target, strong=0, ratio=0.5, expense=0.0):
    return job(
        name, expense, task="patch", strong={"seed": strong}, importance={}, sensitivity={"r": ratio}, search={},
        seed=strong, target_class=target,
    )  # fmt: skip


def test_ten_patches_of_one_strong_network_share_one_stage():
    jobs = [patch_job(str(target), target, expense=target) for target in range(10)]
    assert stages(jobs, planning.ancestors) == {"modules": [jobs[9]]}


def test_each_distinct_ancestor_is_made_once():
    jobs = [patch_job(f"{target}{seed}", target, seed) for target in range(2) for seed in range(3)]
    assert [found.folder.name for found in stages(jobs, planning.ancestors)["modules"]] == ["00", "01", "02"]


def test_one_strong_network_below_different_searches_is_a_stage_of_its_own():
    jobs = [patch_job(f"{target}{ratio}", target, 0, ratio) for target in range(2) for ratio in (0.25, 0.5)]
    found = stages(jobs, planning.ancestors)
    assert list(found) == ["strong", "modules"] and [len(group) for group in found.values()] == [1, 2]


def test_what_only_one_job_needs_is_left_to_it():
    assert stages([patch_job("a", 0), patch_job("b", 0, strong=1)], planning.ancestors) == {}
    assert stages([job("a", task="train"), job("b", task="train")], planning.ancestors) == {}


def test_the_setting_of_a_comparison_leaves_out_what_it_varies():
    first, second = ({"variant": 1, "seed": s, "features": f, "recipe": {"seed": s}} for s, f in ((0, 1.0), (1, 1.0)))
    assert setting(first, ["variant", "seed"]) == setting(second, ["variant", "seed"])
    assert setting(first, ["variant", "seed"]) != setting({**first, "features": 0.5}, ["variant", "seed"])
    assert identity(first) != identity(second)


def test_jobs_are_not_compared_in_pairs(monkeypatch):
    """Which grows with their square: minutes for 20,000."""
    jobs = [patch_job(f"{target}{seed}", target, seed) for target in range(2) for seed in range(9)]
    monkeypatch.setattr(Job, "__eq__", lambda *_: pytest.fail("two jobs were compared"))
    found = stages(jobs, planning.ancestors)
    assert {stage: len(group) for stage, group in found.items()} == {"modules": 9}
