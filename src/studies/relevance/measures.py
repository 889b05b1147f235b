"""All maps of one network, and what each check says of each of them, image by image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from src.artifacts.network import untrained_like
from src.core.errors import UserError
from src.core.shown import Shown
from src.data.image_set import ImageSet
from src.imageops.edges import dilated, outlines
from src.methods.locality.perturbations import Perturbation, perturb
from src.methods.relevance.attribution import Relevance, attribute, check_lrp
from src.methods.relevance.completeness import completeness
from src.methods.relevance.controls import (
    blurred_map,
    centre_map,
    other_images,
    random_map,
    sobel_map,
    uniform_map,
)
from src.methods.relevance.edge_overlap import EdgeOverlap, Sign, circular_shifts, edge_overlap
from src.methods.relevance.localisation import outline_share, pointing_game, rank_accuracy, relevance_mass
from src.methods.relevance.methods import Method
from src.methods.relevance.randomisation import Order, Step, randomisation, rise_of_complexity
from src.methods.relevance.removal import Removal, removal
from src.networks.activations import predict
from src.networks.subjects import Subject
from src.report.words import pretty
from src.studies.protocol import Run
from src.studies.relevance.options import EXACT, LABELLED, PREDICTED, Options

NETWORK, OTHER, UNTRAINED, BLURRED = "the network", "another image", "an untrained network", "the map, blurred"
#: maps that know no network, and how they are called
CONTROLS = {"uniform": "the same everywhere", "random": "random order", "sobel": "Sobel edges", "centre": "the middle"}
ORDERS: tuple[Order, ...] = ("top_down", "bottom_up")


@dataclass(frozen=True)
class MapName:
    """Whose map it is: a method's, of what; or a control that knows no network, of nothing."""

    method: str
    of: str = ""

    @property
    def said(self) -> str:
        """For people: LRP z+."""
        return CONTROLS.get(self.method) or pretty(self.method)


@dataclass(frozen=True)
class Maps(Shown):
    """What a network is asked, and the maps that come back.

    Attributes:
        images: with their labels and masks, on the network's device.
        targets: int64 (n,), the class that is explained.
        others: int64 (n,), for each image the one whose map and edges are its control.
        right: bool (n,), whether the network names the true class.
        edges: bool (n, H, W), not widened.
        maps: of each method and of each control, float32 (n, H, W).
        relevance: method -> its maps with what they add up to.
    """

    images: ImageSet
    targets: Tensor
    others: Tensor
    right: Tensor
    edges: Tensor
    maps: Mapping[MapName, Tensor]
    relevance: Mapping[str, Relevance]


@dataclass(frozen=True)
class Checked(Shown):
    """What the checks say.

    Attributes:
        values: check -> map -> float64 (n,), NaN where it is not defined.
        removals: map -> curves, of a single map each (k = 1).
        overlaps: method -> sign -> overlap with edges.
        steps: method -> order -> the course of randomisation.
    """

    values: Mapping[str, Mapping[MapName, Tensor]]
    removals: Mapping[MapName, Removal]
    overlaps: Mapping[str, Mapping[Sign, EdgeOverlap]]
    steps: Mapping[str, Mapping[Order, Sequence[Step]]]


def methods_of(options: Options) -> list[Method]:
    """With their parameters."""
    return [
        Method(name, input_rule=options.input_rule, biases=options.biases) if name.startswith("lrp_") else Method(name)
        for name in options.methods
    ]


def maps_of(subject: Subject, images: ImageSet, options: Options, run: Run) -> Maps:
    """Explain the images by every method, and make the controls.

    Raises:
        UserError: a method cannot explain this network, or the target is none of its classes.
    """
    if any(method.layer_wise for method in methods_of(options)):
        check_lrp(subject.model, subject.input_shape, subject.architecture["name"])  # before the others are computed
    device = next(subject.model.parameters()).device
    images = replace(
        images, images=images.images.to(device), labels=images.labels.to(device),
        masks=None if images.masks is None else images.masks.to(device),
    )  # fmt: skip
    logits = predict(subject.model, subject.normalise(images.images), options.batch)
    answers = logits.argmax(1)
    targets = _targets(options.target, subject, images.labels, answers)
    untrained = untrained_like(subject, images, run.seed, run.session)
    others = other_images(images.labels, run.seed)
    maps: dict[MapName, Tensor] = {}
    relevance: dict[str, Relevance] = {}
    with run.session.stage("maps", len(options.methods)) as advance:
        for method in methods_of(options):
            explained = attribute(subject, images.images, targets, method, options.batch)
            relevance[method.name] = explained
            maps[MapName(method.name, NETWORK)] = explained.maps
            maps[MapName(method.name, OTHER)] = explained.maps[others]
            if untrained is not None:
                unlearned = attribute(untrained, images.images, targets, method, options.batch)
                maps[MapName(method.name, UNTRAINED)] = unlearned.maps
            maps[MapName(method.name, BLURRED)] = blurred_map(explained.maps)
            advance()
    knowing_nothing = (uniform_map(images.images), random_map(images.images, run.seed, 0), sobel_map(images.images),
                       centre_map(images.images))  # fmt: skip
    maps |= {MapName(name): values for name, values in zip(CONTROLS, knowing_nothing, strict=True)}
    edged = perturb(images.images, Perturbation(options.edges.name, options.edges.level), images.masks)
    return Maps(images, targets, others, answers == images.labels, (edged > 127).any(1), maps, relevance)


