"""The study of shape bias on images and networks whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from src.artifacts.examined_subject import Examined
from src.core.errors import UserError
from src.core.result import Result
from src.methods.locality.decisions import decisions_table, read_decisions, write_decisions
from src.studies.protocol import study_options
from src.studies.shape_bias import study
from tests.fakes.study import FakeSession, network, run
from tests.studies.locality.test_study import coloured

CATEGORIES = ("car", "cat", "dog")


class BySide(nn.Module):
    """Names the colour of the left half: the images below show their shape's colour there."""

    def __init__(self, right: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(20.0))
        self.right = right

    def forward(self, images: Tensor) -> Tensor:
        half = images[..., 8:] if self.right else images[..., :8]
        return self.scale * half.mean((2, 3))


@pytest.fixture
def conflicts(tmp_path: Path) -> Path:
    """For each shape and texture two images; left half the shape's colour, right half the texture's."""
    folder = tmp_path / "conflicts"
    for s, shape in enumerate(CATEGORIES):
        (folder / shape).mkdir(parents=True)
        for t, texture in enumerate(CATEGORIES):
            for number in (1, 2):
                picture = Image.new("RGB", (16, 16))
                for x in range(16):
                    colour = [0, 0, 0]
                    colour[s if x < 8 else t] = 255
                    for y in range(16):
                        picture.putpixel((x, y), (colour[0], colour[1], colour[2]))
                picture.save(folder / shape / f"{shape}{number}-{texture}{t + 1}.png")
        Image.new("RGB", (16, 16)).save(folder / shape / f"{shape}1.png")  # a silhouette beside them
    return folder


def measured(place: Path, model: nn.Module, **changes: Any) -> tuple[Any, Result]:
    subject = replace(network(), model=model.eval(), classes=CATEGORIES, mean=(0.0,) * 3, std=(1.0,) * 3)
    options = {"name": "shape_bias", "conflicts": str(place), "rule": "mean", "observers": None, "batch": 5, **changes}
    asked = study_options(options)
    study.check(asked, None)
    found = study.estimate(Examined(subject, coloured(0), coloured(0)), asked, run(FakeSession(place.parent)))
    result = Result("measure", "test")
    result.add(*study.panels(found))
    result.conclude(study.verdict(found))
    return found, result


def test_a_network_of_shapes_and_one_of_textures(conflicts: Path) -> None:
    found, result = measured(conflicts, BySide())
    assert (found.bias.shape_hits, found.bias.texture_hits, found.bias.trials) == (12, 0, 12)
    assert result.metrics["shape_bias"].value == 1.0 and result.verdict_kind == ""
    assert found.sensitivity.shape.low > 0.3 > 0 > found.sensitivity.texture.value - 1
    assert len(result.tables["decisions"]["trial"]) == 12 and "edges" not in result.tables
    found, _ = measured(conflicts, BySide(right=True))
    assert (found.bias.shape_hits, found.bias.texture_hits) == (0, 12)


def test_a_parquet_file_says_the_same(conflicts: Path, tmp_path: Path) -> None:
    files = sorted(conflicts.rglob("*.png"))
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
    pq.write_table(pa.table({"img": cells, "name": [path.name for path in files]}), tmp_path / "all.parquet")
    one, _ = measured(conflicts, BySide())
    other, _ = measured(tmp_path / "all.parquet", BySide())
    assert one.decisions == other.decisions


def test_a_network_that_always_says_the_same_uses_no_cue(conflicts: Path) -> None:
    blind = BySide()
    blind.scale.data.zero_()
    found, result = measured(conflicts, blind)  # 'car' always: right for a third of the shapes and of the textures
    assert found.bias.no_cue_used and result.verdict_kind == "no verdict"


