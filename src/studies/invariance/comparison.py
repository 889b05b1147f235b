"""A network trained on transformed images against one trained on images as they are."""

from collections.abc import Mapping

from src.artifacts.equal_accuracy import EQUAL
from src.core.estimate import Estimate
from src.core.result import Verdict
from src.statistics.bootstrap import Resampled, estimate, paired_difference
from src.studies.invariance.findings import (
    ACCURACIES,
    AUGMENTED,
    EQUIVARIANCE,
    PLAIN,
    UNTRAINED,
    Comparison,
    Findings,
    Network,
    Role,
    Way,
)
from src.studies.invariance.words import NV, family_of, key_of, least_untrained

PAIR: tuple[Role, Role] = (PLAIN, AUGMENTED)
#: by the sign of a difference that its interval does not leave open
WORD = {-1: "falls", 0: "goes, within what chance can do,", 1: "rises"}
ANSWER = {-1: "vary less", 0: "vary as before, as far as these images tell,", 1: "vary more"}


def comparison(findings: Findings, accuracy: Mapping[Role, float]) -> Comparison:
    """The augmented against the plain network, on the same resamples.

    Whether lower layers are more invariant is asked of the plain network as it was at the end of its training.

    Args:
        accuracy: of the two, on validation images.
    """
    networks: dict[Role, Network] = {network.role: network for network in findings.shown}
    plain, augmented = networks[PLAIN], networks[AUGMENTED]
    complete = next((each for each in findings.networks if each.aside and each.role == PLAIN), plain)

    def difference(first: Resampled, second: Resampled) -> Estimate:
        return estimate(paired_difference(first, second), n=findings.images, unit="images")

    learned: dict[Way, Estimate] = {}
    if UNTRAINED in networks:
        learned = {
            way: difference(variability.resampled_rise, networks[UNTRAINED].variability[way].resampled_rise)
            for way, variability in complete.variability.items()
        }
    differences = {
        way: difference(variability.resampled_mean, plain.variability[way].resampled_mean)
        for way, variability in augmented.variability.items()
    }
    return Comparison(dict(accuracy), differences, complete, learned)


def _way_of(difference: Estimate) -> int:
    """1 where NV surely rises, -1 where it surely falls, else 0."""
    return (difference.low > 0) - (difference.high < 0)


def verdict(findings: Findings) -> Verdict:
    """How much less the augmented network varies, at which accuracies."""
    compared = findings.comparison
    assert compared is not None
    networks: dict[Role, Network] = {network.role: network for network in findings.shown}
    metrics = {f"nv_{key_of(way)}_difference": difference for way, difference in compared.difference.items()}
    parts = []
    for way, difference in compared.difference.items():
        key = key_of(way)
        for role in PAIR:
            metrics[f"nv_{key}_{role}"] = networks[role].variability[way].mean
        if way != EQUIVARIANCE:
            metrics[f"lower_layers_{key}"] = compared.complete.variability[way].rise
            if way in compared.learned:
                metrics[f"lower_layers_{key}_learned"] = compared.learned[way]
        before, after = (networks[role].variability[way].mean.value for role in PAIR)
        parts.append(
            f"{NV[way]} {WORD[_way_of(difference)]} from {before:.2f} to {after:.2f} ({difference.value:+.2f} "
            f"[{difference.low:+.2f}, {difference.high:+.2f}])"
        )
    units = dict.fromkeys(ACCURACIES, "%")
    for role in PAIR:
        shares = {f"{role}_{name}": share for name, share in networks[role].shares.items()}
        metrics |= shares
        units |= dict.fromkeys(shares, "%")
    accuracy = compared.accuracy
    ways = {_way_of(difference) for difference in compared.difference.values()}
    sentence = (
        f"Trained on images changed by {family_of({'family': findings.transformations.family})}, the network's layers "
        f"{ANSWER[ways.pop()] if len(ways) == 1 else 'vary otherwise, and not the same way by all measures'} under it: "
        f"{', '.join(parts)}; of the validation images as they are, this network classifies {accuracy[AUGMENTED]:.1%} "
        f"right and the plain one {accuracy[PLAIN]:.1%}{', which counts as equal accuracy' * (compared.gap <= EQUAL)}"
        f"{least_untrained(findings)}"
    )
    return Verdict(sentence, metrics=metrics, units=units, row={"accuracy_gap": compared.gap}, screen=["networks"])
