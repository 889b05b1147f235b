"""A result on disk is whole or not there, and what is read is what was written."""

from __future__ import annotations

import json
import math
import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.core import files
from src.core import result as results
from src.core.estimate import Estimate
from src.core.files import write_atomically
from src.core.result import (
    FILE,
    Figure,
    Result,
    load,
    read_table,
    read_whole,
    remove_partial,
    rows,
    save,
    scan,
    table_of,
)


def some_result() -> Result:
    result = Result("patch", "patch_weak/target0-seed0", verdict="better", verdict_kind="success")
    result.metrics = {
        "f1": Estimate(0.8, 0.7, 0.9, 240, "images"),
        "share": Estimate(0.4),  # without an interval
        "undefined": Estimate(math.nan, math.nan, math.inf, 3, "seeds"),
    }
    result.tables = {
        "methods": {"method": ["weak", "patched"], "f1": [0.5, math.nan], "n": [3, 4], "note": ["ä <b>", None]},
        "empty": {},
    }
    result.captions, result.screen, result.units = {"methods": "one row each"}, ["methods"], {"f1": "%"}
    result.images = {"sheet": np.arange(60, dtype=np.uint8).reshape(4, 5, 3)}
    result.figures = [Figure("bars", "methods", "F1", x="method", y="f1", percent=True), Figure("image", "sheet", "x")]
    result.events, result.uses = ["a fallback"], ["digest"]
    result.config = {"seed": 0, "strong": {"classes": [0, 1], "caps": None}}
    result.identity, result.environment, result.seconds = "abc", {"cores": 2}, {"all": 1.5}
    return result


def test_it_is_read_as_it_was_written(tmp_path: Path):
    before = some_result()
    assert save(before, tmp_path / "job") == tmp_path / "job" / FILE
    after = load(tmp_path / "job")
    assert after.metrics["f1"] == before.metrics["f1"]
    value, low, high, n, unit = after.metrics["undefined"]
    assert math.isnan(value) and math.isnan(low) and math.isnan(high) and (n, unit) == (3, "seeds")
    assert after.metrics["share"][0] == 0.4 and math.isnan(after.metrics["share"].low)
    table = after.tables["methods"]
    assert table["method"] == ["weak", "patched"] and table["n"] == [3, 4] and table["note"] == ["ä <b>", None]
    assert table["f1"][0] == 0.5 and math.isnan(table["f1"][1])
    assert np.array_equal(after.images["sheet"], before.images["sheet"])
    empty = {"metrics": {}, "tables": {}, "images": {}}
    assert replace(after, **empty) == replace(before, **empty)  # all the rest
    assert set(after.tables) == {"methods", "empty"} and rows(after.tables["empty"]) == []


def test_the_file_is_plain_json_without_nan(tmp_path: Path):
    save(some_result(), tmp_path)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    plain = json.loads((tmp_path / FILE).read_text(), parse_constant=refuse)
    assert plain["metrics"]["undefined"] == {"value": None, "low": None, "high": None, "n": 3, "unit": "seeds"}
    assert plain["tables"] == ["methods", "empty"] and plain["images"] == ["sheet"]
    assert plain["format"] == results.FORMAT


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(OSError, match="disk full"):
                write_atomically(path, "new")
        assert path.read_text() == "old"
        assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    write_atomically(path, "newer")
    assert path.read_text() == "newer"


def test_folders_are_made_and_others_may_read(tmp_path: Path):
    path = tmp_path / "b" / "c.json"
    write_atomically(path, "é")
    assert path.read_bytes() == "é".encode()
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_result_that_cannot_be_written_whole_is_none(tmp_path: Path):
    save(some_result(), tmp_path)
    before = (tmp_path / FILE).read_bytes()
    broken = some_result()
    broken.tables["methods"] = {"method": ["weak"], "f1": [object()]}
    with pytest.raises(Exception, match="object"):
        save(broken, tmp_path)
    assert (tmp_path / FILE).read_bytes() == before
    with pytest.raises(Exception, match="object"):
        save(broken, tmp_path / "new")
    assert not (tmp_path / "new" / FILE).exists()


