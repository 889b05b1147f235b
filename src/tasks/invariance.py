"""``task=invariance``: a network trained on images as they are, one on transformed images, and one not at all.

Quiroga, Torrents-Barrena, Lanzarini and Puig, "Measuring (in)variances in convolutional networks", JCC&BD 2019
(doi 10.1007/978-3-030-27713-0_9), with what it left out: seeds, intervals, an untrained baseline, networks of equal
accuracy, exact angles, and both ways to make units of maps, between which its own findings change sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet, transformation_set
from src.invariance.depth import depth_trend
from src.invariance.intervals import resampled_layer, resampled_network
from src.invariance.variance import Variances
from src.result import Estimate, Result
from src.statistics import Resampled, bootstrap_weights, estimate, paired_difference
from src.store import Store
from src.subjects import load_subject
from src.tasks.invariance_measured import EQUIVARIANCE, UNTRAINED, Measured, examine, untrained_like
from src.tasks.invariance_study import add_all, check, chosen
from src.tasks.retraining import add_retraining, check_retraining
from src.tasks.train import Trained, add_history, check_recipe, did_not_train, trained

if TYPE_CHECKING:
    from src.report.session import Session

NEAR = 0.005  # of the validation images: networks that are as close are as accurate
PLAIN, AUGMENTED, FULL = "plain", "augmented", "plain, fully trained"


def invariance(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train both, measure all, compare at equal accuracy."""
    check(config)
    check_retraining(config)
    check_recipe(config["recipe"], "recipe")
    transformations = transformation_set(config["transformation"])
    recipes = {PLAIN: config["recipe"], AUGMENTED: augmented(config)}
    networks = {
        role: trained(recipe, store, session, role=role, where="recipe", config=config)
        for role, recipe in recipes.items()
    }
    result = Result("invariance", config["name"], uses=[network.digest for network in networks.values()])
    add_history(result, networks)
    result.row = _row(config, networks[PLAIN])
    problems = [did_not_train(f"the {role} network", network) for role, network in networks.items()
                if not network.converged]  # fmt: skip
    if problems:
        result.verdict, result.verdict_kind = "; ".join(problems), "no verdict"
        return result
    images = chosen(networks[PLAIN].data.sets["test"], config["study"], session)
    found = _measured(networks, images, transformations, config, session)
    add_all(result, found, images, transformations, config, session)
    if config["retrain"]["layers"] != "none":
        add_retraining(result, networks[PLAIN], augmented(config), images, transformations, config, store, session)
    _conclude(result, {each.name: each for each in found}, images, config)
    return result


