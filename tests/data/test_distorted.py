"""The layouts of the public sets of distorted images."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from src.core.errors import UserError
from src.data.distorted import condition_of, decoded_distorted, identity_of, listed_distorted

CATEGORIES = ("cat", "dog", "elephant")


def picture(path: Path, size: tuple[int, int] = (20, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (9, 8, 7)).save(path)


def test_sessions_and_names(tmp_path: Path) -> None:
    for session, name in (("session-1", "0001_nse_dnn_0.60_cat_10_n02123045_7.png"),
                          ("session-1", "0002_eid_dnn_16-10-10_dog_10_n02109047_2662.png"),
                          ("session-2", "0001_ske_dnn_0_elephant_00_elephant-0065-sketch-20.png")):  # fmt: skip
        picture(tmp_path / "dnn" / session / name)
    (tmp_path / "dnn" / ".DS_Store").write_text("")
    shown = listed_distorted(tmp_path, CATEGORIES, "study.distorted")
    assert [image[1:] for image in shown] == [
        ("1", "0.6", "cat"), ("1", "16-10-10", "dog"), ("2", "0", "elephant")]  # fmt: skip
    parts = list(decoded_distorted(shown, 16, 3, 2))
    assert [tuple(part.shape) for part in parts] == [(2, 3, 16, 16), (1, 3, 16, 16)]


def test_folders_of_categories(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "cat1.png")
    (image,) = listed_distorted(tmp_path, CATEGORIES, "study.distorted")
    assert image[1:] == ("1", "0", "cat")


def test_what_an_image_is_called() -> None:
    assert identity_of("0000_cl_s01_bw_dog_40_n02951358_5952.JPEG") == "n02951358_5952"
    assert identity_of("0004_ske_s01_0_cat_00_cat-0251-sketch-6.png") == "cat-0251-sketch-6"
    assert identity_of("airplane1-bicycle2.png") == "airplane1-bicycle2"
    assert [condition_of(word) for word in ("0.00", "3.0", "NaN", "", "cr", "inf", "1-10-10")] == [
        "0", "3", "0", "0", "cr", "inf", "1-10-10"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("session-1/notes.txt", "'notes.txt' is not named <trial>_<set>_<observer>_<condition>"),
        ("session-1/0001_nse_dnn_cat.png", "is not named"),
        ("cat/notes.txt", "is not named"),
        ("session-1/0001_nse_dnn_0.6_cta_10_n02123045_7.png", "is of category 'cta'; did you mean 'cat'"),
    ],
)
def test_foreign_files_and_unknown_categories(tmp_path: Path, name: str, said: str) -> None:
    picture(tmp_path / "cat" / "cat1.png")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=said) as caught:
        listed_distorted(tmp_path, CATEGORIES, "study.distorted")
    assert "\n" not in str(caught.value) and str(caught.value).startswith("study.distorted=")


def test_no_place_and_no_image(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        listed_distorted(tmp_path / "nowhere", CATEGORIES, "study.distorted")
    with pytest.raises(UserError, match="holds no image"):
        listed_distorted(tmp_path, CATEGORIES, "study.distorted")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "cat1.png").write_text("no picture")
    shown = listed_distorted(tmp_path, CATEGORIES, "study.distorted")
    with pytest.raises(UserError, match=r"cat1\.png: not a readable image"):
        list(decoded_distorted(shown, 16, 3, 2))
