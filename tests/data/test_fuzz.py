"""Damaged files: every reader succeeds or raises a UserError of one line, in bounded memory and time."""

from __future__ import annotations

import gzip
import io
import json
import random
import resource
import signal
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from src.core.errors import UserError
from src.data.boxes import Annotations
from src.data.corrupted import read_cifar_c
from src.data.cue_conflict import read_cue_conflict
from src.data.decoding import Cut
from src.data.decoding import decode as streamed
from src.data.sources import load_source
from src.data.sources.idx import read_idx
from src.data.wordnet import read_is_a, read_meta, read_words
from src.methods.hierarchy.tree import read_tree
from src.methods.locality.decisions import COLUMNS, read_decisions
from tests.fakes.imagenet import write_meta

SEED = 20261129
PER_FILE = 80  # mutations of each file below, and an eighth of that of its beginnings
LIMIT = 3 << 30  # bytes that the whole programme may take at most beyond what it had
PATIENCE = 30  # seconds that none of them may take
#: What stands at the ends of the numbers that headers are made of.
ODD = (
    b"\x00" * 4,
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80\x00\x00\x00",
    b"9" * 4,
    b"[[[[",
    b"\x01",
)


class Sample(NamedTuple):
    """A whole file, and what reads it from a folder."""

    name: str
    content: bytes
    read: Callable[[Path], Any]
    mutations: int = PER_FILE


def _image(mode: str, kind: str, **more: Any) -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (24, 20, 4), np.uint8)
    picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257) if mode == "I;16" else (
        Image.fromarray(pixels).convert(mode)
    )  # fmt: skip
    content = io.BytesIO()
    picture.save(content, kind, **more)
    return content.getvalue()


def _read_images(folder: Path) -> None:
    options = {"root": str(folder), "test_fraction": 1.0, "size": 16}
    file = next(file for file in folder.rglob("*") if file.is_file())
    for read in (lambda: load_source("image_folder", options), lambda: streamed(str(file), Cut(16, 16))):
        try:
            read()
        except UserError as error:
            refused = error
        else:
            refused = None
    if refused is not None:
        raise refused


def _parquet(labels: Any, **more: Any) -> bytes:
    cells = [{"bytes": _image("RGB", "PNG"), "path": f"cat{n}-dog{n}.png"} for n in range(len(labels))]
    hub = {"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}
    table = pa.table({"img": cells, "label": labels, "name": [cell["path"] for cell in cells]})
    content = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(hub)}), content, **more)
    return content.getvalue()


