"""What the page of a dose study shows."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from src.artifacts import opening as words
from src.artifacts.equal_accuracy import EQUAL
from src.core.estimate import Estimate
from src.core.result import Figure, Opening, Panel, Step, Verdict
from src.data.cue_conflict import CueConflict
from src.data.image_set import ImageSet
from src.report.words import pretty
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate
from src.studies.local_global.findings import AGREES, ALIKE, NETWORKS, SEEDS, Findings, Network
from src.studies.local_global.measures import OPERATIONS, Instrument
from src.studies.local_global.options import LocalGlobal
from src.studies.relevance.panels import COLOURS, METHODS, checks_panel
from src.studies.relevance.panels import TERMS as RELEVANCE_TERMS
from src.studies.relevance.pictures import overlays

SECTION = "Do the instruments follow the dose?"
CALIBRATION = "Cues and levels"
MAPS = "Maps of relevance"
SHOWN = 6  # images of each kind
UNKNOWN = Estimate(math.nan)
TERMS = {
    "dose": "Share of a network's training images whose texture was that of their class.",
    "instrument": "A way of measuring whether a network goes by shape or by texture.",
    "cue": "What an image can be recognised by: shape, texture or colour.",
    "family": "What the instrument is a way of.",
    "expected": "Whether the measure should rise or fall as texture tells the class in more of the training images.",
    "correlation": "Spearman's rank correlation of the measure with the dose, signed: 1 is as expected; intervals "
    f"over seeds. Seeds whose networks are more than {EQUAL:.0%} apart on validation images are left out.",
    "without_dose_0": "The same without networks whose training images had textures at random.",
    "controls_show_none": "Whether an untrained network, and one whose labels nothing in the image told, have the "
    "value of a network that goes by neither shape nor texture.",
    "judgement": "Whether the instrument follows the dose.",
    "shape_alone_accuracy": "Accuracy of a network whose images are told by their shape alone.",
    "texture_alone_accuracy": "Accuracy of a network whose images are told by their texture alone.",
    "colour_alone_accuracy": "Accuracy of a network whose images are told by their colour alone.",
    "validation_accuracy": "Accuracy on images like those of the network's own training.",
    "agreeing_accuracy": "Accuracy on images on which shape, texture and colour all tell the class.",
    "neutral_accuracy": "Accuracy on images on which shape alone tells the class.",
    "admitted": "Whether the operation takes this cue away and leaves the others.",
}


def panels(findings: Findings, *, resamples: int, seed: int) -> Iterator[Panel]:
    """The agreements, each instrument against the dose, all networks, and how levels were chosen."""
    counts = len(findings.doses), sum(dose > 0 for dose in findings.doses)
    hidden = [count < NETWORKS for count in counts]
    rows = [
        {"instrument": each.instrument.said, "family": each.instrument.family,
         **(UNKNOWN if hidden[0] else each.correlation).columns("correlation"),
         **(UNKNOWN if hidden[1] else each.without_zero).columns("without_dose_0"),
         "expected": "rises" if each.instrument.sign > 0 else "falls",
         "controls_show_none": all(each.quiet.values()) if each.quiet else None, "judgement": each.judgement,
         "measures": each.instrument.meaning}
        for each in findings.agreements
    ]  # fmt: skip
    caption = (
        f"Correlation with the dose over {counts[0]} networks, {counts[1]} without dose 0: 1 where all rise, or fall, "
        "as expected. "
        + (f"Of fewer than {NETWORKS} none is shown, as even a perfect order may be chance. " * any(hidden))
        + f"An instrument agrees from {AGREES} on, with and without dose 0, where controls show none; below "
        f"{SEEDS} seeds there is no verdict. A dash: no value, or the same in all networks."
    )
    yield Panel(SECTION, "agreement", rows, caption, title="Which instruments follow the dose?")
    yield from _against_dose(findings, resamples, seed)
    yield from _relevance([each for each in findings.networks if each.role == "dose"], resamples, seed)
    networks = [
        {"network": each.role, "dose": each.dose, "seed": each.seed, "validation_accuracy": each.accuracy,
         "agreeing_accuracy": each.measured.clean.value, "neutral_accuracy": each.measured.neutral.value,
         **{name: value.value for name, value in each.measured.values.items()}}
        for each in findings.networks
    ]  # fmt: skip
    caption = (
        "Validation images are of the network's own training distribution; on agreeing images shape, texture and hue "
        "all tell the class, on neutral ones the shape alone."
    )
    units = dict.fromkeys(("validation_accuracy", "agreeing_accuracy", "neutral_accuracy"), "%")
    yield Panel(SECTION, "networks", networks, caption, units, title="Every network by every instrument", folded=True)
    levels = [
        {"cue": cue, "operation": OPERATIONS.get(name, pretty(name)), "level": level.level, "admitted": level.admitted,
         **{f"{of}_network_loses": level.losses.get(of, math.nan) for of in findings.singles}, "key": name}
        for (cue, name), level in findings.levels.items()
    ]  # fmt: skip
    caption = (
        "Each operation damages images until the network that knows this cue alone is within 5 points of guessing. It "
        "is admitted if the networks of the other cues lose less than 5 points there. No level: none was enough, or "
        "the networks only guess. Accuracy of these networks: "
        + ", ".join(f"{cue} {accuracy:.1%}" for cue, accuracy in findings.singles.items())
        + "."
    )
    units = {f"{cue}_network_loses": "points" for cue in findings.singles}
    yield Panel(CALIBRATION, "levels", levels, caption, units, title="How strongly each cue is taken away")


def opening(options: LocalGlobal, instruments: Sequence[Instrument]) -> Opening:
    """How the page begins before anything trains."""
    said = words.images_said(options.recipe["data"])
    guessing = 1 / len(options.recipe["data"]["classes"])
    terms = {each.name: f"{each.said}: {each.meaning}." for each in instruments} | {
        f"correlation_{each.name}": f"Rank correlation with the dose of {each.said} ({each.meaning}); 1 is as expected."
        for each in instruments
    }
    return Opening(
        f"Which measures of shape and texture tell what a network really goes by ({said})?",
        "There are many measures of whether a network knows things by their shape or by their texture (the pattern of "
        "the surface), and of most networks nobody knows the truth. Here it is known: networks are trained "
        "on images whose texture tells the class in a set share of them, the dose. A measure (instrument) that means "
        "anything follows the dose, and shows nothing on networks that know neither. Guessing names "
        f"{guessing:.0%} of the images right; of a network that does no better, no measure tells anything.",
        terms=RELEVANCE_TERMS | METHODS | TERMS | terms,
    )


def steps(findings: Findings, agreeing: ImageSet, conflicting: CueConflict) -> tuple[list[Step], list[Panel]]:
    """The drawing of what was done, and its pictures."""
    dosed = [network for network in findings.networks if network.role == "dose"]
    doses = sorted({network.dose for network in dosed})
    follow = sum(each.follows for each in findings.agreements)
    boxes = [
        Step("", "training images", "shape tells the class; texture does in a set share", f"{len(doses)} doses",
             "step_agreeing"),
        Step("→", "networks", f"of doses {', '.join(f'{dose:g}' for dose in doses)}; beside them one that knows each "
             "cue alone, and the controls", f"{len(dosed)} networks"),
        Step("→", "instruments", "each measures every network, also where shape and texture disagree",
             f"{len(findings.agreements)} measures", "step_conflicting"),
        Step("=", "follow the dose", f"rank correlation {AGREES} or more, also without dose 0, and silent controls",
             f"{follow} of {len(findings.agreements)}" if len(findings.doses) >= NETWORKS else "too few to say"),
    ]  # fmt: skip
    pictures = [words.picture("step_agreeing", agreeing.images), words.picture("step_conflicting", conflicting.images)]
    return boxes, pictures


def _against_dose(findings: Findings, resamples: int, seed: int) -> Iterator[Panel]:
    """Two tables and figures: what ought to rise, and what ought to fall."""
    dosed = [network for network in findings.networks if network.role == "dose"]
    for sign, name, title, why in (
        (-1, "falling", "What should fall with the dose", "They measure shape: the more texture tells, the less it."),
        (1, "rising", "What should rise with the dose", "They measure texture."),
    ):
        asked = [each.instrument for each in findings.agreements if each.instrument.sign == sign]
        blank = [each for each in asked
                 if all(math.isnan(network.measured.values[each.name].value) for network in dosed)]  # fmt: skip
        rows = [
            {"instrument": each.said, "dose": dose,
             **_over_seeds(dosed, dose, each.name, resamples, seed).columns("measure")}
            for each in asked
            if each not in blank
            for dose in sorted({network.dose for network in dosed})
        ]  # fmt: skip
        if not rows:
            continue
        below = f"{why} Means over seeds, with 95% intervals over seeds where there are several."
        if blank:
            below += (
                f" Not drawn, as no network has a value: {', '.join(each.said for each in blank)}. A network that only "
                "guesses has none, nor is there a loss where no operation takes the cue alone away."
            )
        figure = Figure("lines", name, title, below, x="dose", y="measure", group="instrument", apart=True)
        yield Panel(SECTION, name, rows, "", figures=[figure])


def _relevance(dosed: Sequence[Network], resamples: int, seed: int) -> Iterator[Panel]:
    """Maps of the greatest and of the least dose, and every check of every map as a mean over networks."""
    explained = {(-network.dose, network.seed): network.measured.relevance for network in dosed}
    relevance = [each for _, each in sorted(explained.items()) if each is not None]
    if not relevance:
        return
    doses = sorted({network.dose for network in dosed}, reverse=True)
    for dose, findings in ((doses[0], relevance[0]), (doses[-1], explained[-doses[-1], 0])):
        if findings is None or not findings.options.pictures:
            continue
        name, below = f"maps_at_dose_{dose:g}".replace(".", "_"), (
            f"{COLOURS} how much of its positive relevance lies on edges."
        )  # fmt: skip
        figure = Figure("image", name, f"What speaks for the answers of a network of dose {dose:g}", below)
        yield Panel(MAPS, name, overlays(findings), figures=[figure])
    first = relevance[0]
    checks = {
        check: {name: _mean([each.checks[check][name] for each in relevance], resamples, seed) for name in values}
        for check, values in first.checks.items()
    }
    said = (
        f"{len(relevance)} networks of all doses, {first.accuracy.n} images each; means over networks with 95% "
        f"intervals over networks. The explained class: {first.options.target}."
    )
    yield checks_panel(MAPS, "relevance_checks", list(first.maps.maps), checks, said)


def _mean(each: Sequence[Estimate], resamples: int, seed: int) -> Estimate:
    """Over those networks that have the value."""
    values = torch.tensor([value.value for value in each], dtype=torch.float64)
    values = values[values.isfinite()]
    if len(values) < 2:
        return Estimate(float(values.mean()), n=len(values), unit="networks")
    weights = bootstrap_weights(len(values), resamples=resamples, seed=seed).double()
    return estimate(Resampled(float(values.mean()), weights @ values / len(values)), n=len(values), unit="networks")


def _over_seeds(networks: Sequence[Network], dose: float, name: str, resamples: int, seed: int) -> Estimate:
    return _mean([each.measured.values[name] for each in networks if each.dose == dose], resamples, seed)


def picture(shown: dict[str, Tensor]) -> Panel:
    """A row of images of each kind: name -> uint8 (n, C, H, W)."""
    count = min(SHOWN, *map(len, shown.values()))
    # of each class in turn, as images stand class by class
    images = torch.cat([each[torch.arange(count) * len(each) // count] for each in shown.values()])
    labels = [name for name in shown for _ in range(count)]
    return words.sheet(
        "images", images, labels, "What the networks are trained on and measured with", "", CALIBRATION, count
    )


def verdict(findings: Findings) -> Verdict:
    """Which instruments agree; their correlations as metrics."""
    few = len(findings.doses) < NETWORKS
    metrics = {
        f"correlation_{each.instrument.name}": each.correlation
        for each in findings.agreements
        if not few and not math.isnan(each.correlation.value)
    }
    alone = {f"{cue}_alone_accuracy": Estimate(accuracy) for cue, accuracy in findings.singles.items()}
    metrics, units = metrics | alone, dict.fromkeys(alone, "%")
    seeds = max((each.seeds for each in findings.agreements), default=0)
    row = {"seeds": seeds}
    screen = ("agreement", "levels")
    problems = []
    shape, texture = findings.singles["shape"], findings.singles["texture"]
    if abs(shape - texture) > ALIKE:
        problems.append(f"shape alone is {shape:.1%} right and texture alone {texture:.1%}: they are not equally easy")
    if problems:
        return Verdict("; ".join(problems), "no verdict", metrics, units, row, screen)
    spans = ", ".join(f"{seed} ({span:.1%} apart)" for seed, span in findings.unequal.items())
    left_out = f"; left out, as networks of one seed are not equally accurate: seed {spans}" if spans else ""
    if seeds < SEEDS:
        high = [each.instrument.said for each in findings.agreements if each.follows]
        count = len(findings.doses)
        sentence = f"an impression, no verdict: {seeds} of the {SEEDS} seeds that one takes; " + (
            f"{count} networks are too few to say which instruments follow the dose of texture"
            if few
            else f"so far {len(high)} of {len(findings.agreements)} instruments follow the dose of texture"
            + (f": {', '.join(high)}" if high else "")
        )
        return Verdict(sentence + left_out, "no verdict", metrics, units, row, screen)
    agreeing = [each.instrument.said for each in findings.agreements if each.judgement == "agrees"]
    rest = [each.instrument.said for each in findings.agreements if each.judgement == "does not agree"]
    undefined = [each.instrument.said for each in findings.agreements if each.judgement == "no verdict"]
    sentence = f"{len(agreeing)} of {len(findings.agreements)} instruments follow the dose of texture"
    sentence += f" ({', '.join(agreeing)})" if agreeing else ""
    sentence += f"; these do not: {', '.join(rest)}" if rest else ""
    sentence += f"; not defined: {', '.join(undefined)}" if undefined else ""
    sentence += left_out
    return Verdict(sentence, "success" if agreeing else "no success", metrics, units, row, screen)
