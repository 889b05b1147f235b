"""Options are checked once, and what is wrong with them is one line."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from annotated_types import Ge, MinLen

from src.core.errors import UserError
from src.core.options import Count, Share, Words, options, options_of


@options
class Inner:
    epochs: Count
    rate: Annotated[float, Ge(0)]


@options
class Outer:
    name: Literal["platt", "min_max"]
    inner: Inner
    names: Annotated[tuple[str, ...], MinLen(1)]
    size: Count | None
    share: Share
    target: Annotated[int | str, Words("a class by number or name")]
    maybe: Inner | None
    table: dict[int, float]
    measures: tuple[Literal["distance", "anova"], ...]


PLAIN = {
    "name": "platt",
    "inner": {"epochs": 3, "rate": 1},
    "names": ["a"],
    "size": None,
    "share": 0.5,
    "target": "disc",
    "maybe": None,
    "table": {3: 0.5},
    "measures": [],
}


def test_plain_values_become_frozen_options():
    made = options_of(Outer, PLAIN)
    assert made.inner == Inner(3, 1.0) and made.names == ("a",) and made.table == {3: 0.5}
    with pytest.raises(AttributeError):
        made.share = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "plat"}, "here.name=plat: allowed is platt, min_max; did you mean 'platt'?"),
        ({"nmae": 1}, "here.nmae is not a setting; did you mean 'name'?"),
        ({"inner": {"epochs": 3, "rat": 1.0}}, "here.inner.rat is not a setting; did you mean 'rate'?"),
        ({"inner": {"epochs": 0, "rate": 1.0}}, "here.inner.epochs=0: allowed is a whole number from 1"),
        ({"inner": {"epochs": True, "rate": 1.0}}, "here.inner.epochs=true: allowed is a whole number from 1"),
        ({"inner": {"epochs": 3}}, "here.inner.rate: missing; allowed is a number from 0"),
        ({"inner": 3}, "here.inner=3: allowed is a group with epochs, rate"),
        ({"names": []}, "here.names=[]: allowed is a list of words that is not empty"),
        ({"names": ["a", 3]}, "here.names=['a', 3]: allowed is a list of words that is not empty"),
        (
            {"measures": ["anovaa"]},
            "here.measures=['anovaa']: allowed is a list of distance, anova; did you mean 'anova'?",
        ),
        ({"size": 0}, "here.size=0: allowed is null or a whole number from 1"),
        ({"size": 1.5}, "here.size=1.5: allowed is null or a whole number from 1"),
        ({"share": 2}, "here.share=2: allowed is a number from 0 to 1"),
        ({"share": float("nan")}, "here.share=nan: allowed is a number from 0 to 1"),
        ({"share": "0.5"}, "here.share=0.5: allowed is a number from 0 to 1"),
        ({"target": 1.5}, "here.target=1.5: allowed is a class by number or name"),
        ({"maybe": {"epochs": 3, "rate": -1.0}}, "here.maybe.rate=-1.0: allowed is a number from 0"),
    ],
)
def test_what_is_wrong_is_one_line(changes, message):
    with pytest.raises(UserError) as error:
        options_of(Outer, {**PLAIN, **changes}, "here")
    assert str(error.value) == message