def _npy(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


def _read_corrupted(folder: Path) -> None:
    for name, values in (("labels", np.zeros(10, np.int64)), ("fog", np.zeros((10, 4, 4, 3), np.uint8))):
        if not (folder / f"{name}.npy").exists():
            (folder / f"{name}.npy").write_bytes(_npy(values))
    read_cifar_c(folder, "fog", 2, torch.zeros(2, dtype=torch.int64))


def samples(place: Path) -> list[Sample]:
    turn = Image.Exif()
    turn[0x0112] = 6
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    moving = io.BytesIO()
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    idx = struct.pack(">HBBIII", 0, 8, 3, 5, 4, 4) + bytes(80)
    xml = (
        "<annotation><filename>a.jpg</filename><size><width>9</width><height>8</height><depth>3</depth></size>"
        "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object>"
        "</annotation>"
    )
    boxes = pa.table({name: [1.0, 2.0] for name in ("xmin", "ymin", "xmax", "ymax")} |
                     {"filename": ["a.png", "b.png"], "width": [9, 9], "height": [8, 8]})  # fmt: skip
    table = io.BytesIO()
    pq.write_table(boxes, table)
    csv = "filename,width,height,xmin,ymin,xmax,ymax\na.png,9,8,1,1,5,6\nb.png,9,8,,,,\n"
    rows = "\n".join([",".join(COLUMNS), "s1,1,1,0.5,cat,cat,0,cat1-dog1.png", "s1,1,2,0.7,dog,cat,0,cat2-dog2.png"])
    write_meta(place / "meta.mat")
    save_file({"a": torch.zeros(3)}, place / "a.safetensors")
    named = [PurePosixPath("a.png"), PurePosixPath("b.png")]
    return [
        *(Sample(f"cat/a.{ending}", content, _read_images) for ending, content in (
            ("png", _image("RGB", "PNG")), ("png", _image("RGBA", "PNG")), ("png", _image("P", "PNG", transparency=3)),
            ("png", _image("I;16", "PNG")), ("jpg", _image("RGB", "JPEG", exif=turn)), ("jpg", _image("CMYK", "JPEG")),
            ("jpg", _image("RGB", "JPEG", progressive=True)), ("tif", _image("RGB", "TIFF")),
            ("tif", _image("I;16", "TIFF", compression="tiff_lzw")), ("webp", _image("RGBA", "WEBP")),
            ("bmp", _image("RGB", "BMP")), ("ppm", _image("RGB", "PPM")), ("gif", moving.getvalue()),
        )),
        *(Sample("t.parquet", content, lambda folder: load_source("parquet", {"test": str(folder / "t.parquet")}))
          for content in (_parquet([0, 1, 0]), _parquet(["a", "b", "a"], compression="none"),
                          _parquet([0, 1, 1], use_dictionary=False, compression="gzip", row_group_size=1))),
        Sample("t.parquet", _parquet([0, 1, 1]), lambda folder: read_cue_conflict(folder / "t.parquet", 16, 3)),
        Sample("b.parquet", table.getvalue(), lambda folder: Annotations(folder / "b.parquet").of(named)),
        Sample("b.csv", csv.encode(), lambda folder: Annotations(folder / "b.csv").of(named)),
        Sample("boxes/a.xml", xml.encode(), lambda folder: Annotations(folder / "boxes").of(named)),
        Sample("a.idx", idx, lambda folder: read_idx(folder / "a.idx")),
        Sample("a.idx", gzip.compress(idx, mtime=0), lambda folder: read_idx(folder / "a.idx")),
        Sample("labels.npy", _npy(np.zeros(10, np.int64)), _read_corrupted),
        Sample("fog.npy", _npy(np.zeros((10, 4, 4, 3), np.uint8)), _read_corrupted),
        Sample("d.csv", rows.encode(), lambda folder: read_decisions(folder / "d.csv", ["cat", "dog"])),
        Sample("meta.mat", (place / "meta.mat").read_bytes(), lambda folder: read_meta(folder / "meta.mat"), 12),
        Sample("is_a.txt", b"n00015388 n01466257\n" * 3, lambda folder: read_is_a(folder / "is_a.txt")),
        Sample("words.txt", b"n00015388\tanimal, beast\n" * 3, lambda folder: read_words(folder / "words.txt")),
        Sample("tree.json", b'{"animals": ["cat", "dog"], "air": {"wings": ["plane", "glider"], "gas": ["a", "b"]}}',
               lambda folder: read_tree(folder / "tree.json", ("cat", "dog", "plane", "glider", "a", "b"))),
    ]  # fmt: skip


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A whole file after one to three kinds of damage."""
    damaged = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(damaged) + 1)
        # headers are short, and stand at the beginning; those of parquet at the end
        place = draw.choice([place, min(place, draw.randrange(64)), max(0, len(damaged) - draw.randrange(1, 200))])
        kind = draw.randrange(7)
        if kind == 0:
            damaged = damaged[:place]
        elif kind == 1:
            damaged[place : place + 1] = bytes([draw.randrange(256)])
        elif kind == 2:
            odd = draw.choice(ODD)
            damaged[place : place + len(odd)] = odd
        elif kind == 3:
            del damaged[place : place + draw.randrange(1, 40)]
        elif kind == 4:
            damaged[place:place] = damaged[place : place + draw.randrange(1, 60)]
        elif kind == 5:
            damaged[place:place] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 20)))
        elif damaged:
            damaged[place : place + 1] = bytes([damaged[min(place, len(damaged) - 1)] ^ (1 << draw.randrange(8))])
    return bytes(damaged)


@contextmanager
def patience(case: str) -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise AssertionError(f"{case}: not read within {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_readers_succeed_or_refuse(tmp_path: Path) -> None:
    draw, counts = random.Random(SEED), Counter[str]()
    place = tmp_path / "samples"
    place.mkdir()
    at_first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, (name, content, read, mutations) in enumerate(samples(place)):
        folder = tmp_path / str(number)
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
        read(folder)  # whole, it is read
        cuts = [content[: draw.randrange(len(content))] for _ in range(mutations // 8)]
        for case, damaged in enumerate([*cuts, *(mutated(content, draw) for _ in range(mutations))]):
            (folder / name).write_bytes(damaged)
            refusal = ""
            with patience(f"{number} {name} {case}"):
                try:
                    read(folder)
                except UserError as error:
                    refusal = str(error)
                except Exception as error:
                    raise AssertionError(f"{number} {name} {case}: {type(error).__name__}: {error}") from error
            counts["refused" if refusal else "right"] += 1
            assert "\n" not in refusal and len(refusal) < 1500, f"{number} {name} {case}: {refusal}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_first) * 1024
    print(dict(counts), f"{grown / 1e6:.0f} MB")
    assert sum(counts.values()) >= 2500 and counts["refused"] > 500 and counts["right"] > 100
    assert grown < LIMIT
