"""The list of names that are read, and that a lost one is noticed; held against real results in test_experiments.py.

Those tests stand where every experiment has been run tiny, so that none is run twice.
"""

import copy
import json

import pytest
import yaml

from src.core.paths import CONF
from src.statistics.claims import read_claims
from tests.end_to_end import frozen
from tests.end_to_end.conftest import ROOT


def comparisons() -> dict[str, dict]:
    """The comparison that each file of conf/experiment states itself."""
    files = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    return {name: plain["comparison"] for name, plain in files.items() if "comparison" in plain}


@pytest.fixture
def names() -> frozen.Names:
    return copy.deepcopy(json.loads(frozen.NAMES.read_text())["invariance_rotation"])


@pytest.fixture
def read() -> frozen.Read:
    return frozen.read_by("invariance", comparisons()["invariance_rotation"])


def test_every_claim_is_judged_by_some_experiment():
    """A claim that no experiment names would be read by no test of names."""
    judged = {claim for how in comparisons().values() for claim in how.get("claims", ())}
    assert judged == {path.stem for path in (CONF / "claims").glob("*.yaml")}


def test_every_key_of_a_comparison_is_looked_into():
    known = {"over_seeds", "over_depth", "explorer", "regression", "equal_cost", "claims", "varied", "caption"}
    assert {key for how in comparisons().values() for key in how} <= known


def test_each_claims_metric_and_conditions_are_read(read):
    for claim in read_claims(CONF / "claims", comparisons()["invariance_rotation"]["claims"]):
        assert {claim.metric, claim.unit, *claim.where} <= read.columns


def test_nothing_that_is_read_is_missing(read, names):
    assert not frozen.missing_names(read, names)


def test_every_name_that_is_lost_is_noticed(read, names):
    """Without any one of the names that are read the check fails, and says which it is."""
    for metric in read.metrics | read.columns:
        fewer = copy.deepcopy(names)
        for kind in ("metrics", "row"):
            fewer[kind] = [name for name in names[kind] if name != metric]
        assert any(metric in word for word in frozen.missing_names(read, fewer)), metric
    for table, columns in read.tables.items():
        without = {**names, "tables": {name: there for name, there in names["tables"].items() if name != table}}
        assert frozen.missing_names(read, without) == [f"table {table}"]
        for column in columns:
            fewer = copy.deepcopy(names)
            fewer["tables"][table].remove(column)
            assert frozen.missing_names(read, fewer) == [f"column {column} of {table}"]


def test_every_frozen_name_that_is_lost_is_noticed(names):
    assert not frozen.lost_names(names, names)
    for table, columns in names["tables"].items():
        for column in columns:
            fewer = copy.deepcopy(names)
            fewer["tables"][table].remove(column)
            assert frozen.lost_names(names, fewer) == [f"{table}.{column}"]
    for metric in names["metrics"]:
        fewer = {**names, "metrics": [name for name in names["metrics"] if name != metric]}
        assert frozen.lost_names(names, fewer) == [f"metrics {metric}"]
    more = {**names, "metrics": [*names["metrics"], "another"]}
    assert not frozen.lost_names(names, more)
