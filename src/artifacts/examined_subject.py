"""The network that a measure examines, wherever it comes from, and the images it is measured on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from src.artifacts.artifacts import Artifacts
from src.artifacts.checkpoint import network_of
from src.artifacts.description import described
from src.artifacts.learners import architecture_of, tried
from src.artifacts.modules import Modules, modules_of, strong_network
from src.artifacts.network import Trained
from src.artifacts.options import (
    CheckpointOptions,
    ComposedOptions,
    ExtractedOptions,
    ImagesOptions,
    PatchedOptions,
    TrainedOptions,
    VariantOptions,
)
from src.artifacts.packaged import SIDES, as_trained, packaged, weights_file
from src.artifacts.pretrained import pretrained, wordnet_numbers
from src.artifacts.trained import did_not_train, images_of, trained
from src.artifacts.trial import Trial, check_target, target_names
from src.core.errors import UserError, suggestion
from src.core.options import options_of
from src.core.seeds import stream
from src.core.shown import Shown
from src.data.class_names import imagenet_classes
from src.data.datamodule import ImageData
from src.data.image_set import ImageSet
from src.data.opening import data_of
from src.methods.modularity.patched import Patch, patched_subject
from src.methods.modularity.patching import module_score, random_kernels
from src.methods.widths.variants import BASELINE
from src.networks.restricted import restricted
from src.networks.subjects import Subject
from src.report.session import Session
from src.statistics.calibration import fit_platt
from src.training.determinism import device_of

SEARCHED, WHOLE = "searched", "all"  # of the kernels of an extracted subject: its modules', or the strong network's


@dataclass
class Examined(Shown):
    """A subject with the images that judge it.

    Attributes:
        subject: its model is in eval mode, on the job's device.
        test: labels are numbers of the subject's classes.
        calibration: images that it was not trained on and that judge nothing; may be empty.
        digests: store entries that it came from.
        problem: why no measure of it would mean anything, in one sentence; empty where all is well.
    """

    subject: Subject
    test: ImageSet
    calibration: ImageSet
    digests: tuple[str, ...] = ()
    problem: str = ""
    networks: dict[str, Trained] = field(default_factory=dict)  # what was trained for it, by role


def subject_of(subject: Mapping[str, Any], options: Any, artifacts: Artifacts) -> Examined:
    """What ``subject["kind"]`` names, from the store or made now.

    Raises:
        UserError: no such kind; a part of its configuration is wrong; its classes are not those of the images.
    """
    kind = str(subject["kind"])
    if kind not in SUBJECT_MAKERS:
        raise UserError(f"subject.kind={kind}: {suggestion(kind, SUBJECT_MAKERS)}; conf/subject shows them whole")
    examined = SUBJECT_MAKERS[kind](subject, options, artifacts)
    examined.subject.model.to(device_of(artifacts.running.device)).eval()
    return examined


#: With which classes a network that comes trained may answer: all of its own, or those that the images are of.
ANSWERS = ("all", "data")

#: kind of subject -> the recipe whose images it is trained and measured on; others come trained
MEASURED_ON = {
    "trained": "recipe",
    "variant": "recipe",
    "extracted": "strong",
    "patched": "weak",
    "composed": "monolith",
}


def images_to_measure(subject: Mapping[str, Any], options: Any) -> ImageSet | None:
    """The images that the subject will be measured on, before it is there; None where only it tells its classes.

    Raises:
        UserError: they cannot be opened.
    """
    where = MEASURED_ON.get(str(subject["kind"]))
    if where is None:
        return None
    data = data_of({**getattr(options, where)["data"], "augment": None}, f"{where}.data")
    data.setup()
    return data.sets["test"]


def _trained(subject: Mapping[str, Any], options: TrainedOptions, artifacts: Artifacts) -> Examined:
    memory = options.memory if isinstance(options, VariantOptions) else None
    network = trained(options.recipe, artifacts, role="network", where="recipe", memory=memory)
    return _examined(network.subject, network.data, {"network": network})


def _variant(subject: Mapping[str, Any], options: VariantOptions, artifacts: Artifacts) -> Examined:
    if options.recipe["features"] < 1:
        artifacts.session.event(f"VGG at {options.recipe['features']:g} of its features, at least 2 per layer")
    examined = _trained(subject, options, artifacts)
    return examined if options.variant == BASELINE else replace(examined, problem="")  # any accuracy is a finding


def _extracted(subject: Mapping[str, Any], options: ExtractedOptions, artifacts: Artifacts) -> Examined:
    kernels = subject.get("kernels", SEARCHED)
    if kernels not in (SEARCHED, WHOLE) and type(kernels) is not int:
        raise UserError(
            f"subject.kernels={kernels}: allowed are {SEARCHED}, {WHOLE}, or the number of a draw of random kernels"
        )
    whole = kernels == WHOLE  # which needs no slice plan
    strong = trained(options.strong, artifacts, role="strong") if whole else strong_network(options, artifacts)
    if not strong.converged or whole:
        return _examined(strong.subject, strong.data, {"strong": strong})
    modules = modules_of(options, strong, artifacts)
    if kernels != SEARCHED:
        generator = stream(options.seed, "random kernels", kernels)
        drawn = [random_kernels(keep, modules.plan.group_index, generator) for keep in modules.keep]
        modules = replace(modules, keep=torch.stack(drawn))
    with artifacts.session.stage("modules: composition"):
        ensemble = module_ensemble(modules, options.module_score)
    return _examined(ensemble, strong.data, {"strong": strong}, (modules.digest,))


def module_ensemble(modules: Modules, score: Any) -> Subject:
    """All modules as one network: a class's output is the logarithm of its module's calibrated probability.

    It is a patched network all of whose classes are patched, so that it is saved and loaded as any other; nothing of
    the strong network's own answer is left.
    """
    strong = modules.strong
    held_out = strong.data.sets["calibration"]
    if not len(held_out):
        raise UserError("strong.data.splits.calibration=0: modules are calibrated on such images; set it to 0.1 or 60")
    subjects = [modules.subject(column) for column in range(len(modules.keep))]
    answers = modules.outputs(held_out)
    patches = [
        Patch.of(column, column, subject.model,
                 fit_platt(module_score(answers[column], column, score), held_out.labels == column), score)
        for column, subject in enumerate(subjects)
    ]  # fmt: skip
    return patched_subject(strong.subject, subjects, patches, temperature=1.0)


def _patched(subject: Mapping[str, Any], options: PatchedOptions, artifacts: Artifacts) -> Examined:
    strong_data = images_of(options.strong, artifacts.session, "strong")
    check_target(options, strong_data)
    weak_data = images_of(options.weak, artifacts.session, "weak")
    names = target_names(options, weak_data, strong_data)
    tried(architecture_of(options.weak, weak_data))
    networks = {"strong": strong_network(options, artifacts, strong_data)}
    if networks["strong"].converged:
        networks["weak"] = trained(options.weak, artifacts, role="weak", data=weak_data)
    *_, last = networks.values()
    if not last.converged:
        return _examined(last.subject, last.data, networks)
    modules = modules_of(options, networks["strong"], artifacts)
    with artifacts.session.stage("patch: composition"):
        patched = Trial(options, modules, networks["weak"], names).patched_network()
    return _examined(patched, weak_data, networks, (modules.digest,))


def _checkpoint(subject: Mapping[str, Any], options: ImagesOptions, artifacts: Artifacts) -> Examined:
    asked = options_of(CheckpointOptions, subject, "subject")
    description = described(asked, Path(artifacts.running.outputs))
    data = _images(options, artifacts.session)
    network, events = network_of(asked, description, lambda: data)
    for event in events:
        artifacts.session.event(event)
    return _foreign(network, subject, data, artifacts.session)


def _pretrained(subject: Mapping[str, Any], options: ImagesOptions, artifacts: Artifacts) -> Examined:
    data = _images(options, artifacts.session)
    if subject["weights"] is None:
        artifacts.session.event("subject.weights=null: random weights by the seed, a control and no trained network")
    return _foreign(pretrained(subject, data.input_shape), subject, data, artifacts.session)


def _packaged(subject: Mapping[str, Any], options: ImagesOptions, artifacts: Artifacts) -> Examined:
    model = str(subject["model"])
    weights_file(model)  # refuses before images are read
    source = as_trained(options.data["source"], model)
    data = _images(replace(options, data={**options.data, "source": source}), artifacts.session)
    side = data.input_shape[1]
    if side != SIDES[model]:
        artifacts.session.event(
            f"data.source.size={side}: {model} was trained on images of {SIDES[model]} pixels; null takes that size"
        )
    return _foreign(packaged(model, data.input_shape), subject, data, artifacts.session)


def _composed(subject: Mapping[str, Any], options: ComposedOptions, artifacts: Artifacts) -> Examined:
    from src.artifacts.composed import composed_of

    network, data, digests = composed_of(options, artifacts)
    return Examined(network, data.sets["test"], _held_out(data), tuple(digests))


#: kind of subject -> what makes it; a file of conf/subject each
SUBJECT_MAKERS: dict[str, Callable[[Mapping[str, Any], Any, Artifacts], Examined]] = {
    "trained": _trained,
    "variant": _variant,
    "patched": _patched,
    "extracted": _extracted,
    "composed": _composed,
    "checkpoint": _checkpoint,
    "torchvision": _pretrained,
    "timm": _pretrained,
    "packaged": _packaged,
}


def _examined(subject: Subject, data: ImageData, networks: Mapping[str, Trained], more: Sequence[str] = ()) -> Examined:
    """Measured on the images of the data that it was made with."""
    problems = [
        did_not_train("the network" if role == "network" else f"the {role} network", network)
        for role, network in networks.items()
        if not network.converged
    ]
    digests = (*(network.digest for network in networks.values()), *more)
    return Examined(subject, data.sets["test"], _held_out(data), digests, "; ".join(problems), dict(networks))


def _foreign(subject: Subject, asked: Mapping[str, Any], data: ImageData, session: Session) -> Examined:
    """Measured on images of our choice, whose classes are found among the subject's by their names.

    Args:
        asked: its section of the configuration; ``answers`` says with which classes it may answer, all or those of the
            data, as ImageNet-A (Hendrycks et al., CVPR 2021, arXiv:1907.07174) wants it.
    """
    answers = str(asked.get("answers", ANSWERS[0]))
    if answers not in ANSWERS:
        raise UserError(f"subject.answers={answers}: allowed are {', '.join(ANSWERS)}")
    if subject.input_shape != data.input_shape:
        raise UserError(
            f"subject: takes images of shape {subject.input_shape}, data.source has {data.input_shape}; "
            f"choose other images by data=..., or set data.source.size={subject.input_shape[1]}"
        )
    numbers = class_numbers(data.classes, subject.classes)
    if answers == "data":
        session.event(
            f"subject.answers=data: it chooses among the images' {len(numbers)} of its {len(subject.classes)} classes"
        )
        subject, numbers = restricted(subject, numbers.tolist()), torch.arange(len(numbers))
    elif len(numbers) < len(subject.classes):
        session.event(
            f"data: images of {len(numbers)} of the network's {len(subject.classes)} classes; it may answer with any"
        )
    test, held_out = (
        replace(images, labels=numbers[images.labels], classes=subject.classes, superclasses=None)
        for images in (data.sets["test"], _held_out(data))
    )
    return Examined(subject, test, held_out, subject.lineage)


def class_numbers(names: Sequence[str], classes: Sequence[str]) -> torch.Tensor:
    """int64 (names,): where each name stands in ``classes``; ImageNet's are also found by their WordNet numbers.

    Raises:
        UserError: a name is none of the classes.
    """
    known = {name: number for number, name in enumerate(classes)}
    if tuple(classes) == imagenet_classes():
        known = {number: place for place, number in enumerate(wordnet_numbers())} | known
    for name in names:
        if name not in known:
            raise UserError(
                f"data: its class '{name}' is none of the network's {len(classes)} ({suggestion(name, classes)[:200]}"
                "); choose the data it was made for (data=...), or some of its classes (data.classes=[...])"
            )
    return torch.tensor([known[name] for name in names])


def _images(options: ImagesOptions, session: Session) -> ImageData:
    data = data_of(options.data, "data")
    with session.stage("images"):
        data.setup()
    for event in data.events:
        session.event(event)
    return data


def _held_out(data: ImageData) -> ImageSet:
    """The calibration images; where the data sets none apart, the validation images."""
    return data.sets["calibration"] if len(data.sets["calibration"]) else data.sets["validation"]
