import json

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
    mine, dead = Outcomes(tmp_path, new_id()), Outcomes(tmp_path, new_id().rsplit("-", 1)[0] + "-999999999")
    other = Outcomes(tmp_path, "0101-000000-elsewhere-999999999")
    for outcomes in (mine, dead, other):
        outcomes.record(outcome(tmp_path / "a"))
    remove_dead(tmp_path)
    assert mine.folder.exists() and other.folder.exists() and not dead.folder.exists()
