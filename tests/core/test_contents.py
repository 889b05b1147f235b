"""Data are known by what they hold: not by where they lie, and not by how they are called or how large they are."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from src.core import contents as module
from src.core.configuration import identity
from src.core.contents import contents, contents_digest


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is that of a new process; files count as settled at once."""
    monkeypatch.setattr(module, "UNSETTLED", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (("cat/0.png", b"aaaa"), ("cat/1.png", b"bbbb"), ("dog/0.png", b"cccc")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "photos"


def digest(path: Path, memory: Path | None = None) -> str:
    module._digests.clear()
    return contents_digest(path, memory)


def test_a_copy_elsewhere_is_the_same(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path / "copy")
    assert digest(tmp_path / "copy") == digest(folder)
    (tmp_path / "link").symlink_to(folder)
    assert digest(tmp_path / "link") == digest(folder)
    shutil.copy(folder / "cat" / "0.png", tmp_path / "else.png")
    assert digest(tmp_path / "else.png") == digest(folder / "cat" / "0.png")


def test_what_systems_leave_is_no_data(folder: Path):
    before = digest(folder)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "cat" / "._0.png").write_bytes(b"x")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "0.png").write_bytes(b"x")
    (folder / "cat" / "up").symlink_to(folder)
    assert digest(folder) == before


@pytest.mark.parametrize("change", ["another", "moved", "gone", "edited"])
def test_a_change_is_seen_also_where_it_is_remembered(folder: Path, tmp_path: Path, change: str):
    before = digest(folder, tmp_path / "memory")
    file = folder / "cat" / "0.png"
    if change == "another":
        (folder / "cat" / "2.png").write_bytes(b"dddd")
    elif change == "moved":
        file.rename(folder / "dog" / "1.png")
    elif change == "gone":
        file.unlink()
    else:  # of the same size and, as some tools leave it, of the same time
        times = file.stat().st_mtime_ns
        file.write_bytes(b"eeee")
        os.utime(file, ns=(times, times))
    assert digest(folder, tmp_path / "memory") != before


def test_what_did_not_change_is_not_read_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    time.sleep(0.01)  # past the tick in which the files were written
    before = digest(folder, tmp_path / "memory")
    read: list[Path] = []
    checksum = module.checksum
    monkeypatch.setattr(module, "checksum", lambda path: read.append(path) or checksum(path))
    assert digest(folder, tmp_path / "memory") == before and not read
    (folder / "dog" / "1.png").write_bytes(b"ffff")
    assert digest(folder, tmp_path / "memory") != before and read == [folder / "dog" / "1.png"]
    read.clear()
    for path in (tmp_path / "memory").iterdir():
        path.write_text('{"cat/0.png": 3, "checksum": "no"}')
    digest(folder, tmp_path / "memory")
    assert len(read) == 4


def test_a_file_that_was_just_written_is_not_believed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "UNSETTLED", 60.0)
    digest(folder, tmp_path / "memory")
    read: list[Path] = []
    checksum = module.checksum
    monkeypatch.setattr(module, "checksum", lambda path: read.append(path) or checksum(path))
    digest(folder, tmp_path / "memory")
    assert len(read) == 3


def test_of_a_configuration_all_that_is_there_counts(folder: Path, tmp_path: Path):
    def config(root: Path, file: str = "nowhere.pt") -> dict[str, object]:
        recipe = {"data": {"source": {"name": "image_folder", "root": str(root)}}, "subject": {"path": file}}
        fetched = {"name": "mnist", "root": str(folder), "download": True}
        plain = {"task": "train", "outputs": str(tmp_path / "out"), "recipe": recipe, "weak": {"source": fetched}}
        module._digests.clear()
        return {**plain, "contents": contents(plain, tmp_path / "memory")}

    first = config(folder)
    assert list(first["contents"]) == ["recipe.data.source.root"]  # type: ignore[call-overload]
    shutil.copytree(folder, tmp_path / "copy")
    assert identity(config(tmp_path / "copy")) == identity(first)
    assert identity(config(folder, "elsewhere.pt")) != identity(first)  # what is not there is known by its path
    (folder / "cat" / "0.png").write_bytes(b"gggg")
    assert identity(config(folder)) != identity(first)


def test_several_files_of_one_key_count_in_their_order(folder: Path, tmp_path: Path):
    files = [str(folder / "cat" / "0.png"), str(folder / "cat" / "1.png")]
    one, two = (contents({"source": {"train": names}}, tmp_path / "memory") for names in (files, files[::-1]))
    assert one != two and len(one["source.train"]) == 33
    assert not contents({"caps": {"train": 3, "test": None}, "outputs": {"root": ""}}, tmp_path / "memory")


def test_a_reference_is_known_by_what_its_result_says_and_other_folders_by_all(folder: Path, tmp_path: Path):
    def digests(key: str) -> dict[str, str]:
        module._digests.clear()
        return contents({"study": {key: str(folder)}}, tmp_path / "memory")

    (folder / "result.json").write_text("{}")
    before = digests("reference"), digests("files")
    (folder / "page.html").write_text("made anew")
    assert digests("reference") == before[0] and digests("files") != before[1]
    (folder / "result.json").write_text('{"metrics": {}}')
    assert digests("reference") != before[0]


def test_weights_count_with_their_description(tmp_path: Path):
    (tmp_path / "weights.safetensors").write_bytes(b"w")
    (tmp_path / "subject.json").write_text("{}")

    def digests() -> dict[str, str]:
        module._digests.clear()
        return contents({"subject": {"path": str(tmp_path / "weights.safetensors")}}, tmp_path / "memory")

    before = digests()
    (tmp_path / "subject.json").write_text('{"classes": []}')
    assert digests() != before


def test_what_cannot_be_read_as_a_file_is_no_data(folder: Path):
    before = digest(folder)
    os.mkfifo(folder / "cat" / "pipe")
    (folder / "cat" / "self").symlink_to(folder / "cat" / "self")
    assert digest(folder) == before


def test_a_link_to_nowhere_is_no_data(folder: Path):
    before = digest(folder)
    (folder / "cat" / "lost.png").symlink_to(folder / "nowhere.png")
    assert digest(folder) == before
