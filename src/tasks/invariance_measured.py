"""One network under all transformations: what it answers, and how much each of its activations varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.activations import evaluating
from src.data.image_set import ImageSet
from src.errors import UserError, suggestion
from src.imageops.transformations import TransformationSet
from src.invariance.passes import Examination, Setup
from src.invariance.units import check_aggregation
from src.invariance.variance import Variances, variances
from src.models import build
from src.result import Result
from src.subjects import Subject
from src.tasks.invariance_more import MEASURES, Rows, further, turned_back
from src.training.determinism import device_of, seed_everything

if TYPE_CHECKING:
    from src.report.session import Session

DTYPES = {"float32": torch.float32, "float64": torch.float64}
UNTRAINED = "untrained"
EQUIVARIANCE = "same equivariance"


@dataclass
class Measured:
    """What was found out about a network.

    Attributes:
        name: in tables.
        subject: the network.
        correct: bool (S, T), whether each transformed image is classified right.
        spreads: way of measuring (an aggregation, or with maps moved back) -> all layers.
        more: further measure -> a row per layer.
    """

    name: str
    subject: Subject
    correct: Tensor
    spreads: dict[str, Variances]
    more: dict[str, Rows] = field(default_factory=dict)


def check_study(study: Mapping[str, Any]) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: an option of the study is not allowed.
    """
    for name in aggregations(study):
        check_aggregation(name, "none", "study.")
    if study["after"] != "none":
        check_aggregation("none", study["after"], "study.")
    if study["dtype"] not in DTYPES:
        raise UserError(f"study.dtype={study['dtype']}: {suggestion(str(study['dtype']), DTYPES)}")
    for name in study["measures"]:
        if name not in MEASURES:
            raise UserError(f"study.measures: no '{name}'; {suggestion(str(name), MEASURES)}")
    count = study["images_per_class"]
    if count is not None and (not isinstance(count, int) or count < 2):
        raise UserError(f"study.images_per_class={count}: give a number from 2, or null for all")
    setup_of(study, "none")


def aggregations(study: Mapping[str, Any]) -> list[str]:
    """The ways a map becomes units.

    Raises:
        UserError: there is none, or one twice.
    """
    named = study["aggregations"]
    chosen = [named] if isinstance(named, str) else list(named)
    if not chosen or len(set(chosen)) < len(chosen):
        raise UserError(f"study.aggregations={chosen}: name at least one of none, sum, mean, max, and each only once")
    return chosen


def setup_of(study: Mapping[str, Any], aggregation: str, *, same_equivariance: bool = False) -> Setup:
    """How a pass is made. With ``before`` there is nothing left to average after."""
    layers = study["layers"]
    return Setup(
        layers=(layers,) if isinstance(layers, str) else tuple(layers),
        before=aggregation,  # type: ignore[arg-type]
        after=study["after"] if aggregation == "none" else "none",
        same_equivariance=same_equivariance,
        batch=study["batch"],
        memory_gb=study["memory_gb"],
        dtype=DTYPES[study["dtype"]],
    )


def examine(
    name: str,
    subject: Subject,
    images: ImageSet,
    transformations: TransformationSet,
    study: Mapping[str, Any],
    session: Session,
    seed: int,
) -> Measured:
    """Go through all images under all transformations, once for each aggregation."""
    ways = [(aggregation, setup_of(study, aggregation)) for aggregation in aggregations(study)]
    if study["same_equivariance"]:
        ways.append((EQUIVARIANCE, setup_of(study, "none", same_equivariance=True)))
    found = {}
    device = next(subject.model.parameters()).device
    pictures, labels = images.images.to(device), images.labels.to(device)
    with session.stage(f"{name}: activations", len(images) * len(ways)) as advance:
        for way, setup in ways:
            examination = Examination(subject.model, pictures, transformations, subject.normalise_values, setup)
            found[way] = variances(
                examination, labels, kept_units=study["kept_units"], seed=seed, watch=lambda count: advance(count)
            )
            if found[way].groups > 1:
                session.event(
                    f"study.memory_gb={study['memory_gb']:g}: {name}, {way}: the spread over images was summed in "
                    f"{found[way].groups} passes"
                )

    def of_positions(**how: Any) -> Examination:
        setup = replace(setup_of(study, "none", **how), after="none")
        return Examination(subject.model, pictures, transformations, subject.normalise_values, setup)

    more: dict[str, Rows] = {}
    if study["measures"]:
        with session.stage(f"{name}: further measures"):
            more = further(of_positions(), study["measures"])
    if study["same_equivariance"]:
        more["equivariance"] = turned_back(of_positions(same_equivariance=True))
    hits = correct(subject, pictures, labels, transformations, study["batch"])
    return Measured(name, subject, hits, found, more)


@torch.inference_mode()
def correct(subject: Subject, images: Tensor, labels: Tensor, transformations: TransformationSet, batch: int) -> Tensor:
    """bool (S, T), on the CPU."""
    count = len(transformations)
    parts = []
    with evaluating(subject.model):
        for some, own in zip(*(values.split(max(1, batch // count)) for values in (images, labels)), strict=True):
            moved = transformations(some.float() / 255).flatten(0, 1)
            answers = subject.model(subject.normalise_values(moved)).argmax(1).view(len(some), count)
            parts.append(answers == own[:, None])
    return torch.cat(parts).cpu()


def untrained_like(subject: Subject, config: Mapping[str, Any], session: Session) -> Subject | None:
    """The same architecture with random weights, or None where it is made of other networks."""
    try:
        seed_everything("untrained", config["seed"])
        model = build(subject.architecture)
    except UserError as error:
        session.event(f"study.untrained=true: no such network was made ({error}); there is no untrained baseline")
        return None
    return replace(subject, model=model.to(device_of(config["device"])).eval(), lineage=(), kept=None)


def spread_of_images(images: Tensor, transformations: TransformationSet, aggregation: str) -> tuple[float, float]:
    """The controls: (NV of the image itself, NV that moving it and moving it back leaves by interpolation alone).

    Both are means over the pixels that always hold image content; with an aggregation over each channel.

    Args:
        images: uint8 (S, C, H, W).
    """
    values = images[:256].float() / 255
    moved = transformations(values)
    valid = transformations.valid(*values.shape[2:]).to(values.device)
    return tuple(  # type: ignore[return-value]
        _pixel_ratio(each[..., valid], aggregation) for each in (moved, transformations.undo(moved))
    )


def _pixel_ratio(values: Tensor, aggregation: str) -> float:
    """``values`` (S, T, C, positions)."""
    if aggregation in ("sum", "mean"):
        values = values.mean(3)
    elif aggregation == "max":
        values = values.amax(3)
    ratio = values.std(1).mean(0) / values.std(0).mean(0)
    return float(ratio[ratio.isfinite()].mean())


def add_events(result: Result, found: Sequence[Measured]) -> None:
    """Count the units that have no ratio, which the means leave out."""
    result.tables["units"] = {
        "network": [each.name for each in found for _ in each.spreads],
        "aggregation": [way for each in found for way in each.spreads],
        "units": [sum(layer.ratio.values.numel() for layer in way.layers)
                  for each in found for way in each.spreads.values()],
        "dead": [sum(layer.ratio.dead for layer in way.layers) for each in found for way in each.spreads.values()],
        "infinite": [sum(layer.ratio.infinite for layer in way.layers)
                     for each in found for way in each.spreads.values()],
    }  # fmt: skip
    result.captions["units"] = (
        "Dead: never change, neither under the transformation nor between images. Infinite: only the transformation "
        "moves them. Both are left out of all means. A spread below 100 rounding errors of the layer's values is none."
    )
