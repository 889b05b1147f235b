"""``task=invariance``: a network trained on images as they are, one on transformed images, and one not at all.

Quiroga, Torrents-Barrena, Lanzarini and Puig, "Measuring (in)variances in convolutional networks", JCC&BD 2019
(doi 10.1007/978-3-030-27713-0_9), with what it left out: seeds, intervals, an untrained baseline, networks of equal
accuracy, exact angles, and both ways to make units of maps, between which its own findings change sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.artifacts.learners import architecture_of
from src.artifacts.network import Trained
from src.artifacts.trained import add_history, check_recipe, did_not_train, images_of, trained
from src.core.errors import UserError
from src.core.result import Result
from src.core.store import Store, digest_of
from src.data.datamodule import ImageData
from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet, transformation_set
from src.networks.models import build
from src.networks.subjects import Subject, load_subject
from src.statistics.bootstrap import Resampled, estimate, paired_difference
from src.studies.invariance.measured import (
    EQUIVARIANCE,
    UNTRAINED,
    Measured,
    examine,
    key_of,
    rehearse,
    untrained_like,
    words_for,
)
from src.studies.invariance.panels import rise
from src.studies.invariance.retraining import add_retraining, check_retraining
from src.studies.invariance.study import add_all, add_metrics, ambiguous, check, chosen

if TYPE_CHECKING:
    from src.report.session import Session

NEAR = 0.005  # of the validation images: networks that are as close need no earlier epoch
EQUAL = 0.02  # of the validation images: networks that are as close count as equally accurate
PLAIN, AUGMENTED, FULL = "plain", "augmented", "fully trained"


def invariance(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train both, measure all, compare at equal accuracy."""
    recipes = {PLAIN: config["recipe"], AUGMENTED: augmented(config)}
    _check(config, recipes)
    transformations = transformation_set(config["transformation"])
    data = images_of(config["recipe"], session, PLAIN, "recipe")
    images = chosen(data.sets["test"], config["study"], session)
    ambiguous(config["study"], images.classes)
    rehearse(_untrained(config["recipe"], data), images, transformations, config["study"])
    networks = {
        role: trained(recipe, store, session, role=role, where="recipe", config=config,
                      data=data if role == PLAIN else None)
        for role, recipe in recipes.items()
    }  # fmt: skip
    result = Result("invariance", config["name"], uses=[network.digest for network in networks.values()])
    add_history(result, networks)
    result.row = _row(config, networks[PLAIN])
    problems = [did_not_train(f"the {role} network", network) for role, network in networks.items()
                if not network.converged]  # fmt: skip
    if problems:
        result.verdict, result.verdict_kind = "; ".join(problems), "no verdict"
        return result
    subjects, accuracy = compared(networks, config["match_accuracy"], session)
    found = _examined(subjects, images, transformations, config, session)
    aside = [each for each in found.values() if each.name.endswith(FULL)]
    shown = [each for each in found.values() if each not in aside]
    add_all(result, shown, images, transformations, config, session, aside)
    if config["retrain"]["layers"] != "none":
        add_retraining(result, networks[PLAIN], augmented(config), images, transformations, config, store, session)
    result.row["accuracy_gap"] = abs(accuracy[AUGMENTED] - accuracy[PLAIN])
    _conclude(result, found, accuracy, images, config["study"])
    return result


