"""Instruments against doses: what agrees, what does not, and when there is no verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from src.core.estimate import Estimate
from src.core.result import Result
from src.methods.locality.reliance import Level
from src.studies.local_global.findings import Findings, Network, findings_of
from src.studies.local_global.measures import Instrument, Measured
from src.studies.local_global.panels import panels, verdict

DOSES = (1.0, 0.9, 0.6, 0.3, 0.0)
FOLLOWS, BLIND, LOUD = (Instrument(name, -1, name) for name in ("follows", "blind", "loud"))
HALF = Estimate(0.5, 0.4, 0.6)


def measured(**values: float | Estimate) -> Measured:
    return Measured({name: value if isinstance(value, Estimate) else Estimate(value) for name, value in values.items()},
                    HALF, HALF)  # fmt: skip


def found(seeds: int = 6, shape: float = 0.95, spread: float = 0.01) -> Findings:
    networks = [
        Network("dose", dose, 0.95 + spread * (dose == 1), seed,
                measured(follows=1 - dose + 0.01 * seed, blind=(7 * seed + 3 * number) % 5, loud=-dose))
        for seed in range(seeds)
        for number, dose in enumerate(DOSES)
    ]  # fmt: skip
    silent = Estimate(0.01, -0.02, 0.03)
    networks.append(
        Network("untrained", math.nan, math.nan, 0,
                measured(follows=silent, blind=math.nan, loud=Estimate(0.4, 0.3, 0.5)))
    )  # fmt: skip
    levels = {("shape", "block_shuffle"): Level(4.0, True, {"shape": 0.7, "texture": 0.01})}
    singles = {"shape": shape, "texture": 0.94, "colour": 0.97}
    return findings_of(networks, [FOLLOWS, BLIND, LOUD], levels, singles, resamples=200, seed=0)


def test_what_follows_the_dose_agrees_and_a_loud_control_spoils_it() -> None:
    follows, blind, loud = found().agreements
    assert follows.correlation.value > 0.95 and follows.correlation.low > 0.8 and follows.correlation.n == 6
    assert follows.without_zero.value > 0.9 and follows.quiet == {"untrained": True}
    assert follows.judgement == "agrees"
    assert blind.judgement == "does not agree" and abs(blind.correlation.value) < 0.5
    # as good against the dose, but an untrained network shows it too
    assert loud.correlation.value > 0.95 and loud.judgement == "does not agree"


def test_the_verdict_names_what_agrees_and_what_does_not() -> None:
    said = verdict(found())
    assert said.kind == "success"
    assert said.sentence == "1 of 3 instruments follow the dose of texture (follows); these do not: blind, loud"
    assert said.metrics["correlation_follows"].low > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": 2}, "an impression, no verdict: 2 of the 6 seeds"),
        ({"shape": 0.8}, "shape alone is 80.0% right and texture alone 94.0%: they are not equally easy"),
        ({"spread": 0.04}, "0 of the 6 seeds"),
        ({"spread": 0.04}, "left out, as networks of one seed are not equally accurate: seed 0 (4.0% apart), 1 (4.0%"),
    ],
)
def test_what_takes_the_verdict_away(changes: dict[str, float], words: str) -> None:
    said = verdict(found(**changes))  # type: ignore[arg-type]
    assert said.kind == "no verdict" and words in said.sentence


def test_a_measure_that_no_network_has_gets_no_verdict() -> None:
    findings = found()
    networks = [replace(each, measured=measured(follows=math.nan)) for each in findings.networks]
    (never,) = findings_of(networks, [FOLLOWS], findings.levels, findings.singles, resamples=50, seed=0).agreements
    assert never.judgement == "no verdict" and math.isnan(never.correlation.value)


def test_one_seed_has_no_interval() -> None:
    follows = found(seeds=1).agreements[0]
    assert follows.correlation.value == pytest.approx(1) and math.isnan(follows.correlation.low)
    assert follows.judgement == "no verdict"


def test_fewer_than_five_networks_are_too_few_to_say() -> None:
    whole = found(seeds=1)
    networks = [network for network in whole.networks if network.dose not in (0.9, 0.3)]
    few = findings_of(networks, [FOLLOWS], whole.levels, whole.singles, resamples=50, seed=0)
    assert few.agreements[0].correlation.unit == "seed, 3 networks: too few to say"
    assert "3 networks are too few to say which" in verdict(few).sentence
    agreement = next(panels(few, resamples=50, seed=0))
    assert isinstance(agreement.rows, list) and math.isnan(agreement.rows[0]["correlation"])
    assert "Of fewer than 5 none is shown" in agreement.caption


def test_its_panels_are_tables() -> None:
    result = Result("local_global", "test")
    nowhere = Instrument("nowhere", -1, "nowhere")
    without = findings_of([replace(each, measured=measured(nowhere=math.nan)) for each in found().networks], [nowhere],
                          {}, {}, resamples=50, seed=0)  # fmt: skip
    assert "falling" not in {panel.name for panel in panels(without, resamples=50, seed=0)}, "nothing would be drawn"
    for panel in panels(found(), resamples=50, seed=0):
        result.add(panel)
    assert result.tables["agreement"]["judgement"] == ["agrees", "does not agree", "does not agree"]
    assert "rising" not in result.tables
    falling = result.tables["falling"]
    assert len(falling["dose"]) == 15 and falling["measure"][0] == pytest.approx(1.025) and "measure_low" in falling
    assert result.tables["levels"]["shape_network_loses"] == [0.7]
    assert len(result.tables["networks"]["network"]) == 31
