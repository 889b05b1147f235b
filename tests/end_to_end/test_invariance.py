"""A sweep of the study of invariance through the command line: its page, its claims, what is refused."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from src.core.paths import CONF
from tests.end_to_end.conftest import TINY, Ran, Run

FEW = ("experiment=invariance_rotation", *TINY, "transformation=rot90", "study.permutations=19", "study.pictures=1")


@pytest.fixture(scope="module")
def sweep(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Two seeds of one model."""
    ran = run(tmp_path_factory.mktemp("invariance"), "-m", *FEW, "seed=0,1")
    assert ran.code == 0, ran.text
    return ran


def table(result: dict[str, Any], name: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = pq.read_table(result["folder"] / "tables" / f"{name}.parquet").to_pydict()
    return found


def test_every_claim_finds_its_columns_in_the_jobs(sweep: Ran) -> None:
    jobs = table(sweep.overview, "jobs")
    asked = yaml.safe_load((CONF / "experiment" / "invariance_rotation.yaml").read_text())["comparison"]
    claims = {name: yaml.safe_load((CONF / "claims" / f"{name}.yaml").read_text()) for name in asked["claims"]}
    assert len(jobs["network"]) == 2 and set(jobs["data"]) == {"glyphs 28 px, rot90"}
    for name, claim in claims.items():
        assert None not in jobs[claim["metric"]] and set(claim.get("where", ())) <= set(jobs), name
    told = table(sweep.overview, "claims")
    assert told["claim"] == [claim["statement"] for claim in claims.values()]
    assert set(told["verdict"]) == {"no verdict"} and "6 claims: 6 no verdict" in sweep.overview["verdict"]
    assert all(
        "2 networks with at least 1 seeds, the claim asks 6" in why for why in table(sweep.overview, "why")["reason"]
    )


def test_the_page_has_means_over_seeds_and_curves_over_depth(sweep: Ran) -> None:
    whole = table(sweep.overview, "networks_over_jobs")
    assert set(whole["jobs"]) == {2} and {"plain", "augmented", "untrained"} <= set(whole["network"])
    assert set(table(sweep.overview, "layers_sum_of_1")["line"]) >= {"plain", "augmented, within classes"}
    means = table(sweep.overview, "over_seeds")
    assert set(means["seeds"]) == {2} and sum(f"{name}_low" in means for name in means) == 8
    for network in ("plain", "augmented", "untrained"):
        for way in ("sum", "positions"):
            curve = table(sweep.overview, f"layers_{way}_{network}")
            assert set(curve["jobs"]) == {2} and set(curve["line"]) == {"simple_conv"}
            own = [table(result, f"layers_{way}") for result in sweep.results]
            last = [
                [nv for nv, name, depth in zip(each["nv"], each["network"], each["depth"], strict=True)
                 if (name, depth) == (network, 1.0)]
                for each in own
            ]  # fmt: skip
            assert curve["nv"][-1] == pytest.approx(sum(value for (value,) in last) / 2)


def test_a_sweep_without_one_way_of_measuring_still_has_its_page(run: Run, sweep: Ran) -> None:
    ran = run(sweep.outputs, "-m", *FEW, "seed=0,1", "study.aggregations=[sum]", "study.untrained=false")
    assert ran.code == 0, ran.text
    claims = table(ran.overview, "claims")
    assert len(claims["claim"]) == 6 and "layers_positions_plain" not in ran.overview["tables"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("study.layers=[convv]",), "layers: nothing in the network fits 'convv'"),
        (
            ("study.ambiguous=[arow]",),
            "study.ambiguous=['arow']: class 'arow' is not in the data; did you mean 'arrow'",
        ),
        (("study.memory_gb=0.0001",), "memory_gb=0.0001"),
        (("recipe.training.keep_every=null",), "match_accuracy=true: chooses among epochs"),
        (("retrain.layers=al",), "retrain.layers=al"),
        (("augmented.epochs=null",), "augmented.epochs=null: allowed is a whole number from 1"),
    ],
)
def test_faults_are_told_before_anything_trains(argv: tuple[str, ...], said: str, run: Run, tmp_path: Any) -> None:
    ran = run(tmp_path, *FEW, *argv)
    assert ran.code in (1, 2) and said in ran.text and "Traceback" not in ran.text, ran.text
    assert not ran.store
