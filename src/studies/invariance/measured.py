"""One network under all transformations: what it answers, and how much each of its activations varies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet
from src.methods.invariance.intervals import resampled_layer, resampled_network
from src.methods.invariance.passes import Examination, Setup
from src.methods.invariance.units import check_aggregation
from src.methods.invariance.variance import Variances, groups_of_members, variances
from src.networks.activations import evaluating
from src.networks.slicing.recalibration import recalibrate
from src.networks.subjects import COMPOSED, PATCHED, Subject, rebuild
from src.statistics.bootstrap import Resampled
from src.studies.invariance.more_measures import MEASURES, Rows, further, turned_back
from src.training.determinism import device_of, seed_everything

if TYPE_CHECKING:
    from src.report.session import Session

DTYPES = {"float32": torch.float32, "float64": torch.float64}
UNTRAINED = "untrained"
RECALIBRATED = 512  # images that an untrained network's batch norms take their statistics from
EQUIVARIANCE = "same equivariance"
WAYS = {
    "none": "each position of a map is a unit",
    "sum": "maps are summed first",
    "mean": "maps are averaged first",
    "max": "of each map the greatest value",
    EQUIVARIANCE: "maps moved back by the inverse transformation, each position a unit",
}
#: least whole number of what is counted
LEAST = {"permutations": 0, "pictures": 0, "kept_units": 1}


@dataclass
class Measured:
    """What was found out about a network.

    Attributes:
        name: in tables.
        subject: the network.
        correct: bool (S, T), whether each transformed image is classified right.
        spreads: way of measuring (an aggregation, or with maps moved back) -> all layers.
        more: further measure -> a row per layer.
        curves: way of measuring -> each layer's mean NV, with resamples of the images; see :meth:`resample`.
    """

    name: str
    subject: Subject
    correct: Tensor
    spreads: dict[str, Variances]
    more: dict[str, Rows] = field(default_factory=dict)
    curves: dict[str, list[Resampled]] = field(default_factory=dict)

    def resample(self, weights: Tensor) -> None:
        """Fill ``curves`` by weights (B, S), the same for all networks that are to be compared."""
        self.curves = {
            way: [resampled_layer(layer, weights) for layer in spreads.layers] for way, spreads in self.spreads.items()
        }

    def mean(self, way: str) -> Resampled:
        """The mean over layers."""
        return resampled_network(self.curves[way])


def key_of(way: str) -> str:
    """A way of measuring in the name of a table or a metric."""
    return "positions" if way == "none" else way.replace(" ", "_")


def words_for(way: str, study: Mapping[str, Any]) -> str:
    """What becomes of maps, in words."""
    averaged = study["after"] == "mean" and way in ("none", EQUIVARIANCE)
    return WAYS[way] + (", spreads averaged over the positions of a map" if averaged else "")


def check_study(study: Mapping[str, Any]) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: an option of the study is not allowed.
    """
    for key in ("layers", "aggregations", "measures"):
        given = study[key]
        if not isinstance(given, list | str) or not all(isinstance(name, str) for name in given):
            raise UserError(f"study.{key}={given}: give a list of names, as [{'conv*' if key == 'layers' else 'none'}]")
    for name in aggregations(study):
        check_aggregation(name, "none", "study.")
    if study["after"] != "none":
        check_aggregation("none", study["after"], "study.")
        if "none" not in aggregations(study) and not study["same_equivariance"]:
            raise UserError(
                f"study.after={study['after']}: averages the spreads of positions, which study.aggregations="
                f"{aggregations(study)} have none of; add none to them, or set study.after=none"
            )
    if study["dtype"] not in DTYPES:
        raise UserError(f"study.dtype={study['dtype']}: {suggestion(str(study['dtype']), DTYPES)}")
    for name in study["measures"]:
        if name not in MEASURES:
            raise UserError(f"study.measures: no '{name}'; {suggestion(str(name), MEASURES)}")
    count = study["images_per_class"]
    if count is not None and (type(count) is not int or count < 2):
        raise UserError(f"study.images_per_class={count}: give a whole number from 2, or null for all")
    for key, least in LEAST.items():
        if type(study[key]) is not int or study[key] < least:
            raise UserError(f"study.{key}={study[key]}: give a whole number from {least}")
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


def setups_of(study: Mapping[str, Any]) -> dict[str, Setup]:
    """Way of measuring -> how its passes are made."""
    setups = {aggregation: setup_of(study, aggregation) for aggregation in aggregations(study)}
    if study["same_equivariance"]:
        setups[EQUIVARIANCE] = setup_of(study, "none", same_equivariance=True)
    return setups


def rehearse(subject: Subject, images: ImageSet, transformations: TransformationSet, study: Mapping[str, Any]) -> None:
    """Refuse with a network of random weights what the trained one would be refused for.

    Raises:
        UserError: patterns fit no layer, the transformation does not fit the images, the memory is too small, or an
            answer depends on the rest of the batch.
    """
    for setup in setups_of(study).values():
        examination = Examination(subject.model, images.images, transformations, subject.normalise_values, setup)
        groups_of_members(examination, len(images.labels.unique()))


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
    found = {}
    device = next(subject.model.parameters()).device
    pictures, labels = images.images.to(device), images.labels.to(device)
    setups = setups_of(study)
    with session.stage(f"{name}: activations", len(images) * len(setups)) as advance:
        for way, setup in setups.items():
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
    with session.stage(f"{name}: accuracy"):
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


def untrained_like(subject: Subject, images: ImageSet, config: Mapping[str, Any], session: Session) -> Subject | None:
    """The same architecture with random weights, or None where it is made of other networks.

    Its batch norms have the statistics of these images: with those of no image at all, mean 0 and variance 1, most
    units of some networks are dead, and the baseline would be one of badly scaled maps.
    """
    if (name := subject.architecture["name"]) in (PATCHED, COMPOSED):
        session.event(f"study.untrained=true: a {name} network is made of trained ones; there is no untrained baseline")
        return None
    seed_everything("untrained", config["seed"])
    model = rebuild(subject.architecture, subject.kept)
    model.to(device := device_of(config["device"])).eval()
    recalibrate(model, subject.normalise(images.images[:RECALIBRATED].to(device)))
    return replace(subject, model=model, lineage=())