def checked(subject: Subject, maps: Maps, options: Options, run: Run) -> Checked:
    """Hold all maps against what each check asks."""
    values: dict[str, dict[MapName, Tensor]] = {}

    def put(check: str, name: MapName, each: Tensor) -> None:
        values.setdefault(check, {})[name] = each

    for method, explained in maps.relevance.items():
        put("incomplete", MapName(method, NETWORK), completeness(explained.total, explained.start).error)
    removals = _removals(subject, maps, options, run)
    for name, curves in removals.items():
        put("removal", name, curves.area.mean(0))  # of random orders the mean
    masks = None if maps.images.masks is None else maps.images.masks.bool()
    exact = outlines(masks) if masks is not None and options.edges.name == EXACT else None
    edges = dilated(maps.edges, options.tolerance)
    for name, each in maps.maps.items():
        if masks is not None:
            put("mass", name, relevance_mass(each, masks))
            put("rank_accuracy", name, rank_accuracy(each, masks))
            put("pointing", name, pointing_game(each, masks))
            if exact is not None:
                put("outline", name, outline_share(each, exact, masks))
        put("edge_mass", name, relevance_mass(each, edges))
    height, width = maps.edges.shape[1:]
    shifts = circular_shifts(height, width, options.shifts, run.seed)
    overlaps = {
        method: edge_overlap(explained.maps, edges, maps.others, shifts, options.region)
        for method, explained in maps.relevance.items()
    }
    steps = _randomised(subject, maps, options, run)
    for method, orders in steps.items():
        name, courses = MapName(method, NETWORK), list(orders.values())
        first, last = courses[0][0], courses[0][-1]  # both orders end in the same network
        put("randomised_signed", name, last.signed)
        put("randomised_absolute", name, last.absolute)
        put("complexity_rise", name, rise_of_complexity(first, last))
    return Checked(values, removals, overlaps, steps)


def _targets(wanted: int | str, subject: Subject, labels: Tensor, answers: Tensor) -> Tensor:
    if wanted == PREDICTED:
        return answers
    if wanted == LABELLED:
        return labels
    number = subject.classes.index(wanted) if wanted in subject.classes else wanted
    if not isinstance(number, int) or not 0 <= number < len(subject.classes):
        raise UserError(
            f"study.target={wanted}: allowed are {PREDICTED}, {LABELLED}, a class's name, or a number from 0 to "
            f"{len(subject.classes) - 1}"
        )
    return torch.full_like(labels, number)


def _removals(subject: Subject, maps: Maps, options: Options, run: Run) -> dict[MapName, Removal]:
    """Of each map; of random orders all draws in one."""
    if not options.removal:
        return {}
    images = maps.images.images

    def answer(some: Tensor) -> Tensor:
        return predict(subject.model, subject.normalise(some), len(some))

    named = {name: each[None] for name, each in maps.maps.items() if name.method != "uniform"}  # all its pixels tie
    draws = [random_map(images, run.seed, draw) for draw in range(options.random_orders)]
    named[MapName("random")] = torch.stack(draws)
    with run.session.stage("removal"):
        whole = removal(answer, images, maps.targets, torch.cat([*named.values()]), seed=run.seed,
                        shares=options.removal, batch=options.batch)  # fmt: skip
    counts = [len(stack) for stack in named.values()]
    curves = (each.split(counts) for each in (whole.most, whole.least, whole.most_right, whole.least_right))
    return {name: Removal(whole.shares, *part) for name, *part in zip(named, *curves, strict=True)}


def _randomised(subject: Subject, maps: Maps, options: Options, run: Run) -> dict[str, dict[Order, list[Step]]]:
    if not options.steps:
        return {}
    courses: dict[str, dict[Order, list[Step]]] = {}
    orders = ORDERS if options.steps > 1 else ORDERS[:1]  # both end in the same network
    with run.session.stage("randomisation", len(maps.relevance) * len(orders)) as advance:
        for method in methods_of(options):

            def again(model: torch.nn.Module, method: Method = method) -> Tensor:
                changed = replace(subject, model=model)
                return attribute(changed, maps.images.images, maps.targets, method, options.batch).maps

            first = maps.relevance[method.name].maps
            for order in orders:
                try:
                    course = list(
                        randomisation(
                            subject.model, again, seed=run.seed, order=order, steps=options.steps, first=first
                        )
                    )
                except UserError as error:  # a check that this network does not allow is no reason to lose the others
                    run.session.event(f"study.steps={options.steps}: randomisation is left out: {error}")
                    return {}
                courses.setdefault(method.name, {})[order] = course
                advance()
    return courses
