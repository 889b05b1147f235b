"""The target classes of a patch: one, or several in a list."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from src.artifacts.options import PatchedOptions
from src.artifacts.trial import check_target, target_names
from src.core.errors import UserError
from src.core.options import options_of

PLAIN: dict[str, Any] = {
    "strong": {"data": {}}, "weak": {}, "search": {}, "seed": 0,
    "importance": {"confidence": 0.9, "tap": "before_pool", "order": "l1"},
    "sensitivity": {"ratios": [0.5], "kept": 0.5, "tolerance": 0.05, "layers": "auto"}, "module_score": "margin",
    "calibration": "platt",
}  # fmt: skip
STRONG: Any = SimpleNamespace(classes=("disc", "ring", "bar", "tee"), input_shape=(3, 8, 8))
WEAK: Any = SimpleNamespace(classes=("star", "ring", "tee"), input_shape=(3, 8, 8))


def options(target: Any) -> PatchedOptions:
    return options_of(PatchedOptions, {**PLAIN, "target_class": target})


@pytest.mark.parametrize(("target", "names"), [(3, ["tee"]), ("tee", ["tee"]), ([1, 3], ["ring", "tee"])])
def test_the_last_classes_of_the_weak_network_are_the_targets(target: Any, names: list[str]):
    check_target(options(target), STRONG)
    assert target_names(options(target), WEAK, STRONG) == names


def test_a_class_that_is_not_there_is_named_with_the_list_that_it_stands_in():
    with pytest.raises(
        UserError, match=r"^target_class=\[1, 7\]: the strong network has no class 7; its classes: 0 disc"
    ):
        check_target(options([1, 7]), STRONG)
