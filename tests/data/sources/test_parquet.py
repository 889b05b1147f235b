from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.data.image_set import Splits
from src.data.sources import load_source


def pictures(count: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), np.uint8)


def encode(pixels: np.ndarray) -> dict[str, object]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def write(path: Path, pixels: np.ndarray, columns: Mapping[str, Sequence[object]], hub: object = None) -> Path:
    table = pa.table({"img": [encode(picture) for picture in pixels], **columns})
    if hub is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": hub}})})
    pq.write_table(table, path)
    return path


def load(**options: object) -> Splits:
    return load_source("parquet", {key: str(v) if isinstance(v, Path) else v for key, v in options.items()})


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """Thirty images of three named classes; the last twelve are the test set."""
    columns: dict[str, list[Any]] = {
        "label": [k % 3 for k in range(30)],
        "split": ["train"] * 18 + ["test"] * 12,
    }
    return write(tmp_path / "both.parquet", pictures(30), columns, {"label": {"names": ["x", "y", "z"]}})


def test_round_trip_by_the_split_column(both: Path) -> None:
    train, test = load(path=both)
    assert np.array_equal(train.images.permute(0, 2, 3, 1).numpy(), pictures(30)[:18])
    assert np.array_equal(test.images.permute(0, 2, 3, 1).numpy(), pictures(30)[18:])
    assert train.classes == ("x", "y", "z") and test.labels.tolist() == [0, 1, 2] * 4


def test_limits_and_classes_are_applied_before_decoding(both: Path) -> None:
    train, test = load(path=both, train_per_class=2, test_per_class=1, only=["z", 0])
    assert train.classes == ("z", "x")
    assert train.labels.tolist() == [1, 0, 1, 0] and len(test) == 2
    assert np.array_equal(train.images[1].permute(1, 2, 0).numpy(), pictures(30)[2])


def test_two_files_with_superclasses(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"fine_label": [0, 1, 2, 3], "coarse_label": [1, 0, 1, 0]}
    hub = {"fine_label": {"names": list("abcd")}, "coarse_label": {"names": ["low", "high"]}}
    first, second = (write(tmp_path / f"{k}.parquet", pictures(4), columns, hub) for k in ("a", "b"))
    train, _ = load(train=first, test=second)
    assert train.classes == tuple("abcd") and train.superclasses == ("high", "low", "high", "low")
    coarse, _ = load(train=first, test=second, label="coarse_label")
    assert coarse.classes == ("low", "high") and coarse.superclasses is None


def test_names_and_a_seeded_split_where_the_file_has_neither(tmp_path: Path) -> None:
    path = write(tmp_path / "plain.parquet", pictures(20), {"label": [k % 2 for k in range(20)]})
    assert load(path=path).train.classes == ("0", "1")
    train, test = load(path=path, names="cifar10", test_fraction=0.4)
    assert train.classes[1] == "automobile" and test.per_class.tolist()[:2] == [4, 4]
    train, test = load(path=path, names=["even", "odd"], train_per_class=5, test_per_class=3)
    assert train.per_class.tolist() == [5, 5] and test.per_class.tolist() == [3, 3]
    train, test = load(path=path, train_per_class=2)
    assert train.per_class.tolist() == [2, 2] and test.per_class.tolist() == [2, 2]


def test_images_beside_the_file(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "one.png")
    rows = [{"bytes": None, "path": "one.png"}] * 4
    pq.write_table(pa.table({"image": rows, "label": [0, 0, 1, 1], "split": ["train", "test"] * 2}), tmp_path / "p")
    assert load(path=tmp_path / "p").train.images[0, :, 0, 0].tolist() == [9, 8, 7]


