"""``task=local_global``: networks that know texture to a known degree, measured by all that claims to see it.

Networks are trained on shapes whose texture is their class's own in a known share of images (the dose). A measure of
shape against texture that means anything follows it; an untrained network, and one whose labels nothing in the image
tells, show none.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from src.artifacts.artifacts import Artifacts
from src.artifacts.equal_accuracy import even_epochs, subject_at
from src.artifacts.network import Trained, untrained_like
from src.artifacts.trained import check_recipe, did_not_train, trained, training_panels
from src.core.errors import UserError
from src.core.result import Result
from src.data.cue_conflict import conflicting_glyphs
from src.data.image_set import ImageSet
from src.data.sources import load_cached
from src.studies.images import fewer_images
from src.studies.local_global.findings import Network, findings_of
from src.studies.local_global.measures import Bench, calibrated, instruments_of, measured
from src.studies.local_global.options import STUDIES, LocalGlobal
from src.studies.local_global.panels import opening, panels, picture, steps, verdict
from src.studies.locality.answers import Stimuli
from src.studies.protocol import Run, study_of, study_options

NO_CUE, UNTRAINED = "no cue", "untrained"


def local_global(options: LocalGlobal, artifacts: Artifacts) -> Result:
    """Train the networks, choose levels by those that know one cue, measure all, compare with the dose."""
    asked = {name: study_options({**options.studies[name], "name": name}) for name in STUDIES}
    run = Run(artifacts.session, options.seed, options.resamples)
    agreeing, neutral = _drawn(options, 1.0, 1.0), _drawn(options, None, None)
    _check(options, asked, agreeing)
    result = Result("local_global", artifacts.running.name)
    result.opening = opening(options, instruments_of(asked))
    singles, dosed, nothing = _networks(options, len(agreeing.classes), artifacts)
    every = {f"{cue} alone": network for cue, network in singles.items()}
    every |= {f"dose {dose:g}, seed {seed}": network for (dose, seed), network in dosed.items()}
    result.uses = [each.digest for each in (*every.values(), nothing)]
    problems = [did_not_train(f"the network of {name}", each) for name, each in every.items() if not each.converged]
    courses = training_panels({**every, NO_CUE: nothing})
    if problems:
        result.add(*courses)
        result.verdict, result.verdict_kind = "; ".join(problems), "no verdict"
        return result
    batch, device = asked["locality"].batch, next(nothing.subject.model.parameters()).device
    stimuli = Stimuli(agreeing, batch, device, kept=True)
    levels = calibrated({cue: each.subject for cue, each in singles.items()}, stimuli, asked["feature_reliance"], run)
    conflicting = conflicting_glyphs(agreeing.classes, **_source(options))
    explained = fewer_images(agreeing, asked["relevance"].images, artifacts.session)
    bench = Bench(stimuli, conflicting, Stimuli(neutral, batch, device), explained, levels, asked)
    networks = _measured(dosed, bench, run)
    untrained = untrained_like(nothing.subject, agreeing, run.seed, artifacts.session)
    networks.append(Network(NO_CUE, math.nan, nothing.accuracy, 0, measured(nothing.subject, bench, run)))
    if untrained is not None:
        networks.append(Network(UNTRAINED, math.nan, math.nan, 0, measured(untrained, bench, run)))
    findings = findings_of(
        networks, instruments_of(bench.options), levels, {cue: each.accuracy for cue, each in singles.items()},
        resamples=options.resamples, seed=options.seed,
    )  # fmt: skip
    boxes, pictures = steps(findings, agreeing, conflicting)
    result.opening = replace(result.opening, steps=boxes)
    result.add(*panels(findings, resamples=options.resamples, seed=options.seed), *pictures)
    result.add(picture({
        "all cues agree": agreeing.images, "texture of another class": conflicting.images,
        "texture and hue drawn freely": neutral.images,
        **{f"the {cue} alone tells": each.data.sets["train"].images for cue, each in singles.items()},
    }))  # fmt: skip
    result.add(*courses)
    result.conclude(verdict(findings))
    result.row |= {"model": str(options.recipe["model"]["name"])}
    return result


def _check(options: LocalGlobal, asked: Mapping[str, Any], images: ImageSet) -> None:
    check_recipe(options.recipe, "recipe")
    if options.recipe["training"]["keep_every"] is None:
        raise UserError("recipe.training.keep_every=null: networks are compared at equal accuracy; set it to 1")
    for name in STUDIES:
        study_of(name).check(asked[name], images)


def _networks(
    options: LocalGlobal, classes: int, artifacts: Artifacts
) -> tuple[dict[str, Trained], dict[tuple[float, int], Trained], Trained]:
    """Those that know one cue, those of each dose and seed, and the one that no cue tells anything."""
    free = 1 / classes  # a cue that is the class's own as often as any other's tells nothing

    def train(role: str, seed: int, shape: float, texture: float | None, hue: float | None) -> Trained:
        source = {"shape_coupling": shape, "texture_coupling": texture, "hue_coupling": hue}
        recipe = {**options.recipe, "seed": options.recipe["seed"] + seed}
        recipe["data"] = {**recipe["data"], "source": {**recipe["data"]["source"], **source}}
        return trained(recipe, artifacts, role=role, where="recipe")

    singles = {
        "shape": train("shape alone", 0, 1.0, free, free),
        "texture": train("texture alone", 0, free, 1.0, free),
        "colour": train("colour alone", 0, free, free, 1.0),
    }
    dosed = {
        (dose, seed): train(f"dose {dose:g}, seed {seed}", seed, 1.0, dose, None)
        for dose in options.doses
        for seed in range(options.networks)
    }
    return singles, dosed, train(NO_CUE, 0, free, free, free)


def _measured(dosed: Mapping[tuple[float, int], Trained], bench: Bench, run: Run) -> list[Network]:
    """Each after an epoch at which those of its seed are equally accurate on images as each was trained on."""
    networks = []
    for seed in sorted({seed for _, seed in dosed}):
        same = {dose: network for (dose, its), network in dosed.items() if its == seed}
        for (dose, network), epoch in zip(same.items(), even_epochs(list(same.values())), strict=True):
            subject = network.subject if epoch == network.epoch else subject_at(network, epoch)
            accuracy = network.history[epoch]["val/accuracy"]
            networks.append(Network("dose", dose, accuracy, seed, measured(subject, bench, run)))
    return networks


def _source(options: LocalGlobal) -> dict[str, Any]:
    """How the images of the measures are drawn: as those of the recipe, but for the couplings."""
    source = {key: value for key, value in options.recipe["data"]["source"].items() if key != "name"}
    return {**source, "test_per_class": options.images}


def _drawn(options: LocalGlobal, texture: float | None, hue: float | None) -> ImageSet:
    couplings = {"texture_coupling": texture, "hue_coupling": hue, "train_per_class": 1}
    classes = {"only": tuple(options.recipe["data"]["classes"])}
    return load_cached("glyphs", {**_source(options), **couplings, **classes}).test
