"""``task=invariance``: a network trained on images as they are, one on transformed images, and one not at all.

Quiroga, Torrents-Barrena, Lanzarini and Puig, "Measuring (in)variances in convolutional networks", JCC&BD 2019
(doi 10.1007/978-3-030-27713-0_9), with what it left out: seeds, intervals, an untrained baseline, networks of equal
accuracy, exact angles, and both ways to make units of maps, between which its own findings change sign.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from src.artifacts.artifacts import Artifacts
from src.artifacts.equal_accuracy import compared
from src.artifacts.learners import architecture_of
from src.artifacts.network import Trained, untrained_like
from src.artifacts.trained import check_recipe, did_not_train, images_of, trained, training_panels, where_trained
from src.core.errors import UserError
from src.core.result import Result
from src.core.store import digest_of
from src.data.datamodule import ImageData
from src.imageops.transformations import transformation_set
from src.networks.models import build
from src.networks.subjects import Subject
from src.studies.invariance.comparison import comparison, verdict
from src.studies.invariance.estimates import findings_of
from src.studies.invariance.findings import AUGMENTED, PLAIN, UNTRAINED, Role
from src.studies.invariance.images import chosen_images, exchanged
from src.studies.invariance.measured import examine, rehearse
from src.studies.invariance.opening import opening, steps
from src.studies.invariance.options import Invariance, Options
from src.studies.invariance.panels import panels
from src.studies.invariance.retraining import retraining, retraining_panel
from src.studies.invariance.study import check
from src.studies.protocol import Run, study_options


def invariance(options: Invariance, artifacts: Artifacts) -> Result:
    """Train both, measure all, compare at equal accuracy."""
    study: Options = study_options(options.study)
    run = Run(artifacts.session, options.seed, options.resamples)
    result = Result("invariance", artifacts.running.name)
    result.opening = opening(options, study)
    recipes: dict[Role, Mapping[str, Any]] = {PLAIN: options.recipe, AUGMENTED: augmented(options)}
    _check(options, study, recipes)
    transformations = transformation_set(study.transformation)
    data = images_of(recipes[PLAIN], artifacts.session, PLAIN, "recipe")
    images = chosen_images(data.sets["test"], study.images_per_class, artifacts.session)
    exchanged(study, images.classes)
    rehearse(_untrained(recipes[PLAIN], data), images, transformations, study)
    networks = {
        role: trained(recipe, artifacts, role=role, where="recipe",
                      data=data if role == PLAIN else None)
        for role, recipe in recipes.items()
    }  # fmt: skip
    result.uses = [network.digest for network in networks.values()]
    result.add(*training_panels({str(role): network for role, network in networks.items()}))
    result.row = _row(options, networks[PLAIN])
    problems = [did_not_train(f"the {role} network", network) for role, network in networks.items()
                if not network.converged]  # fmt: skip
    if problems:
        result.verdict, result.verdict_kind = "; ".join(problems), "no verdict"
        return result
    pair = compared(networks, artifacts.session, match=options.match_accuracy)
    subjects = dict(pair.subjects)
    if study.untrained:
        untrained = untrained_like(subjects[PLAIN], images, run.seed, artifacts.session)
        subjects |= {UNTRAINED: untrained} if untrained is not None else {}
    measured = [examine(role, subject, images, transformations, study, run) for role, subject in subjects.items()]
    if pair.earlier is not None:
        complete = networks[pair.earlier].subject
        measured.append(examine(pair.earlier, complete, images, transformations, study, run, aside=True))
    findings = findings_of(measured, images, transformations, study, run)
    findings = replace(findings, comparison=comparison(findings, pair.accuracy))
    boxes, pictures = steps(findings)
    result.opening = replace(result.opening, steps=boxes)
    result.add(*panels(findings), *pictures)
    conclusion = verdict(findings)
    if options.retrain.layers != "none":
        again = retraining(
            networks[PLAIN], recipes[AUGMENTED], images, transformations, study.batch, options.retrain, artifacts, run
        )
        result.uses += [network.digest for _, network in again.trained]
        result.add(retraining_panel(again))
        conclusion = where_trained(conclusion, again.trained)
    result.conclude(conclusion)
    return result


def augmented(options: Invariance) -> dict[str, Any]:
    """The recipe on transformed images."""
    recipe = options.recipe
    augment = {**(recipe["data"].get("augment") or {}), "transformation": dict(options.transformation)}
    return {
        **recipe,
        "data": {**recipe["data"], "augment": augment},
        "training": {**recipe["training"], "epochs": options.augmented.epochs},
    }


def _check(options: Invariance, study: Options, recipes: Mapping[Role, Mapping[str, Any]]) -> None:
    check(study, None)
    for recipe in recipes.values():
        check_recipe(recipe, "recipe")
    if options.match_accuracy and options.recipe["training"]["keep_every"] is None:
        raise UserError(
            "match_accuracy=true: chooses among epochs whose weights were kept; set recipe.training.keep_every=1, or "
            "match_accuracy=false"
        )


def _untrained(recipe: Mapping[str, Any], data: ImageData) -> Subject:
    architecture = architecture_of(recipe, data)
    normalisation = tuple(data.mean), tuple(data.std)
    return Subject(build(architecture).eval(), architecture, data.classes, *normalisation, contrast=data.contrast)


def _row(options: Invariance, network: Trained) -> dict[str, Any]:
    """What a table over many jobs says of this one; what was transformed how is part of what it is about."""
    model, family = str(options.recipe["model"]["name"]), str(options.transformation["family"])
    source = options.recipe["data"]["source"]
    data = f"{source.get('names') or source['name']} {network.data.input_shape[1]} px, {family}"
    digest = digest_of(options.recipe["model"])[:4]  # networks of one name may differ in size or pooling
    return {"model": model, "options": digest, "data": data, "seed": options.seed,
            "network": f"{model} {digest} {options.seed}", "accuracy_gap": None}  # fmt: skip
