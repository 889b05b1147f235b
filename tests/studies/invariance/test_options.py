"""What is refused before anything trains."""

from __future__ import annotations

from typing import Any

import pytest

from src.artifacts.options import ImagesOptions
from src.core.errors import UserError
from src.studies.invariance.study import check
from src.tasks.measure import measure
from src.tasks.options import Measure
from tests.fakes.artifacts import artifacts
from tests.studies.invariance.given import options, study_values


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"aggregations": []}, r"study.aggregations=\[\]: allowed is none, sum, mean, max or a list of .* not empty"),
        ({"aggregations": ["sum", "sum"]}, "study.aggregations=.* each only once"),
        ({"aggregations": ["summ"]}, r"study.aggregations=\['summ'\]: allowed is none, sum, mean, max"),
        ({"aggregations": "summ"}, "study.aggregations=summ: allowed .* did you mean 'sum'"),
        ({"aggregations": ["sum"], "after": "mean"}, r"study.after=mean: .*\['sum'\] have none of; add none to them"),
        ({"after": "sum"}, "study.after=sum: allowed is none, mean"),
        ({"dtype": "float16"}, "study.dtype=float16: allowed is float32, float64; did you mean 'float"),
        ({"measures": ["anovaa"]}, r"study.measures=\['anovaa'\]: allowed is a list of distance, anova, firing"),
        ({"layers": 5}, "study.layers=5: allowed is a word or a list of words"),
        ({"ambiguous": 6}, "study.ambiguous=6: allowed is a list of classes by number or name"),
        ({"images_per_class": 1}, "study.images_per_class=1: allowed is null or a whole number from 2"),
        ({"images_per_class": True}, "study.images_per_class=true"),
        ({"permutations": -1}, "study.permutations=-1: allowed is a whole number from 0"),
        ({"pictures": 2.5}, "study.pictures=2.5: allowed is a whole number from 0"),
        ({"kept_units": 0}, "study.kept_units=0: allowed is a whole number from 1"),
        ({"batch": 0}, "study.batch=0: allowed is a whole number from 1"),
        ({"memory_gb": 0}, "study.memory_gb=0: allowed is a number above 0"),
        ({"picturs": 1}, "study.picturs is not a setting; did you mean 'pictures'"),
        ({"transformation": {"family": "rotatio"}}, "transformation.family=rotatio: did you mean 'rotation'"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_trains(
    chosen: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.tasks.measure.subject_of", lambda *_: pytest.fail("trained"))
    asked = Measure({"kind": "checkpoint"}, study_values(**chosen), 0, 20)
    with pytest.raises(UserError, match=said):
        measure(asked, ImagesOptions({}), artifacts())
    check(options(), None)


def test_one_name_may_stand_for_a_list() -> None:
    assert options(aggregations="sum").each_aggregation == ("sum",) == options(aggregations=["sum"]).each_aggregation
    assert options(layers="conv*").each_layer == ("conv*",) and options(layers=["a", "b"]).each_layer == ("a", "b")


def test_positions_that_were_moved_back_can_be_averaged() -> None:
    assert options(aggregations=["sum"], after="mean", same_equivariance=True).after == "mean"
