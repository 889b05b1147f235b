"""Verdicts on tables whose truth is known."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from src.core.errors import UserError
from src.statistics.claims import judge, readme_table, verdict_table
from tests.statistics.claims.jobs import RUN, claim, jobs, table

GATES = {"glyphs": 0.5, "digits": 0.5}


def verdict_of(rows, one=None, *, gates=GATES, curves=None, **settings):
    (verdict,) = judge([one or claim()], table(rows), curves or {}, gates=gates, **{"resamples": 500, **settings})
    return verdict


def falling(row):
    return 0.8 - 0.004 * row["location"]


def test_a_planted_slope_is_found_and_covered() -> None:
    verdict = verdict_of(jobs(falling))
    assert verdict.verdict == "supported" and verdict.p_holm == verdict.p < 0.05
    found = verdict.estimate
    assert found.low < -0.004 < found.high < 0 and (found.n, found.unit) == (24, "variants")
    assert verdict.effect == "points per layer"
    assert verdict.reason.startswith("24 variants, 4 seeds each: -0.") and "points per layer" in verdict.reason


def test_the_other_direction_is_contradicted() -> None:
    assert verdict_of(jobs(lambda row: 0.5 + 0.004 * row["location"])).verdict == "contradicted"
    assert verdict_of(jobs(falling), claim(direction="positive")).verdict == "contradicted"


def test_the_margin_is_what_the_effect_must_exceed() -> None:
    assert verdict_of(jobs(falling), claim(margin=0.002)).verdict == "supported"
    same = verdict_of(jobs(falling), claim(margin=0.004))
    assert same.verdict == "undecided" and same.p > 0.1, "p is for the margin, not for no effect"
    assert verdict_of(jobs(falling), claim(margin=0.008)).verdict == "undecided", "too small, but not against it"


def test_no_effect_is_undecided() -> None:
    verdict = verdict_of(jobs(seed=3))
    assert verdict.verdict == "undecided" and verdict.p > 0.05 and verdict.estimate.low < 0 < verdict.estimate.high


@pytest.mark.parametrize(("between", "within"), [(0.01, 0.0), (0.01, 0.01)])
def test_chance_is_seldom_taken_for_support(between: float, within: float) -> None:
    verdicts = [
        verdict_of(jobs(seed=k, seeds=2, between=between, within=within), resamples=400, seed=k).verdict
        for k in range(200)
    ]
    assert verdicts.count("supported") <= 14 and verdicts.count("contradicted") <= 14
    assert set(verdicts) <= {"supported", "contradicted", "undecided"}


def test_seeds_are_repeated_measures_and_no_units() -> None:
    """Sixteen copies of a seed say nothing more of the variants: the interval must not shrink."""
    few, many = (verdict_of(jobs(seeds=count, within=0.0)).estimate for count in (2, 16))
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.3)


def confounded(shared: float):
    """Accuracy comes from log MACs alone, and those from the location but for a rest."""
    return jobs(
        lambda row: 0.3 + 0.06 * math.log10(row["macs"]), between=0.004, within=0.004,
        log_macs=lambda row: 10 - 0.13 * row["location"] + (1 - shared) * row["wobble"],
    )  # fmt: skip


def test_a_confounder_is_not_taken_for_the_cause() -> None:
    claims = [claim("published"), claim("equal", beside=["log macs"])]
    published, equal = judge(claims, table(confounded(0.8)), {}, gates=GATES)
    assert published.verdict == "supported" and equal.verdict == "undecided"
    assert "% of the variance of location is left beside log10 macs" in equal.reason
    assert equal.estimate.low < 0 < equal.estimate.high
    assert equal.p_holm == pytest.approx(max(equal.p, published.p_holm))


def test_the_cause_is_still_found_beside_a_covariate() -> None:
    rows = jobs(falling, log_macs=lambda row: 10 - 0.13 * row["location"] + 0.3 * row["wobble"])
    assert verdict_of(rows, claim(beside=["log macs"])).verdict == "supported"


def test_where_nothing_is_left_of_the_contrast_the_claim_stays_undecided() -> None:
    design = {"units": 12, "share_left": 0.02}
    verdict = verdict_of(confounded(0.999), claim(beside=["log macs"], design=design))
    assert verdict.verdict == "undecided" and math.isnan(verdict.p_holm)
    assert "the claim asks 2%: the two cannot be told apart here" in verdict.reason
    same = verdict_of(confounded(1.0), claim(beside=["log macs"], design={"units": 12}))
    assert same.verdict == "undecided" and math.isnan(same.p) and "cannot be told apart" in same.reason


def test_groups() -> None:
    groups = {"group": {"location": [0, 4]}, "against": {"location": [11, None]}}
    one = claim(contrast=groups, direction="positive", design={"units": 10, "each_side": 8})
    verdict = verdict_of(jobs(falling), one)
    assert verdict.verdict == "supported" and verdict.effect == "points"
    assert verdict.estimate.low < 0.004 * 11 < verdict.estimate.high and verdict.estimate.n == 20
    narrow = verdict_of(jobs(falling), replace(one, design=replace(one.design, each_side=11)))
    assert narrow.verdict == "no verdict" and "10 variants against the group, the claim asks 11" in narrow.reason


def test_a_small_group_is_in_every_resample() -> None:
    rows = [row for row in jobs(falling, units=36) if row["location"] is None or row["location"] < 12]
    one = claim(
        contrast={"group": {"location": [0, 8]}, "against": {"location": [11, 11]}}, direction="positive",
        design={"units": 12, "each_side": 3},
    )  # fmt: skip
    verdict = verdict_of(rows, one)
    assert verdict.estimate.n == 24 and verdict.p == pytest.approx(2 / 501), "lost resamples would count against it"


def test_where_restricts_the_runs() -> None:
    rows = jobs(lambda row: 0.8 - 0.01 * row["location"] * (row["full_minimum_width"] < 16), units=48)
    design = {"units": 8}
    assert verdict_of(rows, claim(design=design)).verdict == "supported"
    wide = verdict_of(rows, claim(where={"full_minimum_width": [16, None]}, design=design))
    count = len({row["variant"] for row in rows if row["full_minimum_width"] >= 16} - {"baseline"})
    assert wide.verdict == "undecided" and wide.estimate.n == count


def test_a_baseline_that_did_not_train_closes_the_gate() -> None:
    rows = jobs(falling)
    closed = verdict_of([{**row, "validation_accuracy": 0.3} for row in rows])
    assert closed.verdict == "no verdict" and math.isnan(closed.p) and math.isnan(closed.estimate.value)
    assert closed.reason == (
        "Not converged, no verdict: baseline has a validation accuracy of 30.0%, below the 50.0% asked."
    )
    absent = verdict_of([row for row in rows if row["variant"] != "baseline"])
    assert absent.verdict == "no verdict" and "no finished run of baseline" in absent.reason
    assert verdict_of(rows, gates={}).verdict == "no verdict"
    assert verdict_of(rows, claim(gate=None), gates={}).verdict == "supported"


def test_each_data_set_has_its_own_gate_and_verdict() -> None:
    rows = jobs(falling) + [{**row, "validation_accuracy": 0.2} for row in jobs(falling, data="digits")]
    digits, glyphs = judge([claim()], table(rows), {}, gates=GATES, resamples=500)
    assert (digits.data, digits.verdict, glyphs.data, glyphs.verdict) == ("digits", "no verdict", "glyphs", "supported")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (jobs(falling, units=8), "8 variants with at least 2 seeds, the claim asks 12"),
        (jobs(falling, seeds=1), "0 variants with at least 2 seeds, the claim asks 12"),
        ([r for r in jobs(falling, units=36) if r["location"] is None or r["location"] < 12],
         "3 variants with location from 11, the claim asks 4"),
    ],
)  # fmt: skip
def test_too_small_a_design_gives_no_verdict(rows, said) -> None:
    verdict = verdict_of(rows)
    assert verdict.verdict == "no verdict" and said in verdict.reason and math.isnan(verdict.p_holm)


def test_runs_that_did_not_train_count_and_those_that_failed_do_not() -> None:
    rows = jobs(falling)
    late = [index for index, row in enumerate(rows) if row["location"] == 15]
    for index in late[:4]:
        rows[index] |= {"skipped": True, "test_accuracy": 0.1}
    rows[late[4]] |= {"status": "failed", "test_accuracy": None}
    rows[0]["test_accuracy"] = math.nan
    verdict = verdict_of(rows)
    assert "4 runs skipped early kept" in verdict.reason and "3 to 4 seeds each" in verdict.reason
    assert "1 run that did not finish left out" in verdict.reason and "1 run without test_accuracy" in verdict.reason
    assert verdict.estimate.value < -0.008, "the run that did not train makes late layers look worse"
    assert verdict.sensitivity.startswith("Without the runs skipped early (23 variants): -0.")
    assert verdict_of(jobs(falling)).sensitivity == ""


def test_all_claims_of_a_page_are_corrected_together() -> None:
    rows = table(jobs(falling, between=0.03, seed=4))
    claims = [claim(f"claim{index}") for index in range(3)]
    alone = judge(claims[:1], rows, {}, gates=GATES)[0]
    together = judge([*claims, claim("untested", design={"units": 1000})], rows, {}, gates=GATES)
    assert 0.05 / 3 < alone.p < 0.05 and alone.verdict == "supported"
    assert [verdict.p_holm for verdict in together[:3]] == pytest.approx([3 * alone.p] * 3)
    assert together[0].verdict == "undecided" and together[0].estimate == alone.estimate
    assert math.isnan(together[3].p_holm), "what is not tested does not count"


def test_the_order_of_rows_does_not_matter() -> None:
    rows = confounded(0.8)
    claims = [claim(), claim("equal", beside=["log macs"])]
    shuffled = random.Random(0).sample(rows, len(rows))
    first, second = (judge(claims, table(one), {}, gates=GATES, resamples=300, seed=4) for one in (rows, shuffled))
    assert first == second
    assert judge(claims, table(rows), {}, gates=GATES, resamples=300, seed=5) != first


def test_an_unknown_column_is_the_users_to_mend() -> None:
    with pytest.raises(UserError, match="no column accuracy of jobs"):
        verdict_of(jobs(), claim(metric="accuracy"))


def test_verdicts_as_tables() -> None:
    rows = jobs(falling) + [{**row, "validation_accuracy": 0.2} for row in jobs(falling, data="digits")]
    verdicts = judge([claim()], table(rows), {}, gates=GATES, resamples=500)
    head, line, digits, glyphs = readme_table(verdicts).splitlines()
    assert head == "| Claim | Data | Estimate [95% interval] | p (Holm) | Verdict | n |"
    assert line == "| --- | --- | --- | --- | --- | --- |"
    assert digits == "| Early layers \\| matter (A. Author 2018) | digits | – | – | no verdict | – |"
    assert glyphs.endswith("| 0.004 | **supported** | 24 variants |") and "points per layer |" in glyphs
    page = verdict_table(verdicts)
    assert page["verdict"] == ["no verdict", "supported"] and page["p_holm"][0] is None
    assert {len(column) for column in page.values()} == {2} and page["reason"][0].startswith("Not converged")


def test_numpy_values_are_read_like_plain_ones() -> None:
    rows = jobs(falling)
    typed = [{**row, "test_accuracy": np.float64(row["test_accuracy"]), "skipped": np.bool_(False)} for row in rows]
    assert verdict_of(typed) == verdict_of(rows)


def means(values, **changes):
    rows = [{**RUN, "data": "glyphs", "seed": k, "network": f"n{k}", "change": v} for k, v in enumerate(values)]
    asked = {"metric": "change", "contrast": {"mean": True}, "test": "student_t", "unit": "network", "gate": None,
             "metric_unit": "NV", "design": {"units": 3}, **changes}  # fmt: skip
    return judge([claim(**asked)], table(rows), {}, gates={})[0]


def test_a_mean_is_judged_by_students_interval_over_networks() -> None:
    from scipy.stats import ttest_1samp

    values = [-0.2, -0.15, -0.22, -0.18]
    found = means(values)
    test = ttest_1samp(values, 0)
    interval = test.confidence_interval()
    assert found.verdict == "supported" and found.estimate.n == 4
    assert (found.estimate.low, found.estimate.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(test.pvalue)
    assert means(values, direction="positive").verdict == "contradicted"
    assert means([-0.2, 0.3, -0.1, 0.05]).verdict == "undecided"
    assert means(values, margin=0.3).verdict == "undecided"
    assert means(values[:2]).verdict == "no verdict"


def test_groups_are_compared_within_a_seed() -> None:
    """Seeds differ by far more than the groups do: only the differences within them show it."""
    draw = np.random.default_rng(0)
    rows = []
    for seed in range(6):
        level = draw.normal(0.5, 0.2)
        for kernels, offsets in (("all", [0.0]), ("random", [0.02, 0.04])):
            rows += [
                {**RUN, "data": "glyphs", "seed": seed, "network": f"net {seed} {kernels}", "kernels": kernels,
                 "kept": level + offset + draw.normal(0, 0.001)}
                for offset in offsets
            ]  # fmt: skip
    rows.append({**rows[0], "seed": 9, "network": "net 9 all"})  # without its other side it says nothing
    asked = {"metric": "kept", "unit": "network", "gate": None, "direction": "positive", "test": "student_t",
             "contrast": {"group": {"kernels": "random"}, "against": {"kernels": "all"}, "within": "seed"},
             "design": {"units": 6}}  # fmt: skip
    verdict = verdict_of(rows, claim(**asked))
    assert verdict.verdict == "supported" and (verdict.estimate.n, verdict.estimate.unit) == (6, "networks")
    assert 0.028 < verdict.estimate.value < 0.032, "draws are averaged first"
    apart = {**asked, "test": "two_stage_bootstrap", "contrast": {**asked["contrast"], "within": ""}}
    assert verdict_of(rows, claim(**apart)).verdict == "undecided"
    assert verdict_of(rows[:-4], claim(**asked)).verdict == "no verdict", "five pairs are fewer than six"
