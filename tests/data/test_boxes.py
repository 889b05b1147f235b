"""Boxes: read from XML and tables, mapped as the images are, and drawn as masks that a perturbation keeps to."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from src.core.errors import UserError
from src.data.boxes import COLUMNS, Boxes, mapped
from src.data.datamodule import ImageData
from src.data.image_set import ImageSet, concatenate
from src.data.sources import load_source
from src.data.sources.fitting import fit
from src.methods.locality.perturbations import Perturbation, perturb

Box = tuple[int, int, int, int]


def voc(path: Path, size: tuple[int, int], *boxes: Box) -> None:
    objects = "".join(
        f"<object><name>thing</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
        "</object>"
        for a, b, c, d in boxes
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><filename>{path.stem}</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size>{objects}</annotation>"
    )


def picture(path: Path, size: tuple[int, int], *boxes: Box) -> None:
    """Black, and white in the boxes."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for left, top, right, bottom in boxes:
        pixels[max(top, 0) : bottom, max(left, 0) : right] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of three photographs, wide, high and square, with a white object each, and their XML files."""
    for kind in ("n01", "n02"):
        for number, size in enumerate(((100, 60), (50, 80), (40, 40))):
            box = (10 + number, 12, 30, 31)
            picture(tmp_path / "images" / "train" / kind / f"{kind}_{number}.png", size, box)
            picture(tmp_path / "images" / "val" / kind / f"{kind}_9{number}.png", size, box)
            for name in (f"{kind}_{number}", f"{kind}_9{number}"):
                voc(tmp_path / "boxes" / kind / f"{name}.xml", size, box)
    return tmp_path


def load(folder: Path, **options: Any) -> tuple[ImageSet, ImageSet]:
    values = {"root": str(folder / "images"), "size": 32, "boxes": str(folder / "boxes"), **options}
    train, test = load_source("image_folder", values)
    return train, test


@pytest.mark.parametrize(
    ("size", "box", "wrong", "right"),
    [
        ((500, 375), (79, 127, 294, 339), (24, 70, 134, 215), (0, 70.7, 142.5, 215.4)),
        ((500, 333), (131, 148, 238, 256), (51, 97, 105, 180), (20.6, 97.8, 102.8, 180.8)),
    ],
)
def test_two_photographs_of_the_original(size: Any, box: Any, wrong: Any, right: Any) -> None:
    """n03445777_8145 and n03445777_3928 at 256 pixels, of which 224 are cut out."""
    corners, sizes = torch.tensor([box]), torch.tensor([size])
    assert mapped(corners, sizes, 256, 224, "original")[0].tolist() == list(wrong)
    assert mapped(corners, sizes, 256, 224)[0].tolist() == pytest.approx(right, abs=0.05)


@given(some.integers(20, 90), some.integers(20, 90), some.integers(8, 64), some.data())
def test_boxes_go_where_their_pixels_go(width: int, height: int, side: int, data: some.DataObject) -> None:
    """A white box in a black image, resized and cut: what becomes white is its mask, but for a pixel at the border."""
    left, top = data.draw(some.integers(0, width - 8)), data.draw(some.integers(0, height - 8))
    right, bottom = data.draw(some.integers(left + 6, width)), data.draw(some.integers(top + 6, height))
    image = torch.zeros(1, 3, height, width, dtype=torch.uint8)
    image[:, :, top:bottom, left:right] = 255
    corners = mapped(torch.tensor([[left, top, right, bottom]]), torch.tensor([[width, height]]), side)
    mask = Boxes(corners, torch.tensor([0])).masks(1, side, side)[0].float()
    shown = fit(image, side, None)[0, 0].float() / 255
    wide = torch.nn.functional.max_pool2d(mask[None], 5, 1, 2)[0]
    # beyond the frame counts as black: a box may end within the last pixel
    narrow = -torch.nn.functional.max_pool2d(-torch.nn.functional.pad(mask[None], (2, 2, 2, 2)), 5, 1)[0]
    assert (shown[wide == 0] < 0.5).all() and (shown[narrow == 1] > 0.5).all()


def test_masks_by_hand() -> None:
    boxes = Boxes(torch.tensor([[0.0, 1.0, 2.0, 3.0], [1.6, 0.0, 3.5, 1.0], [0.6, 0.0, 1.4, 3.0]]),
                  torch.tensor([0, 0, 1]))  # fmt: skip
    assert boxes.masks(2, 3, 4).tolist() == [[[0, 0, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]], [[0, 0, 0, 0]] * 3]


def test_xml_beside_a_folder_becomes_masks(folder: Path) -> None:
    train, test = load(folder)
    assert train.masks is not None and train.masks.shape == (6, 32, 32)
    assert train.events == ("data.source: val/ is the test set, there being no other",)
    for part in (train, test):
        assert part.masks is not None
        white, inside = part.images[:, 0] > 127, part.masks == 1
        apart = (white != inside).float().mean((1, 2))
        assert inside.any(2).any(1).all() and apart.max() < 0.06, "what is white is inside, but for the border"
    assert test.classes == ("n01", "n02") and test.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_region_of_photographs_is_perturbed(folder: Path) -> None:
    _, test = load(folder)
    assert test.masks is not None
    changed = perturb(test.images, Perturbation("mask_dense_noise", 4, region="inside"), test.masks)
    outside = (test.masks == 0)[:, None].expand_as(changed)
    assert torch.equal(changed[outside], test.images[outside]) and not torch.equal(changed, test.images)


def test_the_original_mapping_is_an_event(folder: Path) -> None:
    right, wrong = load(folder)[1], load(folder, box_mapping="original")[1]
    assert right.masks is not None and wrong.masks is not None
    assert not torch.equal(right.masks[0], wrong.masks[0]), "wide"
    # a square image is mapped alike, but for the fractions that the original cuts off
    assert (right.masks[2] != wrong.masks[2]).float().mean() < 0.05
    assert "where the original put them" in wrong.events[0]
    with pytest.raises(UserError, match=r"box_mapping=original: needs data\.source\.size"):
        load(folder, box_mapping="original", size=None)


@pytest.mark.parametrize(("objects", "shares"), [("union", [0.5, 0.75]), ("largest", [0.5, 0.5]), ("single", [0.5])])
def test_several_objects(tmp_path: Path, objects: str, shares: list[float]) -> None:
    two, one = ((0, 0, 16, 32), (16, 0, 32, 16)), ((0, 0, 32, 16),)
    for part, number, boxes in (("val", 0, two), ("val", 1, one), ("train", 2, one)):
        picture(tmp_path / "images" / part / "cat" / f"{number}.png", (32, 32), *boxes)
        voc(tmp_path / "boxes" / f"{number}.xml", (32, 32), *boxes)
    _, test = load(tmp_path, box_objects=objects)
    assert test.masks is not None and sorted(test.masks.float().mean((1, 2)).tolist()) == shares
    assert bool(test.events) == (objects == "single")


def test_a_table_says_the_same_as_xml(folder: Path) -> None:
    rows = []
    for path in sorted((folder / "images").rglob("*.png")):
        with Image.open(path) as opened:
            number = int(path.stem[-1])
            rows.append((path.name, *opened.size, 10 + number, 12, 30, 31))
    table = pa.table(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
    pq.write_table(table, folder / "boxes.parquet")
    (folder / "boxes.csv").write_text("\n".join([",".join(COLUMNS), *(",".join(map(str, row)) for row in rows)]))
    expected = load(folder)[1].masks
    assert expected is not None
    for name in ("boxes.parquet", "boxes.csv"):
        masks = load(folder, boxes=str(folder / name))[1].masks
        assert masks is not None and torch.equal(masks, expected)


def test_names_that_are_not_unique_are_told_apart_by_their_folders(folder: Path) -> None:
    for kind, box in (("cat", (0, 0, 8, 8)), ("dog", (8, 8, 16, 16))):
        for part in ("train", "val"):
            picture(folder / "both" / part / kind / "1.png", (32, 32), box)
        voc(folder / "annotated" / kind / "1.xml", (32, 32), box)
    train, _ = load(folder, root=str(folder / "both"), boxes=str(folder / "annotated"))
    assert train.masks is not None and torch.equal(train.masks == 1, train.images[:, 0] == 255)


def test_images_that_were_made_smaller_after_they_were_annotated(folder: Path) -> None:
    before = load(folder)[1].masks
    for path in (folder / "boxes").rglob("*.xml"):
        number = int(path.stem[-1])
        width, height = ((100, 60), (50, 80), (40, 40))[number]
        voc(path, (3 * width, 3 * height), (3 * (10 + number), 36, 90, 93))
    after = load(folder)[1].masks
    assert before is not None and after is not None and torch.equal(before, after)


def test_what_has_no_object_is_left_out_and_counted(folder: Path) -> None:
    (folder / "boxes" / "n01" / "n01_90.xml").unlink()
    voc(folder / "boxes" / "n02" / "n02_90.xml", (100, 60), (0, 0, 15, 60))  # left of the square that is cut out
    voc(folder / "boxes" / "n02" / "n02_92.xml", (40, 40), (-7, 10, 20, 55))
    _, test = load(folder)
    assert test.labels.tolist() == [0, 0, 1, 1]
    assert test.events == (
        "data.source.boxes: 2 of 6 images left out, 1 without a box, 0 with several objects, 1 whose object is cut off",
        "data.source.boxes: 1 boxes reach beyond their image and are cut off at its border",
    )
    assert test.masks is not None and test.masks[3].any(0).nonzero().flatten().tolist() == list(range(16))
    data = ImageData({"name": "image_folder", "root": str(folder / "images"), "size": 32,
                      "boxes": str(folder / "boxes")}, splits={"validation": 0, "drop_seen": False})  # fmt: skip
    data.setup()
    assert test.events[0] in data.events and data.sets["test"].masks is not None


def test_events_of_several_sets_are_said_once() -> None:
    one = ImageSet(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64), ("a",), events=("x",))
    assert concatenate([one, one]).events == ("x",) and one.select(torch.tensor([0])).events == ("x",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no xml", "not an XML file"),
        ("<html></html>", "not an annotation of Pascal VOC; expected <annotation> with <size>"),
        ("<annotation><size><width>100</width></size></annotation>", "not an annotation of Pascal VOC"),
        ("<annotation><size><width>100</width><height>60</height></size><object/></annotation>", "not an annotation"),
        ("<annotation><size><width>0</width><height>60</height></size></annotation>", "an image of 0x60 pixels"),
    ],
)
def test_xml_that_is_something_else(folder: Path, text: str, said: str) -> None:
    (folder / "boxes" / "n01" / "n01_90.xml").write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        load(folder)
    assert "n01_90.xml" in str(caught.value) and "\n" not in str(caught.value)


def test_mistakes_are_named(folder: Path) -> None:
    with pytest.raises(UserError, match=r"data\.source\.boxes=.*nowhere: no such folder or file"):
        load(folder, boxes=str(folder / "nowhere"))
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="holds no annotation"):
        load(folder, boxes=str(folder / "empty"))
    voc(folder / "boxes" / "n01" / "n01_90.xml", (100, 60), (30, 12, 10, 31))
    with pytest.raises(UserError, match="xmin and ymin come first"):
        load(folder)
    voc(folder / "boxes" / "n01" / "n01_90.xml", (60, 60), (1, 12, 10, 31))
    with pytest.raises(UserError, match="has 100x60 pixels, 60x60 by its annotation"):
        load(folder)
    voc(folder / "other" / "strange.xml", (60, 60), (1, 12, 10, 31))
    with pytest.raises(UserError, match=r"none of 6 images has an object \(6 without a box, .* such as n01/n01_0.png"):
        load(folder, boxes=str(folder / "other"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("filename,width,height,xmin\na.png,1,1,0\n", "no column ymin, xmax, ymax; it needs filename, width"),
        (f"{','.join(COLUMNS)}\na.png,40,40,left,0,1,1\n", "column xmin holds string, expected numbers"),
        (f"{','.join(COLUMNS)}\n,40,,0,0,1,1\n", "a row lacks filename, width or height"),
        ("a\n1,2\n", "not a whole CSV or parquet file"),
    ],
)
def test_tables_that_are_something_else(folder: Path, text: str, said: str) -> None:
    (folder / "boxes.csv").write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        load(folder, boxes=str(folder / "boxes.csv"))
    assert "\n" not in str(caught.value)


def test_boxes_beside_a_parquet_file(folder: Path) -> None:
    files = sorted((folder / "images" / "val").rglob("*.png"))
    cells: list[dict[str, Any]] = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
    table = {"img": cells, "label": [0, 0, 0, 1, 1, 1], "split": ["train", "test", "test"] * 2}
    pq.write_table(pa.table(table), folder / "images.parquet")
    options = {"path": str(folder / "images.parquet"), "size": 32, "boxes": str(folder / "boxes")}
    _, test = load_source("parquet", options)
    expected = load(folder)[1].masks
    assert expected is not None and test.masks is not None and torch.equal(test.masks, expected[[1, 2, 4, 5]])
    for cell in cells:
        cell["path"] = None
    pq.write_table(pa.table({**table, "img": cells}), folder / "images.parquet")
    with pytest.raises(UserError, match=r"row 0 of .* has no name; images need a path beside their bytes"):
        load_source("parquet", options)
    pq.write_table(pa.table({**table, "img": cells, "name": [path.name for path in files]}), folder / "images.parquet")
    _, named = load_source("parquet", options)
    assert named.masks is not None and torch.equal(named.masks, test.masks)


def test_a_name_with_dots_is_not_cut(folder: Path) -> None:
    from src.data.boxes import Annotations

    voc(folder / "dotted" / "a.1.xml", (4, 4), (0, 0, 1, 1))
    (folder / "dotted.csv").write_text(f"{','.join(COLUMNS)}\nb.2,4,4,0,0,1,1\n")
    assert Annotations(folder / "dotted").of([PurePosixPath("x/a.1.jpg"), PurePosixPath("x/a.jpg")])[1] is None
    (known,) = Annotations(folder / "dotted.csv").of([PurePosixPath("x/b.2.JPEG")])
    assert known is not None and known.size == (4, 4)