def augmented(config: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe on transformed images."""
    recipe = config["recipe"]
    augment = {**(recipe["data"].get("augment") or {}), "transformation": dict(config["transformation"])}
    epochs = config["augmented"]["epochs"] or recipe["training"]["epochs"]
    return {
        **recipe,
        "data": {**recipe["data"], "augment": augment},
        "training": {**recipe["training"], "epochs": epochs},
    }


def _row(config: Mapping[str, Any], network: Trained) -> dict[str, Any]:
    model = str(config["recipe"]["model"]["name"])
    data = f"{config['recipe']['data']['source']['name']} {network.data.input_shape[1]} px"
    return {"model": model, "data": data, "family": str(config["transformation"]["family"]), "seed": config["seed"],
            "network": f"{model} {config['seed']}"}  # fmt: skip


def _measured(
    networks: Mapping[str, Trained],
    images: ImageSet,
    transformations: TransformationSet,
    config: Mapping[str, Any],
    session: Session,
) -> list[Measured]:
    subjects = {role: network.subject for role, network in networks.items()}
    if config["match_accuracy"]:
        role, epoch = matched_epoch(networks)
        if epoch is not None:
            network = networks[role]
            path = network.folder / f"epoch_{epoch:04d}.safetensors"
            subjects[role] = load_subject(path, [network.digest])
            subjects[role].model.to(next(network.subject.model.parameters()).device)
            session.event(
                f"match_accuracy=true: the {role} network is measured after epoch {epoch} "
                f"({network.history[epoch]['val/accuracy']:.1%} of the validation images right instead of "
                f"{network.accuracy:.1%}), as accurate as the other"
            )
            if role == PLAIN:
                subjects[FULL] = network.subject
        low, high = sorted(_accuracy(networks, role, epoch) for role in networks)
        if high - low > 0.02:
            session.event(f"match_accuracy=true: {high - low:.1%} of the validation images remain between the networks")
    if config["study"]["untrained"]:
        other = untrained_like(networks[PLAIN].subject, config, session)
        if other is not None:
            subjects[UNTRAINED] = other
    return [
        examine(name, replace(subject), images, transformations, config["study"], session, config["seed"])
        for name, subject in subjects.items()
    ]


def matched_epoch(networks: Mapping[str, Trained]) -> tuple[str, int | None]:
    """Which network is the better one, and its epoch that is as accurate as the other; None where it is the chosen one.

    By accuracy on validation images that are not transformed, among the epochs whose weights were kept.
    """
    better, worse = sorted(networks, key=lambda role: -networks[role].accuracy)
    network, aim = networks[better], networks[worse].accuracy
    kept = [
        epoch for epoch in range(len(network.history)) if (network.folder / f"epoch_{epoch:04d}.safetensors").exists()
    ]
    if not kept or network.accuracy - aim <= NEAR:
        return better, None
    nearest = min(kept, key=lambda epoch: (abs(network.history[epoch]["val/accuracy"] - aim), -epoch))
    closer = abs(network.history[nearest]["val/accuracy"] - aim) < abs(network.accuracy - aim)
    return better, nearest if closer else None


def _accuracy(networks: Mapping[str, Trained], role: str, epoch: int | None) -> float:
    better = max(networks, key=lambda name: networks[name].accuracy)
    network = networks[role]
    return network.history[epoch]["val/accuracy"] if role == better and epoch is not None else network.accuracy


def _conclude(result: Result, found: Mapping[str, Measured], images: ImageSet, config: Mapping[str, Any]) -> None:
    weights = bootstrap_weights(len(images), resamples=config["resamples"], seed=config["seed"])
    told = []
    for way in found[PLAIN].spreads:
        key = "positions" if way == "none" else way.replace(" ", "_")
        means = {
            name: resampled_network([resampled_layer(layer, weights) for layer in each.spreads[way].layers])
            for name, each in found.items()
        }
        difference = _kept(result, f"nv_{key}_difference", paired_difference(means[AUGMENTED], means[PLAIN]), images)
        for name in (PLAIN, AUGMENTED):
            _kept(result, f"nv_{key}_{name}", means[name], images)
        if way != EQUIVARIANCE:
            own = _trend(found[PLAIN].spreads[way], weights)
            _kept(result, f"lower_layers_{key}", own, images)
            if UNTRAINED in found:
                learned = paired_difference(own, _trend(found[UNTRAINED].spreads[way], weights))
                _kept(result, f"lower_layers_{key}_learned", learned, images)
        told.append(f"{difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}] ({key})")
    for name in (PLAIN, AUGMENTED):
        row = result.tables["networks"]
        number = row["network"].index(name)
        for column in ("accuracy", "transformed_accuracy"):
            if column in row:
                value, low, high = (float(row[f"{column}{end}"][number]) for end in ("", "_low", "_high"))
                result.metrics[f"{name}_{column}"] = Estimate(value, low, high, len(images), "images")
                result.units[f"{name}_{column}"] = "%"
    result.verdict = f"trained on transformed images, activations vary by {', '.join(told)} against the plain network"
    result.verdict += " at equal accuracy" if config["match_accuracy"] else ""
    result.row |= {name: found.value for name, found in result.metrics.items()}


def _trend(spreads: Variances, weights: torch.Tensor) -> Resampled:
    """Mean NV of the second half of the layers less that of the first: above 0, lower layers are more invariant."""
    found = depth_trend([resampled_layer(layer, weights) for layer in spreads.layers]).first_minus_second_half
    return Resampled(-found.value, -found.samples)


def _kept(result: Result, name: str, resampled: Resampled, images: ImageSet) -> Estimate:
    result.metrics[name] = estimate(resampled, n=len(images), unit="images")
    return result.metrics[name]
