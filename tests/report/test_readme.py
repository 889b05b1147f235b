from pathlib import Path

import pytest

from src.core.errors import UserError
from src.report.rebuild import BEGIN, CLAIMS, END, insert_claims


def sweep(folder: Path, *rows: str) -> Path:
    (folder / CLAIMS).parent.mkdir(parents=True)
    (folder / CLAIMS).write_text("\n".join(["| Claim | Verdict |", "| --- | --- |", *rows]) + "\n")
    return folder


def test_verdicts_replace_the_old_ones_and_nothing_else(tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    sweeps = [sweep(tmp_path / "a", "| one | yes |"), sweep(tmp_path / "b", "| two | no |")]
    for _ in range(2):
        insert_claims(readme, sweeps)
        lines = readme.read_text().splitlines()
        assert lines[0] == "before" and lines[-1] == "after" and "old" not in lines
        assert [line for line in lines if line.startswith("|")] == [
            "| Claim | Verdict |", "| --- | --- |", "| one | yes |", "| two | no |",
        ]  # fmt: skip


def test_a_file_without_marks_and_a_sweep_without_claims_are_refused(tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text("nothing")
    with pytest.raises(UserError, match="has no marks"):
        insert_claims(readme, [sweep(tmp_path / "a")])
    readme.write_text(f"{BEGIN}\n{END}")
    with pytest.raises(UserError, match="judges no claims"):
        insert_claims(readme, [tmp_path / "none"])
    assert readme.read_text() == f"{BEGIN}\n{END}"
