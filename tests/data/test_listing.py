from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from src.core.errors import UserError
from src.data.listing import files_below, in_order, is_hidden, parts_of


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_what_systems_leave_is_passed_over_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "B.JPG", "deep/er/c.tiff", "._a.png", ".DS_Store", "Thumbs.db", "__MACOSX/a.png",
          "@eaDir/a.png", "notes.txt", "b.heic", "LICENSE")  # fmt: skip
    (tmp_path / "linked").symlink_to(tmp_path / "deep")
    passed: Counter[str] = Counter()
    names = {path.name for path in files_below(tmp_path, passed_over=passed)}
    assert names == {"a.png", "B.JPG", "c.tiff"}
    assert +passed == {"hidden or of the system": 5, "called .txt": 1, "called .heic": 1, "without an ending": 1,
                       "links to folders": 1}  # fmt: skip
    assert is_hidden("desktop.ini") and is_hidden("$RECYCLE.BIN") and not is_hidden("macosx")


def test_a_tree_thousands_deep(tmp_path: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        Path("a.png").write_bytes(b"")
        os.chdir(tmp_path)
        assert [path.name for path in files_below(tmp_path)] == ["a.png"]
        os.chdir("/".join("d" * 1200))
        for _ in range(2000):
            os.mkdir("d")
            os.chdir("d")
        with pytest.raises(UserError, match=r"cannot be listed \(File name too long\)") as caught:
            list(files_below(tmp_path))
        assert len(str(caught.value)) < 400
    finally:
        os.chdir(here)
        os.system(f"rm -rf {tmp_path}/d")  # shutil recurses


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (["Training/a/1.png", "TEST/a/1.png"], {"train": "Training", "test": "TEST"}),
        (["train/a/1.png", "Valid/a/1.png"], {"train": "train", "validation": "Valid"}),
        (["train/a/1.png", "val/a/1.png", "test/a/1.png"], {"train": "train", "validation": "val", "test": "test"}),
        (["test/a/1.png"], {"test": "test"}),
        (["train/a/1.png", "scripts/readme.txt", ".git/x"], {"train": "train"}),
        (["train/1.png", "car/1.png"], {}),  # railways and roads
        (["a/1.png", "b/1.png"], {}),
    ],
)  # fmt: skip
def test_parts_by_their_usual_names(tmp_path: Path, files: list[str], parts: dict[str, str]) -> None:
    touch(tmp_path, *files)
    known, flat = parts_of(tmp_path)
    assert {part: folder.name for part, folder in known.items()} == parts and not flat


def test_parts_that_are_not_clear_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "cat/1.png")
    with pytest.raises(UserError, match=r"'train' is called like a part .*, 'cat' beside it is a class"):
        parts_of(tmp_path)
    (tmp_path / "cat").rename(tmp_path / "Training")
    touch(tmp_path, "Training/a/1.png")
    with pytest.raises(UserError, match="Training and train are both the train part; merge them"):
        parts_of(tmp_path)


def test_classes_called_by_numbers_are_in_their_order() -> None:
    assert in_order(["10", "2", "1"]) == ["1", "2", "10"]
    assert in_order(["10", "2", "b"]) == ["10", "2", "b"]
