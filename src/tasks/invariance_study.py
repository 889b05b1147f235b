"""The study of invariance for one network, wherever it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.data.image_set import ImageSet
from src.data.mixing import class_numbers
from src.data.ranks import rank_within_class
from src.imageops.transformations import TransformationSet, transformation_set
from src.result import Estimate, Result
from src.tasks.invariance_measured import (
    UNTRAINED,
    Measured,
    add_events,
    aggregations,
    check_study,
    examine,
    untrained_like,
)
from src.tasks.invariance_more import add_class_conditional, add_more, add_sample_size
from src.tasks.invariance_panels import add_accuracy, add_class_matrix, add_controls, add_layers, add_maps, add_units
from src.tasks.subject_of import Examined

if TYPE_CHECKING:
    from src.report.session import Session

NETWORK = "network"


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
    subjects = {NETWORK: examined.subject}
    if study["untrained"]:
        other = untrained_like(examined.subject, config, session)
        subjects |= {UNTRAINED: other} if other is not None else {}
    found = [
        examine(name, subject, images, transformations, study, session, config["seed"])
        for name, subject in subjects.items()
    ]
    add_all(result, found, images, transformations, config, session)
    conclude(result, found[0], images)


def chosen(test: ImageSet, study: Mapping[str, Any], session: Session) -> ImageSet:
    """The images that are measured: as many of each class."""
    if study["images_per_class"] is None:
        return test
    images = test.select((rank_within_class(test.labels) < study["images_per_class"]).nonzero()[:, 0])
    if len(images) < len(test):
        session.event(f"study.images_per_class={study['images_per_class']}: {len(images)} of {len(test)} test images")
    return images


def add_all(
    result: Result,
    found: list[Measured],
    images: ImageSet,
    transformations: TransformationSet,
    config: Mapping[str, Any],
    session: Session,
) -> None:
    """All panels of one or more networks; the first one is the one that is looked into."""
    study = config["study"]
    how = {"resamples": config["resamples"], "seed": config["seed"]}
    with session.stage("tables"):
        ambiguous = class_numbers(study["ambiguous"], images.classes) if study["ambiguous"] else []
        add_accuracy(result, found, images, transformations, ambiguous=ambiguous, **how)
        add_layers(result, found, images, transformations, **how)
        first = aggregations(study)[0]
        outputs = {each.name: each.spreads[first].layers[-1] for each in found}
        if study["permutations"]:
            add_class_conditional(result, outputs, images, permutations=study["permutations"], seed=config["seed"])
        add_more(result, {each.name: each.more for each in found})
        add_units(result, found, first)
        add_class_matrix(result, found, images.classes)
        add_maps(result, found[0], images.images, transformations, count=study["pictures"])
        add_sample_size(result, found[0].name, found[0].spreads[first].layers, seed=config["seed"])
        add_controls(result, images.images, transformations, list(found[0].spreads))
        add_events(result, found)
    result.screen = ["networks"]
    result.units |= dict.fromkeys(("accuracy", "transformed_accuracy", "transformed_accuracy_without"), "%")


def conclude(result: Result, each: Measured, images: ImageSet) -> None:
    """Metrics and the sentence of a single network."""
    row = {name: values[0] for name, values in result.tables["networks"].items()}
    for name in ("accuracy", "transformed_accuracy"):
        if name in row:
            result.metrics[name] = Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], len(images), "images")
    for name, value in row.items():
        if name.startswith("nv_"):
            result.metrics[name] = Estimate(value)
    told = ", ".join(
        f"{value:.2f} ({'maps ' + way + 'med' if way == 'sum' else 'per position' if way == 'none' else way})"
        for way, value in ((way, spreads.over_layers()) for way, spreads in each.spreads.items())
    )
    turned = row["transformed_accuracy"]
    result.verdict = f"its activations vary {told} times as much under the transformation as between images"
    result.verdict += f"; {turned:.1%} of the transformed images are classified right"
