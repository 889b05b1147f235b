"""The study of invariance for one network, wherever it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from src.artifacts.examined_subject import Examined
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Result
from src.data.image_set import ImageSet
from src.data.mixing import class_numbers
from src.data.ranks import rank_within_class
from src.imageops.transformations import TransformationSet, transformation_set
from src.statistics.bootstrap import bootstrap_weights, estimate
from src.studies.invariance.controls import add_controls, controls
from src.studies.invariance.maps import add_maps
from src.studies.invariance.measured import (
    UNTRAINED,
    Measured,
    aggregations,
    check_study,
    examine,
    key_of,
    untrained_like,
    words_for,
)
from src.studies.invariance.more_measures import add_class_conditional, add_more, add_sample_size
from src.studies.invariance.panels import (
    add_accuracy,
    add_class_matrix,
    add_depth,
    add_layers,
    add_unit_counts,
    add_units,
)

if TYPE_CHECKING:
    from src.report.session import Session

NETWORK = "network"
ACCURACIES = ("accuracy", "transformed_accuracy", "transformed_accuracy_unambiguous")


def check(config: Mapping[str, Any]) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: an option of the study or of the transformation is not allowed.
    """
    check_study(config["study"])
    transformation_set(config["transformation"])


def invariance(result: Result, examined: Examined, config: Mapping[str, Any], session: Session) -> None:
    """Measure a network, and the same with random weights, and add all panels.

    Raises:
        UserError: an option is not allowed, or does not fit the network.
    """
    study, transformations = config["study"], transformation_set(config["transformation"])
    images = chosen(examined.test, study, session)
    ambiguous(study, images.classes)
    subjects = {NETWORK: examined.subject}
    if study["untrained"]:
        other = untrained_like(examined.subject, images, config, session)
        subjects |= {UNTRAINED: other} if other is not None else {}
    found = [
        examine(name, subject, images, transformations, study, session, config["seed"])
        for name, subject in subjects.items()
    ]
    add_all(result, found, images, transformations, config, session)
    conclude(result, found[0], images, study)


def chosen(test: ImageSet, study: Mapping[str, Any], session: Session) -> ImageSet:
    """The images that are measured: as many of each class.

    Raises:
        UserError: a class has a single one.
    """
    images = test
    if study["images_per_class"] is not None:
        images = test.select((rank_within_class(test.labels) < study["images_per_class"]).nonzero()[:, 0])
    for name, count in zip(images.classes, images.per_class.tolist(), strict=True):
        if count == 1:
            raise UserError(
                f"data: class '{name}' has a single test image, and a spread within a class needs two; give it more, "
                "or leave it out of data.classes"
            )
    if len(images) < len(test):
        session.event(f"study.images_per_class={study['images_per_class']}: {len(images)} of {len(test)} test images")
    return images


def ambiguous(study: Mapping[str, Any], classes: Sequence[str]) -> list[int]:
    """Numbers of the classes that the transformation can exchange.

    Raises:
        UserError: one is not in the data, or none other is left.
    """
    if not study["ambiguous"]:
        return []
    try:
        numbers = class_numbers(study["ambiguous"], classes)
    except UserError as error:
        raise UserError(f"study.ambiguous={study['ambiguous']}: {error}") from None
    if len(numbers) == len(classes):
        raise UserError(f"study.ambiguous={study['ambiguous']}: leaves no class; name only those that are exchanged")
    return numbers


def add_all(
    result: Result,
    found: Sequence[Measured],
    images: ImageSet,
    transformations: TransformationSet,
    config: Mapping[str, Any],
    session: Session,
    aside: Sequence[Measured] = (),
) -> None:
    """All panels of one or more networks; the first one is the one that is looked into.

    Args:
        aside: networks that are in the table of networks alone.
    """
    study = config["study"]
    how = {"study": study, "resamples": config["resamples"], "seed": config["seed"]}
    with session.stage("tables"):
        weights = bootstrap_weights(len(images), resamples=config["resamples"], seed=config["seed"])
        for each in (*found, *aside):
            each.resample(weights)
        exchanged = ambiguous(study, images.classes)
        add_accuracy(result, found, images, transformations, aside=aside, ambiguous=exchanged, **how)
        pixels = controls(images, transformations, list(found[0].spreads), study, session)
        add_layers(result, found, images, pixels, **how)
        add_depth(result, [*found, *aside], study)
        first = aggregations(study)[0]
        if study["permutations"]:
            last = {each.name: each.spreads[first].layers[-1] for each in found}
            add_class_conditional(result, last, images, permutations=study["permutations"], seed=config["seed"])
        add_more(result, {each.name: each.more for each in found})
        add_units(result, found, first, study)
        add_unit_counts(result, [*found, *aside])
        add_class_matrix(result, found, images.classes)
        add_maps(result, found[0], images, transformations, count=study["pictures"])
        add_sample_size(result, found[0].name, found[0].spreads[first].layers, seed=config["seed"])
        add_controls(result, pixels, images, transformations)
    result.screen = ["networks"]
    result.units |= dict.fromkeys(ACCURACIES, "%")


def add_metrics(result: Result, each: Measured, images: ImageSet, prefix: str = "") -> None:
    """Of a network in the table of networks its accuracies, with their intervals over images."""
    row = result.tables["networks"]["network"].index(each.name)
    for name in ACCURACIES:
        if name in result.tables["networks"]:
            value, low, high = (float(result.tables["networks"][f"{name}{end}"][row]) for end in ("", "_low", "_high"))
            result.metrics[f"{prefix}{name}"] = Estimate(value, low, high, len(images), "images")
            result.units[f"{prefix}{name}"] = "%"


def conclude(result: Result, each: Measured, images: ImageSet, study: Mapping[str, Any]) -> None:
    """Metrics and the sentence of a single network."""
    add_metrics(result, each, images)
    told = []
    for way, spreads in each.spreads.items():
        found = estimate(each.mean(way), n=len(images), unit="images")
        result.metrics[f"nv_{key_of(way)}"] = found
        result.metrics[f"nv_{key_of(way)}_stratified"] = Estimate(spreads.over_layers(stratified=True))
        result.metrics[f"nv_{key_of(way)}_units"] = Estimate(spreads.over_units())
        told.append(f"{found.value:.2f} ({words_for(way, study)})")
    turned = result.metrics["transformed_accuracy"].value
    result.verdict = (
        f"its activations vary {', '.join(told)} times as much under the transformation as between images; "
        f"{turned:.1%} of the transformed images are classified right"
    )