def test_scan_finds_results_and_believes_no_damaged_one(tmp_path: Path):
    for name in ("b", "a", "damaged", "list"):
        save(some_result(), tmp_path / "deep" / name)
    for name, text in (("damaged", '{"format": 2, "ta'), ("list", "[]")):
        (tmp_path / "deep" / name / FILE).write_text(text)
    (tmp_path / "deep" / "bytes").mkdir()
    (tmp_path / "deep" / "bytes" / FILE).write_bytes(b"\xff\xfe\x00")
    found = list(scan(tmp_path))
    assert [folder.name for folder, plain in found if plain] == ["a", "b"]
    assert [folder.name for folder, plain in found if not plain] == ["bytes", "damaged", "list"]
    assert all(plain["task"] == "patch" for _, plain in found if plain)


def test_another_format_and_damaged_files_are_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path)
    save(some_result(), tmp_path)
    plain = json.loads((tmp_path / FILE).read_text())
    files.write_json(tmp_path / FILE, {**plain, "format": results.FORMAT + 1})
    with pytest.raises(ValueError, match=r"is of another format than this version's 2: run the job again$"):
        load(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(ValueError, match=r"is damaged \(.*\): delete it and run the job again$"):
        load(tmp_path)


def test_rows_and_tables_are_each_others_opposite():
    records = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert table_of(records) == {"a": [1, 2], "b": ["x", "y"]}
    assert rows(table_of(records)) == records
    assert table_of([]) == {}
    with pytest.raises(ValueError, match="shorter"):
        rows({"a": [1, 2], "b": [1]})


def test_a_result_from_before_there_were_sections_is_read_with_none(tmp_path: Path):
    before = some_result()
    save(before, tmp_path)
    plain = files.read_json(tmp_path / FILE)
    del plain["sections"]
    for figure in plain["figures"]:
        del figure["section"], figure["diagonal"]
    files.write_json(tmp_path / FILE, plain)
    after = load(tmp_path)
    assert after.sections == {} and after.figures == before.figures


def test_sections_are_read_as_they_were_written(tmp_path: Path):
    before = some_result()
    before.sections = {"methods": "Accuracy"}
    before.figures[0] = replace(before.figures[0], section="Accuracy", diagonal=True)
    save(before, tmp_path)
    after = load(tmp_path)
    assert after.sections == before.sections and after.figures == before.figures


def flipped(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_no_flipped_bit_is_believed(tmp_path: Path):
    """Of the result, of each table, of each picture; also not within the name of the checksum."""
    save(some_result(), tmp_path)
    paths = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(paths) == 4
    for path in paths:
        whole, bits = path.read_bytes(), path.stat().st_size * 8
        for bit in random.Random(path.name).sample(range(bits), 60):
            flipped(path, bit)
            with pytest.raises(ValueError, match=r"damaged|another format|codec"):
                load(tmp_path)
            path.write_bytes(whole)
    load(tmp_path)


def test_a_table_is_read_alone_and_not_where_it_is_another(tmp_path: Path):
    save(some_result(), tmp_path)
    plain = read_whole(tmp_path)
    assert read_table(tmp_path, "methods", plain, ["n"]) == {"n": [3, 4]}
    assert read_table(tmp_path, "unknown", plain) is None and read_table(tmp_path, "methods", {}) is None
    flipped(tmp_path / "tables" / "methods.parquet", 800)
    for read in (lambda: read_table(tmp_path, "methods", plain), lambda: read_whole(tmp_path)):
        with pytest.raises(ValueError, match=r"methods\.parquet has another checksum"):
            read()


@pytest.mark.parametrize("file", [FILE, "tables/a.parquet", "patched/weights.safetensors", "modules/00_a/subject.json"])
def test_what_a_killed_writer_left_is_known_by_its_name(file: str, tmp_path: Path):
    place = (tmp_path / file).parent
    with files.replacing(tmp_path / file):
        (left,) = place.iterdir()
    (tmp_path / file).rename(left)
    remove_partial(tmp_path)
    assert left.name.startswith(f".{Path(file).name}.") and not list(place.iterdir())
