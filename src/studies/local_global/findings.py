"""Do the instruments follow the dose?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from src.artifacts.equal_accuracy import EQUAL
from src.core.estimate import Estimate
from src.core.shown import Shown
from src.methods.locality.reliance import Level
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate, rank_correlation
from src.studies.local_global.measures import Instrument, Measured

AGREES = 0.8  # rank correlation with the dose
ALIKE = 0.05  # of validation images: single cues that are as close are equally easy
SEEDS = 6  # fewer tell no interval that would mean anything
NETWORKS = 5  # of fewer even a perfect order, either way, is chance in more than 5% of cases (2 of n!)
Judgement = Literal["agrees", "does not agree", "no verdict"]


@dataclass(frozen=True)
class Network:
    """A network of the study.

    Attributes:
        role: ``dose``, ``untrained``, ``no cue`` (labels that nothing in the image tells).
        dose: share of its training images whose texture was their class's own; NaN for the others.
        accuracy: on validation images of its own training distribution; NaN where it was not trained.
        seed: of its training, counted from 0.
    """

    role: str
    dose: float
    accuracy: float
    seed: int
    measured: Measured


@dataclass(frozen=True)
class Agreement:
    """How well an instrument follows the dose.

    Attributes:
        correlation: rank correlation with the dose over all networks, signed so that 1 is as expected; the interval
            resamples seeds. without_zero: the same without dose 0, where the texture is never the class's own.
        quiet: control -> whether it shows none, as it should: it is not defined, or its
            interval holds what a network that goes by neither cue gets.
    """

    instrument: Instrument
    correlation: Estimate
    without_zero: Estimate
    quiet: Mapping[str, bool]
    seeds: int

    @property
    def follows(self) -> bool:
        """Whether it follows the dose, also without dose 0, and the controls show none, whatever the intervals."""
        both = (self.correlation, self.without_zero)
        return all(each.value >= AGREES for each in both) and all(self.quiet.values())

    @property
    def judgement(self) -> Judgement:
        """``no verdict`` with too few seeds, or where the measure is defined for none of the networks."""
        if self.seeds < SEEDS or math.isnan(self.correlation.value):
            return "no verdict"
        surely = min(self.correlation.low, self.without_zero.low) > 0
        return "agrees" if self.follows and surely else "does not agree"


@dataclass(frozen=True)
class Findings(Shown):
    """What the study finds.

    Attributes:
        networks: those of the doses, then the controls.
        agreements: of each instrument.
        levels: (cue, operation) -> how it was calibrated.
        singles: cue -> accuracy on validation images of the network that knows it alone.
        unequal: seed -> the span of accuracies of its networks, where it is more than EQUAL; such a seed counts for no
            agreement.
    """

    networks: tuple[Network, ...]
    agreements: tuple[Agreement, ...]
    levels: Mapping[tuple[str, str], Level]
    singles: Mapping[str, float]
    unequal: Mapping[int, float]

    @property
    def doses(self) -> list[float]:
        """Of all networks that count, ascending, each as often as there are networks of it."""
        return sorted(each.dose for each in self.networks if each.role == "dose" and each.seed not in self.unequal)


def findings_of(
    networks: Sequence[Network],
    instruments: Sequence[Instrument],
    levels: Mapping[tuple[str, str], Level],
    singles: Mapping[str, float],
    *,
    resamples: int,
    seed: int,
) -> Findings:
    """Compare all instruments with the dose."""
    dosed = [network for network in networks if network.role == "dose"]
    controls = [network for network in networks if network.role != "dose"]
    spans = {}
    for each in sorted({network.seed for network in dosed}):
        accuracies = [network.accuracy for network in dosed if network.seed == each]
        spans[each] = max(accuracies) - min(accuracies)
    unequal = {each: span for each, span in spans.items() if span > EQUAL}
    dosed = [network for network in dosed if network.seed not in unequal]
    agreements = []
    for instrument in instruments:
        quiet = {each.role: _shows_none(each.measured.values[instrument.name], instrument.none) for each in controls}
        with_zero, without_zero = (
            _correlation(some, instrument, resamples=resamples, seed=seed)
            for some in (dosed, [network for network in dosed if network.dose > 0])
        )
        seeds = len({network.seed for network in dosed})
        agreements.append(Agreement(instrument, with_zero, without_zero, quiet, seeds))
    return Findings(tuple(networks), tuple(agreements), levels, singles, unequal)


def _correlation(networks: Sequence[Network], instrument: Instrument, *, resamples: int, seed: int) -> Estimate:
    """Over networks, seeds resampled as wholes: networks of one seed have their first weights in common."""
    values = torch.tensor([network.measured.values[instrument.name].value for network in networks], dtype=torch.float64)
    doses = torch.tensor([network.dose for network in networks], dtype=torch.float64)
    kinds, place = torch.tensor([network.seed for network in networks]).unique(return_inverse=True)
    counted = len(kinds)
    if not counted:
        return Estimate(math.nan, unit="seeds")
    few = f", {len(networks)} networks: too few to say" if len(networks) < NETWORKS else ""
    unit = ("seed" if few and counted == 1 else "seeds") + few
    weights = bootstrap_weights(counted, resamples=resamples, seed=seed)[:, place]
    value = rank_correlation(doses, instrument.sign * values, torch.ones(1, len(networks)))
    samples = rank_correlation(doses, instrument.sign * values, weights)
    if counted < 2:  # one seed has no interval
        return Estimate(float(value), n=counted, unit=unit)
    return estimate(Resampled(float(value), samples), n=counted, unit=unit)


def _shows_none(value: Estimate, none: float) -> bool:
    return math.isnan(value.value) or value.low <= none <= value.high
