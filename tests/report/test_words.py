import math

import pytest

from src.report.cells import columns
from src.report.words import ago, duration, interval, plain_text, pretty, quantity, titled, unit_of, writer


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other_accuracy", "Other accuracy"),
        ("f1", "F1"),
        ("test/accuracy", "Test accuracy"),
        ("tc_f1", "TC F1"),
        ("AUC of it", "AUC of it"),
        ("flops", "FLOPs"),
        ("", ""),
    ],
)
def test_names_become_titles(name, said):
    assert pretty(name) == said


def test_units_decide_how_a_number_is_written():
    assert writer([0.862], "%")(0.862) == "86.2"
    assert writer([0.114, -0.003], "points")(0.114) == "+11.4"
    assert writer([0.114, -0.003], "points")(-0.003) == "-0.3"
    assert writer([0.0], "points")(-0.0001) == "0.0"  # neither -0.0 nor +0.0
    assert writer([1234, 2], "")(1234) == "1,234"
    assert writer([3e9], "")(3.21e9) == "3.21 G"
    assert writer([0.52, 0.1], "")(0.5) == "0.500"
    assert writer([0.52, 0.0002], "")(0.0002) == "2.0e-04"  # not 0.000
    assert titled("f1", "%") == "F1 (%)"
    assert quantity("86.2", "%") == "86.2%"
    assert quantity("+11.4", "points") == "+11.4 points"


def test_missing_numbers_are_a_dash_and_have_no_interval():
    write = writer([0.5, None, math.nan], "%")
    assert write(None) == write(math.nan) == "–"
    assert interval(0.1, None, write) == ""
    assert interval(0.1, 0.2, write) == "[10.0, 20.0]"


def test_a_unit_holds_for_the_last_part_of_a_name_unless_the_whole_name_has_its_own():
    units = {"accuracy": "%", "val/accuracy": "points"}
    assert unit_of("test/accuracy", units) == "%"
    assert unit_of("val/accuracy", units) == "points"
    assert unit_of("loss", units) == ""


def test_text_cannot_steer_a_terminal():
    assert "\x1b" not in plain_text("\x1b[2Jgone\n")
    assert plain_text(True) == "yes"
    assert plain_text(["a", 1]) == "a, 1"


def test_ages():
    ages = [ago(seconds) for seconds in (3, 60, 3 * 3600 + 1000, 86400, 200 * 86400)]
    assert ages == ["just now", "1 minute ago", "3 hours ago", "1 day ago", "200 days ago"]


def test_durations():
    assert [duration(s) for s in (0.416, 12.34, 125, 3725)] == ["0.42 s", "12.3 s", "2 min 05 s", "1 h 02 min"]


def test_bounds_are_merged_into_their_column_only_in_pairs():
    table = {"m": ["a", "b"], "f1": [0.5, None], "f1_low": [0.4, None], "f1_high": [0.6, None], "x_low": [1, 2]}
    found = columns(table, {"f1": "%"})
    assert [column.title for column in found] == ["M", "F1 (%)", "X low"]
    assert found[1].cells[0][:3] == ("50.0", "[40.0, 60.0]", 0.5)
    assert found[1].cells[1][:3] == ("–", "", "")
    assert [column.numeric for column in found] == [False, True, True]
    assert len(columns(table, {}, most=1)[0].cells) == 1


def test_numpy_scalars_are_numbers():
    numpy = pytest.importorskip("numpy")
    assert columns({"x": [numpy.float32(0.5), numpy.int64(2)]}, {})[0].numeric