def test_damage_is_named(both: Path, tmp_path: Path) -> None:
    content = both.read_bytes()
    short = tmp_path / "short.parquet"
    short.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"short\.parquet: not a whole parquet file") as caught:
        load(path=short)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="no such file"):
        load(path=tmp_path / "absent.parquet")
    rows = [encode(pictures(1)[0]), {"bytes": b"nonsense", "path": None}]
    pq.write_table(pa.table({"img": rows, "label": [0, 1]}), short)
    with pytest.raises(UserError, match=r"short\.parquet, row 1: not a readable image"):
        load(path=short)


def test_mistakes_are_named(both: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="either path=FILE"):
        load()
    with pytest.raises(UserError, match="did you mean 'label'"):
        load(path=both, label="lable")
    with pytest.raises(UserError, match=r"class 7 .* 0..2"):
        load(path=both, only=[7])
    with pytest.raises(UserError, match="2 class names"):
        load(path=both, names=["a", "b"])
    with pytest.raises(UserError, match="did you mean 'cifar10'"):
        load(path=both, names="cifar1")
    with pytest.raises(UserError, match="no column label or fine_label"):
        load(path=write(tmp_path / "bare.parquet", pictures(2), {"other": [0, 1]}))
    with pytest.raises(UserError, match="column label holds double, expected whole numbers or words"):
        load(path=write(tmp_path / "shares.parquet", pictures(2), {"label": [0.5, 1.5]}))
    with pytest.raises(UserError, match="column label holds -3; allowed are"):
        load(path=write(tmp_path / "negative.parquet", pictures(2), {"label": [-3, 1]}))
    with pytest.raises(UserError, match=r"empty\.parquet: holds no rows"):
        load(path=write(tmp_path / "empty.parquet", pictures(0), {"label": pa.array([], pa.int64())}))
    with pytest.raises(UserError, match="two classes are called 'a'"):
        load(path=both, names=["a", "b", "a"])
    with pytest.raises(UserError, match=r"row 0: column label2 holds no encoded image; set data\.source\.image"):
        load(path=write(tmp_path / "odd.parquet", pictures(2), {"label": [0, 1], "label2": [5, 6]}), image="label2")
    twice = pa.Table.from_arrays([pa.array([0]), pa.array([0]), pa.array([0])], names=["img", "label", "label"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(UserError, match="2 columns are called label"):
        load(path=tmp_path / "twice.parquet")


def test_labels_are_words_or_any_numbers(tmp_path: Path) -> None:
    words = write(tmp_path / "words.parquet", pictures(5), {"label": ["dog", "cat", "dog", None, "cat"]})
    images = load(path=words, test_fraction=0.5).train
    assert images.classes == ("cat", "dog")
    assert images.events == (f"data.source: 1 rows of {words} have no label and are passed over",)
    more = write(tmp_path / "more.parquet", pictures(2), {"label": ["cat", "emu"]})
    assert load(train=words, test=more).test.classes == ("cat", "dog", "emu")
    gaps = write(tmp_path / "gaps.parquet", pictures(6), {"label": [0, 20_000_000, 5] * 2})
    images = load(test=gaps).test
    assert images.classes == ("0", "5", "20000000") and images.labels.tolist() == [0, 2, 1] * 2
    assert load(test=gaps, only=[5]).test.classes == ("5",)
    mixed = write(tmp_path / "mixed.parquet", pictures(1), {"label": [3]})
    with pytest.raises(UserError, match="whole numbers in one file and words in another"):
        load(train=words, test=mixed)


def test_rows_without_a_label(tmp_path: Path) -> None:
    file = write(tmp_path / "some.parquet", pictures(12), {"label": [-1, 0, 1] * 4})
    images, held_out = load(path=file, test_fraction=0.25)
    assert images.classes == ("0", "1") and images.per_class.tolist() == [3, 3] and len(held_out) == 2
    for options in ({"test": file}, {"train": file, "test": file}):
        with pytest.raises(UserError, match=r"4 of 12 test images have no label \(-1 or null in column label\)"):
            load(**options)
    with pytest.raises(UserError, match="no row has a label"):
        load(path=write(tmp_path / "none.parquet", pictures(2), {"label": [-1, -1]}))


def test_parts_of_the_column_split(tmp_path: Path) -> None:
    def parts(*names: str) -> Splits:
        columns = {"label": [0, 1] * len(names), "split": [name for name in names for _ in range(2)]}
        return load(path=write(tmp_path / "parts.parquet", pictures(2 * len(names)), columns))

    train, test = parts("Training", "valid", "testing", "extra")
    assert len(train) == len(test) == 2
    assert train.events[0].endswith("rows of " + str(tmp_path / "parts.parquet") +
                                    " that are not used: 2 extra, 2 valid (column split)")  # fmt: skip
    assert "its validation rows are the test set" in parts("train", "valid").train.events[0]
    with pytest.raises(UserError, match=r"column split has no train rows \(test\)"):
        parts("test", "test")


def test_metadata_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "meta.parquet"
    table = pq.read_table(write(file, pictures(2), {"label": [0, 1]}))
    for said in (b"\xff\xfe", b"[" * 5000, b'{"info": 3}', b'{"info": {"features": []}}'):
        pq.write_table(table.replace_schema_metadata({b"huggingface": said}), file)
        images = load(test=file).test
        assert images.classes == ("0", "1") and "cannot be read; classes are called by labels" in images.events[0]
    pq.write_table(table.replace_schema_metadata({b"huggingface": b'{"info": {"features": {"label": 3}}}'}), file)
    assert load(test=file).test.classes == ("0", "1")


def test_only_row_groups_that_are_needed_are_read(tmp_path: Path) -> None:
    file = tmp_path / "groups.parquet"
    table = pa.table({"img": [encode(picture) for picture in pictures(40)], "label": [0, 1] * 20})
    pq.write_table(table, file, row_group_size=10, compression="none", use_dictionary=False)
    content = bytearray(file.read_bytes())
    last = pq.ParquetFile(file).metadata.row_group(3).column(0)
    content[last.data_page_offset : last.data_page_offset + last.total_compressed_size // 2] = b"\x00" * (
        last.total_compressed_size // 2
    )
    file.write_bytes(content)
    images = load(test=file, test_per_class=8).test
    assert np.array_equal(images.images.permute(0, 2, 3, 1).numpy(), pictures(40)[:16])
    with pytest.raises(UserError, match="not a whole parquet file"):
        load(test=file)


def test_test_images_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "photographs.parquet", pictures(3), {"label": [0, 217, 995]})
    train, test = load(test=path, names="imagenet")
    assert len(train) == 0 and train.classes == test.classes and len(test.classes) == 1000
    assert [test.classes[label] for label in test.labels] == ["tench", "English springer", "earthstar"]
    data = ImageData({"name": "parquet", "test": str(path), "names": "imagenet"}, splits={"validation": 0.1})
    data.setup()
    assert {part: len(images) for part, images in data.sets.items()} == {
        "train": 0, "validation": 0, "calibration": 0, "test": 3,
    }  # fmt: skip
    with pytest.raises(UserError, match="needs either path=FILE, or train=FILE and test=FILE, or test=FILE alone"):
        load(path=path, test=path)


def test_crop_and_interpolation(tmp_path: Path) -> None:
    """The middle seven eighths of 64 pixels, bicubic, as Pillow makes them."""
    pixels = np.random.default_rng(2).integers(0, 256, (1, 64, 80, 3), np.uint8)
    path = write(tmp_path / "wide.parquet", pixels, {"label": [0]})
    made = load(test=path, size=28, crop=0.875, interpolation="bicubic").test.images[0]
    small = Image.fromarray(pixels[0]).resize((40, 32), Image.Resampling.BICUBIC).crop((6, 2, 34, 30))
    apart = made.permute(1, 2, 0).numpy().astype(int) - np.asarray(small).astype(int)
    assert abs(apart).max() <= 1
    with pytest.raises(UserError, match=r"crop=1.5: allowed is null or a number above 0, up to 1"):
        load(test=path, size=28, crop=1.5)
