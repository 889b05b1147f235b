import json
import os

import pytest

from src.core.claims import CLAIM
from src.jobs.sweep.outcomes import Outcomes, new_id, remove_dead


def outcome(folder, status="ok"):
    return {"status": status, "label": folder.name, "verdict": "said", "folder": str(folder), "seconds": 1.0}


def test_what_jobs_record_is_read_by_the_parent(tmp_path):
    outcomes = Outcomes(tmp_path, "one")
    assert outcomes.read() == {} and outcomes.failures() == 0
    for name, status in (("b", "ok"), ("a", "failed"), ("c", "interrupted")):
        outcomes.record(outcome(tmp_path / name, status))
    assert [found["label"] for found in outcomes.read().values()] == ["b", "a", "c"], "in the order of their ends"
    assert outcomes.failures() == 2


def test_two_sweeps_in_one_folder_do_not_meet(tmp_path):
    first, second = Outcomes(tmp_path, "one"), Outcomes(tmp_path, "two")
    first.record(outcome(tmp_path / "a"))
    second.record(outcome(tmp_path / "a", "failed"))
    assert first.failures() == 0 and second.failures() == 1
    first.remove()
    assert second.failures() == 1
    second.remove()
    assert not list(tmp_path.iterdir())


def test_a_half_written_outcome_is_not_read(tmp_path):
    outcomes = Outcomes(tmp_path, "one")
    outcomes.record(outcome(tmp_path / "a"))
    (outcomes.folder / ".b.json.xyz").write_text('{"status": "o')
    assert len(outcomes.read()) == 1


def test_ids_are_fit_for_a_folder_and_an_override():
    assert new_id().replace("-", "").replace("_", "").isalnum()
    json.dumps(new_id())


def test_what_killed_sweeps_left_is_removed_and_no_other(tmp_path):
    mine, killed, dead = (Outcomes(tmp_path, new_id()) for _ in range(3))
    with mine.alive():
        for outcomes in (mine, killed, dead):
            outcomes.record(outcome(tmp_path / "a"))
        killed.folder.with_suffix(CLAIM).touch()
        os.utime(killed.folder.with_suffix(CLAIM), (0, 0))
        remove_dead(tmp_path)
        assert set((tmp_path / ".sweeps").iterdir()) == {mine.folder, mine.folder.with_suffix(CLAIM)}
    mine.remove()
    assert not list(tmp_path.iterdir())


def test_counting_failures_reads_no_outcome(tmp_path, monkeypatch):
    outcomes = Outcomes(tmp_path, "one")
    for number in range(5):
        outcomes.record(outcome(tmp_path / str(number), "failed" if number % 2 else "ok"))
    monkeypatch.setattr("src.jobs.sweep.outcomes.read_json", lambda path: pytest.fail("an outcome was read"))
    assert Outcomes(tmp_path, "one").failures() == 2


@pytest.mark.parametrize("key", ["status", "folder", "verdict", "checksum"])
def test_a_flipped_bit_in_a_key_is_never_believed_and_never_a_traceback(tmp_path, key):
    outcomes = Outcomes(tmp_path, "one")
    outcomes.record(outcome(tmp_path / "a"))
    (path,) = outcomes.folder.glob("*.json")
    path.write_text(path.read_text().replace(f'"{key}"', f'"{key[:-1]}~"'))
    found = outcomes.read()
    assert found == ({str(tmp_path / "a"): outcome(tmp_path / "a")} if key == "checksum" else {})
