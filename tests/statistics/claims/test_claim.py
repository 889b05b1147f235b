"""Claims are stated whole, and a misspelt key is not passed over."""

from pathlib import Path

import pytest

from src.core.errors import UserError
from src.statistics.claims import check_columns, claim_from, read_claims
from tests.statistics.claims.jobs import PLAIN, claim

CONF = Path(__file__).parents[3] / "conf" / "claims"
COLUMNS = (
    "variant",
    "seed",
    "data",
    "location",
    "macs",
    "full_minimum_width",
    "architecture",
    "test_accuracy",
    "validation_accuracy",
)


def test_the_stated_claims_can_be_read_and_ask_for_columns_that_jobs_have() -> None:
    claims = read_claims(CONF)
    assert {one.id for one in claims} >= {"early_layers_better", "early_layers_overfit_less"}
    check_columns([one for one in claims if one.id.startswith("early_layers")], COLUMNS)
    assert all(one.source and one.statement for one in claims)
    # a difference within a pair, or networks that come trained by path, have no accuracy to reach
    free = [one for one in claims if one.contrast.averaged or "training" in one.contrast.group]
    assert all(one.gate for one in claims if one not in free)
    equal = read_claims(CONF, ["early_layers_better_equal_flops"])[0]
    assert [term.label for term in equal.terms] == ["location", "log10 macs"] and equal.sign == -1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrik": "x"}, "claims.early.metrik is not a setting; did you mean 'metric'?"),
        ({"design": {"units": 3, "seed": 2}}, "claims.early.design.seed is not a setting; did you mean 'seeds'?"),
        ({"design": {"seeds": 3}}, "claims.early.design.units: missing; allowed is a whole number from 1"),
        ({"design": {"units": 0}}, "claims.early.design.units=0: allowed is a whole number from 1"),
        (
            {"direction": "negativ"},
            "claims.early.direction=negativ: allowed is positive, negative; did you mean 'negative'?",
        ),
        ({"test": "t_test"}, "claims.early.test=t_test: allowed is two_stage_bootstrap, student_t"),
        ({"contrast": {"slope": "location", "group": {"a": 1}, "against": {"a": 2}}}, "give either slope, or group"),
        ({"contrast": {"group": {"location": [0, 4]}}}, "give either slope, or group and against"),
        (
            {"contrast": "location"},
            "claims.early.contrast=location: allowed is a group with mean, slope, per, group, against",
        ),
        ({"contrast": {"mean": True}}, "claims.early.test=two_stage_bootstrap: a mean is tested by student_t"),
        ({"test": "student_t"}, "claims.early.test=student_t: a mean is tested by student_t without covariates"),
        (
            {"contrast": {"mean": True}, "test": "student_t", "design": {"units": 1}},
            "claims.early.design.units=1: a mean over units needs 2 or more",
        ),
        ({"id": "late"}, "claims.early.id=late: the name of the file is the id"),
        ({"level": 95}, "claims.early.level=95: allowed is a number above 0.5 below 1"),
        ({"margin": -0.1}, "claims.early.margin=-0.1: allowed is a number from 0"),
        (
            {"where": {"location": [1, 2, 3]}},
            r"claims.early.where={'location': \[1, 2, 3\]}: allowed is columns, each with one value or \[low, high\]",
        ),
        (
            {"design": {"units": 3, "span": {"location": 4}}},
            r"design.span={'location': 4}: allowed is columns, each with \[low, high\]",
        ),
    ],
)
def test_what_a_claim_must_not_say(changes: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        claim(**changes)


@pytest.mark.parametrize("key", sorted(PLAIN))
def test_a_claim_states_everything_before_it_is_tested(key: str) -> None:
    with pytest.raises(UserError, match=f"claims.early.{key}: missing; allowed is"):
        claim_from("early", {name: value for name, value in PLAIN.items() if name != key})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"metric": "test_acuracy"},
            "claims.early.metric: no column test_acuracy of jobs; did you mean 'test_accuracy'",
        ),
        ({"beside": ["log flops"]}, "claims.early.beside: no column flops"),
        (
            {"contrast": {"slope": "locaton"}},
            "claims.early.contrast: no column locaton of jobs; did you mean 'location'",
        ),
        ({"where": {"minimum": [1, 2]}}, "claims.early.where: no column minimum"),
        ({"unit": "varient"}, "claims.early.unit: no column varient"),
    ],
)
def test_a_column_that_jobs_do_not_have_is_named_before_anything_runs(changes: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_columns([claim(**changes)], COLUMNS)


def test_reading_names_the_file_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "early.yaml").write_text("statement: [\n")
    (tmp_path / "late.yaml").write_text("just words\n")
    with pytest.raises(UserError, match="there is no claim earl; did you mean 'early'"):
        read_claims(tmp_path, ["earl"])
    with pytest.raises(UserError, match=r"claims.early: .*mend early.yaml"):
        read_claims(tmp_path, ["early"])
    with pytest.raises(UserError, match=r"late.yaml must hold keys"):
        read_claims(tmp_path, ["late"])
