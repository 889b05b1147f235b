"""Decisions as files, counts from them, and how alike observers err, against numbers by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from src.core.errors import UserError
from src.methods.locality.decisions import (
    COLUMNS,
    agreement,
    conflicts_of,
    consistency,
    decisions_table,
    mean_ranks,
    pairs,
    read_decisions,
    right_by_image,
    trials_of,
    write_decisions,
)
from src.methods.locality.shape_bias import crossed_weights, shape_bias

NAMES = ["cat1-dog2.png", "dog3-cat1.png", "cat4-cat5.png"]


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_decisions_there_and_back(tmp_path: Path) -> None:
    rows = decisions_table("net", NAMES, ["cat", "cat", "cat"], ["cat", "dog", "cat"])
    write_decisions(tmp_path / "net.csv", rows)
    text = (tmp_path / "net.csv").read_text()
    assert text.splitlines()[0] == ",".join(COLUMNS) and "net,1,1,NaN,cat,cat,0,cat1-dog2.png" in text
    table = read_decisions(tmp_path / "net.csv")
    assert table.to_dict("records") == [{key: str(value) for key, value in row.items()} for row in rows]
    answers, cues = conflicts_of(table)
    trials = trials_of(answers, cues, ("cat", "dog"))
    weights = crossed_weights(trials.shape_source, trials.texture_source, resamples=20, seed=0)
    counts = shape_bias(trials, weights)
    assert (counts.shape_hits, counts.texture_hits, counts.trials) == (1, 1, 2)
    with pytest.raises(UserError, match=r"'cat\.png' is not named"):
        conflicts_of(table.assign(imagename="cat.png"))


@given(some.lists(some.text(some.sampled_from("=+-@\t'\"a,; \u00fc"), max_size=6), min_size=1, max_size=5))
def test_no_cell_is_a_formula(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    path = tmp_path_factory.mktemp("decisions") / "net.csv"
    rows = decisions_table("=net", words, ["+"] * len(words), ["-"] * len(words))
    write_decisions(path, rows)
    raw = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert not any(str(cell).startswith(("=", "+", "-", "@", "\t")) for cell in raw.to_numpy().ravel())
    read = read_decisions(path)
    assert read["subj"].unique().tolist() == ["=net"] and read["object_response"].unique().tolist() == ["+"]
    assert read["imagename"].tolist() == words


def test_public_files_in_their_own_ways(tmp_path: Path) -> None:
    """Some have Session, another order, more columns, 0.60 for 0.6, no condition at all, people who do not answer."""
    written(tmp_path / "a.csv", "imagename,category,condition,Session,subj,trial,rt,object_response,age",
            "0001_nse_s01_0.60_cat_10_n02123045_7.png,cat,0.60,1,subject-01,1,NaN,na,30")  # fmt: skip
    written(tmp_path / "b.csv", ",".join(COLUMNS), "resnet50,1,1,NaN,dog,cat,NaN,cat1-dog1.png",
            "resnet50,1,2,NaN,dog,cat,c05,cat1-dog1.png")  # fmt: skip
    table = read_decisions(tmp_path, ["cat", "dog"])
    assert list(table.columns) == list(COLUMNS) and table["condition"].tolist() == ["0.6", "0", "c05"]
    assert table["object_response"].tolist() == ["na", "dog", "dog"]


FIRST = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([FIRST[:-10], "a,1,1,NaN,cat,cat,0"], "no column imagename; it needs subj, session"),
        ([FIRST, *["a,1,1,NaN,cat,cat,0,x.png"] * 2], "1 trials stand in it twice, first trial 1 of session 1 of a"),
        ([FIRST, "a,1,1,NaN,cat,cta,0,x.png"], "category 'cta' in trial 1 of a is no category; did you mean"),
        ([FIRST, "a,1,1,NaN,ufo,cat,0,x.png"], "object_response 'ufo' in trial 1 of a is no category; known"),
        ([FIRST, "a,1,1,NaN,cat,cat,0,x.png,9,9"], "line 2 has 10 cells, the first 8"),
        ([FIRST, 'a,1,1,NaN,"cat'], "cannot be read"),
        ([], "no column subj, session"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, lines: list[str], said: str) -> None:
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(UserError, match=said) as caught:
        read_decisions(tmp_path / "a.csv", ["cat", "dog"])
    assert "\n" not in str(caught.value)


def test_places_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no CSV"):
        read_decisions(tmp_path)
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00subj")
    with pytest.raises(UserError, match="cannot be read"):
        read_decisions(tmp_path / "a.csv")


def keys(**right: bool) -> dict[tuple[str, int], bool]:
    return {(name, 0): value for name, value in right.items()}


def test_consistency_by_hand() -> None:
    first, second = keys(a=True, b=True, c=False, d=False), keys(a=True, b=False, c=False, d=True, e=True)
    made = consistency(first, second)
    assert (made.observed, made.expected, made.kappa, made.trials) == (0.5, 0.5, 0.0, 4)
    assert consistency(first, first).kappa == 1.0 and made.accuracy_difference == 0
    with pytest.raises(UserError, match="share no image"):
        consistency(first, keys(z=True))


def test_numbers_of_images_are_told_apart_by_their_wordnet_ids() -> None:
    names = ["0011_cl_s01_bw_elephant_40_n02504458_3485.png", "0048_cl_s02_cr_elephant_40_n02504013_3485.png",
             "0050_cl_s02_cr_elephant_40_n02504013_3485.png"]  # fmt: skip
    table = pd.DataFrame(decisions_table("a", names, ["elephant", "dog", "elephant"], ["elephant"] * 3))
    assert right_by_image(table) == {
        ("n02504458_3485", 0): True, ("n02504013_3485", 0): False, ("n02504013_3485", 1): True}  # fmt: skip


def test_means_over_conditions_then_over_observers() -> None:
    """The network agrees with the first person in one of two conditions, with the second, who saw one, in it."""

    def rows(observer: str, condition: str, right: list[bool]) -> list[dict[str, object]]:
        names = [f"{condition}-{number}.png" for number in range(len(right))]
        answers = ["cat" if each else "dog" for each in right]
        return decisions_table(observer, names, answers, ["cat"] * len(right), [condition] * len(right))

    table = pd.DataFrame([
        *rows("network", "x", [True, False]), *rows("network", "y", [True, True]),
        *rows("subject-1", "x", [True, False]), *rows("subject-1", "y", [False, False]),
        *rows("subject-2", "x", [True, False]),
    ])  # fmt: skip
    compared = list(pairs(table, ["network"], ["subject-1", "subject-2", "network"]))
    assert [(pair.second, pair.condition) for pair in compared] == [
        ("subject-1", "x"), ("subject-1", "y"), ("subject-2", "x")]  # fmt: skip
    made = agreement(compared)
    assert made.observed == pytest.approx((0.5 + 1) / 2) and made.accuracy_difference == pytest.approx((0.5 + 0) / 2)
    assert made.squared_difference == pytest.approx((0.5 + 0) / 2) and (made.pairs, made.conditions) == (2, 2)
    assert made.kappa == pytest.approx(((1 + 0) / 2 + 1) / 2)
    among = list(pairs(table, ["subject-1", "subject-2"], ["subject-1", "subject-2"]))
    assert len(among) == 1 and among[0].consistency.kappa == 1.0, "each two once"
    with pytest.raises(UserError, match="share no image"):
        agreement(list(pairs(table, ["network"], ["nobody"])))


def test_mean_ranks_by_hand() -> None:
    from src.methods.locality.decisions import Agreement

    def of(squared: float, observed: float, kappa: float) -> Agreement:
        return Agreement(0.0, squared, observed, kappa, 1, 1)

    ranks = mean_ranks({"a": of(0.1, 0.9, 0.2), "b": of(0.1, 0.8, 0.5), "c": of(0.3, 0.7, 0.1)})
    assert ranks == pytest.approx({"a": (1.5 + 1 + 2) / 3, "b": (1.5 + 2 + 1) / 3, "c": 3.0})
    assert mean_ranks({"a": of(0.1, 0.9, 0.2)}) == {"a": 1.0}