def augmented(config: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe on transformed images."""
    recipe = config["recipe"]
    augment = {**(recipe["data"].get("augment") or {}), "transformation": dict(config["transformation"])}
    return {
        **recipe,
        "data": {**recipe["data"], "augment": augment},
        "training": {**recipe["training"], "epochs": config["augmented"]["epochs"]},
    }


def _check(config: Mapping[str, Any], recipes: Mapping[str, Mapping[str, Any]]) -> None:
    check(config)
    check_retraining(config)
    for recipe in recipes.values():
        check_recipe(recipe, "recipe")
    if config["match_accuracy"] and config["recipe"]["training"]["keep_every"] is None:
        raise UserError(
            "match_accuracy=true: chooses among epochs whose weights were kept; set recipe.training.keep_every=1, or "
            "match_accuracy=false"
        )


def _untrained(recipe: Mapping[str, Any], data: ImageData) -> Subject:
    architecture = architecture_of(recipe, data)
    normalisation = tuple(data.mean), tuple(data.std)
    return Subject(build(architecture).eval(), architecture, data.classes, *normalisation, contrast=data.contrast)


def _row(config: Mapping[str, Any], network: Trained) -> dict[str, Any]:
    """What a table over many jobs says of this one; what was transformed how is part of what it is about."""
    model, family = str(config["recipe"]["model"]["name"]), str(config["transformation"]["family"])
    source = config["recipe"]["data"]["source"]
    data = f"{source.get('names') or source['name']} {network.data.input_shape[1]} px, {family}"
    options = digest_of(config["recipe"]["model"])[:4]  # networks of one name may differ in size or pooling
    return {"model": model, "options": options, "data": data, "seed": config["seed"],
            "network": f"{model} {options} {config['seed']}", "accuracy_gap": None}  # fmt: skip


def compared(
    networks: Mapping[str, Trained], match: bool, session: Session
) -> tuple[dict[str, Subject], dict[str, float]]:
    """What is measured, by its name in tables, and the accuracy of the two networks that are compared.

    Of the better network that is an earlier epoch, where one is as accurate as the other network; as it was at the end
    it is then measured beside them.
    """
    subjects = {role: network.subject for role, network in networks.items()}
    accuracy = {role: network.accuracy for role, network in networks.items()}
    better, epoch = matched_epoch(networks) if match else ("", None)
    if epoch is not None:
        network = networks[better]
        accuracy[better] = network.history[epoch]["val/accuracy"]
        subjects[f"{better}, {FULL}"] = network.subject
        subjects[better] = load_subject(_weights(network, epoch), [network.digest])
        subjects[better].model.to(next(network.subject.model.parameters()).device)
        session.event(
            f"match_accuracy=true: the {better} network is measured after epoch {epoch} "
            f"({accuracy[better]:.1%} of the validation images right instead of {network.accuracy:.1%}), as near as "
            "its epochs come to the other"
        )
    gap = abs(accuracy[AUGMENTED] - accuracy[PLAIN])
    if match and gap > EQUAL:
        session.event(f"match_accuracy=true: {gap:.1%} of the validation images remain between the networks")
    return subjects, accuracy


def matched_epoch(networks: Mapping[str, Trained]) -> tuple[str, int | None]:
    """Which network is the better one, and its epoch that is as accurate as the other; None where it is the chosen one.

    By accuracy on validation images that are not transformed, among the epochs whose weights were kept.
    """
    better, worse = sorted(networks, key=lambda role: -networks[role].accuracy)
    network, aim = networks[better], networks[worse].accuracy
    kept = [epoch for epoch in range(len(network.history)) if _weights(network, epoch).exists()]
    if not kept or network.accuracy - aim <= NEAR:
        return better, None
    nearest = min(kept, key=lambda epoch: (abs(network.history[epoch]["val/accuracy"] - aim), -epoch))
    closer = abs(network.history[nearest]["val/accuracy"] - aim) < abs(network.accuracy - aim)
    return better, nearest if closer else None


def _weights(network: Trained, epoch: int) -> Path:
    return network.folder / f"epoch_{epoch:04d}.safetensors"


def _examined(
    subjects: dict[str, Subject],
    images: ImageSet,
    transformations: TransformationSet,
    config: Mapping[str, Any],
    session: Session,
) -> dict[str, Measured]:
    if config["study"]["untrained"]:
        other = untrained_like(subjects[PLAIN], images, config, session)
        subjects = subjects | ({UNTRAINED: other} if other is not None else {})
    brief = {**config["study"], "measures": []}  # of what is in the table of networks alone
    return {
        name: examine(name, subject, images, transformations, brief if name.endswith(FULL) else config["study"],
                      session, config["seed"])
        for name, subject in subjects.items()
    }  # fmt: skip


def _conclude(
    result: Result,
    found: Mapping[str, Measured],
    accuracy: Mapping[str, float],
    images: ImageSet,
    study: Mapping[str, Any],
) -> None:
    """Metrics and the sentence; whether lower layers are more invariant is asked of the network trained to its end."""

    def keep(name: str, resampled: Resampled) -> None:
        result.metrics[name] = estimate(resampled, n=len(images), unit="images")

    told = []
    whole = found.get(f"{PLAIN}, {FULL}", found[PLAIN])
    for way in whole.spreads:
        key = key_of(way)
        keep(f"nv_{key}_difference", paired_difference(found[AUGMENTED].mean(way), found[PLAIN].mean(way)))
        for name in (PLAIN, AUGMENTED):
            keep(f"nv_{key}_{name}", found[name].mean(way))
        if way != EQUIVARIANCE:
            own = rise(whole.curves[way])
            keep(f"lower_layers_{key}", own)
            if UNTRAINED in found:
                keep(f"lower_layers_{key}_learned", paired_difference(own, rise(found[UNTRAINED].curves[way])))
        difference = result.metrics[f"nv_{key}_difference"]
        told.append(
            f"{difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}] ({words_for(way, study)})"
        )
    result.captions["over_depth"] += (
        f" The rise of the {whole.name} network is the metric 'lower layers'; 'learned': less that of the untrained."
    )
    for name in (PLAIN, AUGMENTED):
        add_metrics(result, found[name], images, f"{name}_")
    equal = result.row["accuracy_gap"] <= EQUAL
    result.verdict = (
        f"NV of the network trained on transformed images, less that of the plain network: {', '.join(told)}; "
        f"{accuracy[AUGMENTED]:.1%} and {accuracy[PLAIN]:.1%} of the validation images are classified right"
        f"{', which counts as equal accuracy' if equal else ''}"
    )