def test_beside_other_observers(conflicts: Path, tmp_path: Path) -> None:
    names = [row["imagename"] for row in measured(conflicts, BySide())[0].decisions]
    shapes = [name.split("-")[0][:-1] for name in names]
    people = [("subject-01", shapes), ("subject-02", ["car"] * 12)]
    textures = [name.split("-")[1][:-5] for name in names]
    others = tmp_path / "others"
    for observer, answers in (*people, ("resnet", textures)):
        write_decisions(others / f"{observer}.csv", decisions_table(observer, names, answers, shapes))
    found, result = measured(conflicts, BySide(), observers=str(others))
    biases = {name: (each.shape_hits, each.texture_hits, each.trials) for name, each in found.observers.items()}
    assert biases == {"subject-01": (12, 0, 12), "subject-02": (4, 4, 12), "resnet": (0, 12, 12)}
    assert result.tables["shape_bias"]["network"] == ["network", "resnet", "subject-01", "subject-02"]
    assert len(result.tables["shape_bias_by_category"]["category"]) == 4 * 3, "a mark per observer"
    table = result.tables["observers"]
    assert table["observer"] == ["network", "resnet", "people among themselves"]
    assert table["observed"] == [pytest.approx((1 + 1 / 3) / 2), pytest.approx((0 + 2 / 3) / 2), pytest.approx(1 / 3)]
    assert table["mean_rank"] == [1.0, 2.0, None] and table["pairs"] == [2, 2, 1]
    assert "among network, resnet, and no others" in result.captions["observers"]
    own = read_decisions(tmp_path / "decisions.csv")
    assert own["object_response"].tolist() == [row["object_response"] for row in found.decisions]


def test_observers_whose_answers_are_no_category_are_refused_at_once(conflicts: Path, tmp_path: Path) -> None:
    others = tmp_path / "others.csv"
    write_decisions(others, decisions_table("subject-01", ["cat1-dog1.png"], ["dgo"], ["cat"]))
    asked = study_options({"name": "shape_bias", "conflicts": str(conflicts), "rule": "mean", "batch": 5,
                           "observers": str(others)})  # fmt: skip
    with pytest.raises(UserError, match="object_response 'dgo' in trial 1 of subject-01 is no category; did you mean"):
        study.check(asked, None)


def test_what_cannot_be_is_told(conflicts: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder or file"):
        measured(tmp_path / "nowhere", BySide())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image shows a shape and another"):
        measured(tmp_path / "empty", BySide())
    (conflicts / "cat" / "notes.txt").write_text("")
    with pytest.raises(UserError, match=r"'notes.txt' is not named <shape><n>-<texture><n>.png"):
        measured(conflicts, BySide())
    pq.write_table(pa.table({"name": ["cat1-dog1.png"]}), tmp_path / "all.parquet")
    with pytest.raises(UserError, match="no column img"):
        measured(tmp_path / "all.parquet", BySide())


def test_images_with_a_thing_that_the_network_does_not_know_are_left_out(conflicts: Path) -> None:
    session = FakeSession(conflicts.parent)
    subject = replace(network(), model=BySide().eval(), classes=("automobile", "cat", "frog"), mean=(0.0,) * 3,
                      std=(1.0,) * 3)  # fmt: skip
    asked = study_options({"name": "shape_bias", "conflicts": str(conflicts), "rule": "mean", "observers": None,
                           "batch": 5})  # fmt: skip
    found = study.estimate(Examined(subject, coloured(0), coloured(0)), asked, run(session))
    assert (found.bias.shape_hits, found.bias.trials, found.bias.categories) == (4, 4, ("car", "cat"))
    assert session.events == [
        "study.conflicts: the network knows car, cat of 3 categories; 4 of 12 images show two of them, the others are "
        "left out"
    ]


def test_a_network_of_other_classes_is_told(conflicts: Path) -> None:
    subject = network()
    asked = study_options({"name": "shape_bias", "conflicts": str(conflicts), "rule": "mean", "observers": None,
                           "batch": 5})  # fmt: skip
    with pytest.raises(UserError, match="the network has no class 'car', which the images show"):
        study.estimate(Examined(subject, coloured(0), coloured(0)), asked, run())
