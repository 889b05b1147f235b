"""Which layers have to learn for a network to become invariant? Each is trained again alone, the others frozen.

The layer-wise retraining of Quiroga et al. 2019 (doi 10.1007/978-3-030-27713-0_9), which is described there and was
never run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from src.artifacts.artifacts import Artifacts
from src.artifacts.network import Trained
from src.artifacts.trained import trained
from src.core.estimate import Estimate
from src.core.result import Figure, Panel
from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet
from src.statistics.bootstrap import bootstrap_weights
from src.studies.invariance.estimates import accuracy
from src.studies.invariance.measured import correct
from src.studies.invariance.options import Retrain
from src.studies.protocol import Run

SECTION = "Retraining"
BASELINE = "none"  # in the place of a scheme: the network as it was


@dataclass(frozen=True)
class Retrained:
    """A network of which some layers learned again: accuracy of images as they are, where they are, and transformed."""

    scheme: str
    as_they_are: Estimate | None
    transformed: Estimate


@dataclass(frozen=True)
class Retraining:
    """All schemes, the network as it was first; each learned for so many more ``epochs``.

    Attributes:
        trained: what was trained again, by what it is called in a sentence. Where layers learned alone any accuracy is
            a finding; where all did, the recipe's least one is asked.
    """

    networks: tuple[Retrained, ...]
    epochs: int
    images: int
    trained: tuple[tuple[str, Trained], ...]


def schemes(model: nn.Module, by: str) -> dict[str, list[str] | None]:
    """What is trained again: each layer, all convolutions, all linear layers, all; in the order of the network."""
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    each = {name: [name] for name in [*convolutions, *linear]} if by == "each" else {}
    chosen: dict[str, list[str] | None] = {**each}
    if convolutions:
        chosen["all convolutions"] = convolutions
    if linear:
        chosen["all linear"] = linear
    return {**chosen, "all": None}


def retraining(
    plain: Trained,
    recipe: Mapping[str, Any],
    images: ImageSet,
    transformations: TransformationSet,
    batch: int,
    options: Retrain,
    artifacts: Artifacts,
    run: Run,
) -> Retraining:
    """Train each scheme by ``recipe``, from the weights of the plain network.

    Args:
        images: that judge it.
        batch: images times transformations in one pass.
    """
    epochs = options.epochs
    subjects, every = {BASELINE: plain.subject}, []
    for scheme, layers in schemes(plain.subject.model, options.layers).items():
        training = {**recipe["training"], "epochs": epochs, "train_only": layers, "keep_every": None}
        if layers is not None:
            training["minimum_accuracy"] = 0.0
        again = trained(
            {**recipe, "training": training, "select": "last"}, artifacts, role=f"retrained {scheme}",
            where="recipe", start=plain.subject,
        )  # fmt: skip
        subjects[scheme] = again.subject
        every.append((f"the plain network with {scheme} retrained", again))
    weights = bootstrap_weights(len(images), resamples=run.resamples, seed=run.seed, strata=images.labels)
    shares, identity, retrained = weights.double() / len(images), transformations.identity, []
    for scheme, subject in subjects.items():
        device = next(subject.model.parameters()).device
        pictures, labels = images.images.to(device), images.labels.to(device)
        hits = correct(subject, pictures, labels, transformations, batch)
        as_they_are = None if identity is None else accuracy(hits[:, identity], shares)
        retrained.append(Retrained(scheme, as_they_are, accuracy(hits, shares)))
    return Retraining(tuple(retrained), epochs, len(images), tuple(every))


def retraining_panel(retraining: Retraining) -> Panel:
    """A bar each per scheme, of images as they are and transformed."""
    rows = [
        {"retrained": network.scheme, "images": kind, **share.columns("accuracy")}
        for network in retraining.networks
        for kind, share in (("as they are", network.as_they_are), ("transformed", network.transformed))
        if share is not None
    ]
    caption = (
        f"The plain network as its training chose it (none), and after {retraining.epochs} more epochs on transformed "
        f"images in which only these layers learned, all others frozen with their statistics; {retraining.images} "
        "test images, as they are and over all transformations, 95% intervals over images."
    )
    figure = Figure("bars", "retraining", "Retrained layers", "Accuracy on test images as they are, and over all "
                    "transformations.", x="retrained", y="accuracy", group="images", percent=True)  # fmt: skip
    return Panel(SECTION, "retraining", rows, caption, {"accuracy": "%"}, [figure])
