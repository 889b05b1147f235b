"""Which layers have to learn for a network to become invariant? Each is trained again alone, the others frozen.

The layer-wise retraining of Quiroga et al. 2019 (doi 10.1007/978-3-030-27713-0_9), which is described there and was
never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from src.artifacts.network import Trained
from src.artifacts.trained import trained
from src.core.errors import UserError, suggestion
from src.core.result import Figure, Result, table_of
from src.core.store import Store
from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet
from src.networks.subjects import Subject
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate
from src.studies.invariance.measured import correct

if TYPE_CHECKING:
    from src.report.session import Session

SECTION = "Retraining"
LAYERS = ("none", "each", "kind")


def check_retraining(config: Mapping[str, Any]) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: an option of ``retrain`` is not allowed.
    """
    layers = config["retrain"]["layers"]
    if layers not in LAYERS:
        raise UserError(f"retrain.layers={layers}: {suggestion(str(layers), LAYERS)}")


def schemes(model: nn.Module, by: str) -> dict[str, list[str] | None]:
    """What is trained again: each layer, all convolutions, all linear layers, all; in the order of the network."""
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    each = {name: [name] for name in [*convolutions, *linear]} if by == "each" else {}
    found: dict[str, list[str] | None] = {**each}
    if convolutions:
        found["all convolutions"] = convolutions
    if linear:
        found["all linear"] = linear
    return {**found, "all": None}


def add_retraining(
    result: Result,
    plain: Trained,
    recipe: Mapping[str, Any],
    images: ImageSet,
    transformations: TransformationSet,
    config: Mapping[str, Any],
    store: Store,
    session: Session,
) -> None:
    """Retrain by ``recipe``, and show accuracy on test images as they are and transformed, a bar each per scheme."""
    epochs = config["retrain"]["epochs"]
    subjects = {"none": plain.subject}
    for name, layers in schemes(plain.subject.model, config["retrain"]["layers"]).items():
        training = {**recipe["training"], "epochs": epochs, "train_only": layers}
        again = trained(
            {**recipe, "training": {**training, "keep_every": None}, "select": "last"},
            store, session, role=f"retrained {name}", where="recipe", config=config, start=plain.subject,
        )  # fmt: skip
        subjects[name] = again.subject
        result.uses.append(again.digest)
    rows = []
    weights = bootstrap_weights(len(images), resamples=config["resamples"], seed=config["seed"], strata=images.labels)
    for name, subject in subjects.items():
        rows += _rows(name, subject, images, transformations, weights.double() / len(images), config)
    result.tables["retraining"] = table_of(rows)
    result.sections["retraining"] = SECTION
    result.captions["retraining"] = (
        f"The plain network as its training chose it (none), and after {epochs} more epochs on transformed images in "
        f"which only these layers learned, all others frozen with their statistics; {len(images)} test images, as they "
        "are and over all transformations, 95% intervals over images."
    )
    result.figures.append(
        Figure("bars", "retraining", "Retrained layers", "Accuracy on test images as they are, and over all "
               "transformations.", x="retrained", y="accuracy", group="images", percent=True, section=SECTION)
    )  # fmt: skip


def _rows(
    name: str,
    subject: Subject,
    images: ImageSet,
    transformations: TransformationSet,
    weights: Tensor,
    config: Mapping[str, Any],
) -> list[dict[str, Any]]:
    device = next(subject.model.parameters()).device
    hits = correct(subject, images.images.to(device), images.labels.to(device), transformations,
                   config["study"]["batch"]).double()  # fmt: skip
    shown = {"transformed": hits.mean(1)}
    if transformations.identity is not None:
        shown = {"as they are": hits[:, transformations.identity], **shown}
    rows = []
    for kind, values in shown.items():
        found = estimate(Resampled(float(torch.mean(values)), weights @ values))
        rows.append({"retrained": name, "images": kind, "accuracy": found.value, "accuracy_low": found.low,
                     "accuracy_high": found.high})  # fmt: skip
    return rows
