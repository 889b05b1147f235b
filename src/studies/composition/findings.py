"""What is found of a modular network beside a monolith, and what it comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from src.artifacts.composed import Networks
from src.artifacts.composition import answers, composed, composition_of, seen_through_views
from src.artifacts.network import log_probabilities
from src.artifacts.trained import did_not_train
from src.core.estimate import Estimate
from src.core.result import Verdict
from src.core.shown import Shown
from src.data.augment import centre
from src.data.datamodule import ImageData
from src.data.streaming import StreamingImages
from src.methods.hierarchy.chaining import fit_chain
from src.methods.hierarchy.composition import RULES, compose, oracle
from src.networks.subjects import Subject
from src.report.session import Session
from src.studies.composition.accuracy import HARD, MONOLITH, Accuracy, accuracy_of_networks, of_rule
from src.studies.composition.cost import Costs, costs_of
from src.studies.composition.errors import Errors, ModuleAnswers, errors_of, metrics_of
from src.studies.composition.learning import Learning, learning_of
from src.studies.composition.options import Compose
from src.studies.composition.routes import RoutedImages, routes_of
from src.studies.images import chosen_images
from src.studies.robustness.calibration import Calibration, Detection, calibration, detection
from src.studies.robustness.corruption import Robustness, robustness
from src.studies.robustness.published import check_published, published
from src.studies.robustness.shifted import Predictor, Reader, checked, predictor, under_corruption
from src.studies.robustness.unknown_images import check_fitting, check_unknown, fitted, open_unknown

SCREEN = ("rules", "networks")  # tables to print


@dataclass(frozen=True)
class Findings(Shown):
    """Of the networks that are examined: the monolith, the composition as configured, and the thesis's hard route.

    Attributes:
        classes, modules: how many there are.
        rule: of the composition as configured.
        accuracy: by name, of every network and rule.
        errors: None where one module decides alone.
        calibration, detection: by name, of the examined networks; ``robustness`` is of the same.
        unknown: the name of the source of the images of unknown classes.
        learning: None where a network left no weights on its way.
        problem: why nothing here means anything, in one sentence; empty where all is well.
    """

    classes: int
    modules: int
    rule: str
    accuracy: Mapping[str, Accuracy]
    errors: Errors | None
    calibration: Mapping[str, Calibration]
    robustness: Robustness
    detection: Mapping[str, Detection]
    unknown: str
    learning: Learning | None
    costs: Costs
    routes: RoutedImages
    problem: str

    @property
    def examined(self) -> tuple[str, ...]:
        return examined_networks(self.rule)


def examined_networks(rule: str) -> tuple[str, ...]:
    """Names of the networks that are looked at closely, where the composition answers by ``rule``."""
    return tuple(dict.fromkeys([MONOLITH, of_rule(rule), HARD]))


def unknown_images(options: Compose, data: ImageData, session: Session) -> Tensor:
    """Test images of another data set, uint8 (m, C, H, W), resized to the networks'.

    Raises:
        UserError: they cannot be opened, are of the networks' classes, or cannot be made squares.
    """
    unknown, shape = open_unknown(options.unknown, "unknown"), data.sets["test"].shape
    check_unknown(unknown, data.classes, "unknown")
    check_fitting(unknown, shape, "unknown")
    if unknown.shape != shape:
        session.event(f"unknown: images of {unknown.shape} resized to {shape}")
    return fitted(unknown, shape, options.shift.batch).images


def check_shift(options: Compose, data: ImageData | None = None) -> None:
    """Refuse corruptions that are not there, before anything trains; with ``data``, also files that are not its own.

    Raises:
        UserError: a corruption is unknown, or a published file is missing or of other images.
    """
    shift = options.shift
    corruptions, severities = checked(shift.corruptions, shift.severities)
    if shift.files is not None:
        check_published(Path(shift.files).expanduser(), corruptions, severities, "shift")
    read = None if data is None else _reader(options, data)
    if read is not None:
        next(iter(read(corruptions[0], severities[0])))  # whether they are the test images shows in the first ones


def _reader(options: Compose, data: ImageData) -> Reader | None:
    """Of published files; those in folders are as large as what the networks take."""
    shift, test = options.shift, data.sets["test"]
    if shift.files is None:
        return None
    folder, chosen = Path(shift.files).expanduser(), chosen_images(test, shift.images)
    return published(folder, test, chosen, shift.batch, side=data.input_shape[1], where="shift")


def estimate(networks: Networks, unknown: Tensor, options: Compose, session: Session) -> Findings:
    """Ask all networks for the test images, for corrupted ones, and for ``unknown`` ones (m, C, H, W)."""
    rule, tree, test = options.composition.rule, networks.tree, networks.data.sets["test"]
    examined, chance = examined_networks(rule), {"resamples": options.resamples, "seed": options.seed}
    modules = _module_answers(networks, session)
    logs = _answers(networks, modules, options, session)
    accuracy = accuracy_of_networks(logs, test.labels, tree, **chance)
    for name, network in accuracy.items():
        if network.collapsed:
            session.event(f"{name}: collapsed, one class takes {network.largest_share:.0%} of its answers")
    errors = errors_of(tree, modules, logs, examined, **chance)
    calibrations = {name: calibration(logs[name], test.labels) for name in examined}
    subjects = _subjects(networks, options)
    corrupted = _robustness(networks, subjects, options, session)
    with session.stage("unknown classes"):
        detections = {
            name: detection(logs[name], log_probabilities(subject, unknown), **chance)
            for name, subject in subjects.items()
        }
    with session.stage("learning"):
        few = test.select(chosen_images(test, options.learning_images))
        learning = learning_of(networks, of_rule(rule), few, options)
    if learning is None:
        session.event(
            "training.keep_every: no weights were kept on the way, so accuracy is not drawn against what training cost"
        )
    predicted = logs[of_rule(rule)].argmax(1)
    return Findings(
        len(tree.classes),
        len(tree.nodes),
        rule,
        accuracy,
        errors,
        calibrations,
        corrupted,
        detections,
        str(options.unknown["source"]["name"]),
        learning,
        _costs(networks, options, session),
        routes_of(tree, modules.test, predicted, test, count=options.single_images, seed=options.seed),
        problem_of(networks),
    )


def problem_of(networks: Networks) -> str:
    """The sentence for the first network that did not train; modules that were trained together are one."""
    parts, whole = networks.modules.modules, networks.modules.whole
    modules = [(f"the module '{node.name}'", part) for node, part in zip(networks.tree.nodes, parts, strict=True)]
    every = [("the monolith", networks.monolith), *(modules if whole is None else [("the network of modules", whole)])]
    return next((did_not_train(who, network) for who, network in every if not network.converged), "")


def verdict(findings: Findings) -> Verdict:
    """How much more the modules get right than the monolith, also with the controls, and what of it the routers do."""
    name = of_rule(findings.rule)
    whole, modular = findings.accuracy[MONOLITH], findings.accuracy[name]
    difference, routing = modular.against_monolith, metrics_of(findings.errors)
    costs, damaged = findings.costs.metrics(), findings.robustness.networks
    metrics = {
        "composed_against_monolith": difference,
        "composed_accuracy": modular.accuracy,
        "monolith_accuracy": whole.accuracy,
        "composed_corrupted_accuracy": damaged[name].corrupted_accuracy,
        "monolith_corrupted_accuracy": damaged[MONOLITH].corrupted_accuracy,
        **({"composed_mce": relative.mce} if (relative := damaged[name].relative) else {}),
        "composed_ece": Estimate(findings.calibration[name].scores.ece),
        "monolith_ece": Estimate(findings.calibration[MONOLITH].scores.ece),
        **costs,
        **routing,
    }
    units = {name: "%" for name in metrics if name not in costs} | {"composed_against_monolith": "points"}
    fallen = [name for name in findings.examined if findings.accuracy[name].collapsed]
    problem = findings.problem
    if fallen and not problem:
        problem = f"{', '.join(fallen)} collapsed to one class; train longer or with another optim"
    if problem:
        return Verdict(problem, "no verdict", metrics, units, screen=SCREEN)
    sentence = (
        f"{findings.modules} modules composed ({findings.rule}) classify {modular.accuracy.value:.1%} of "
        f"the test images right, the monolith {whole.accuracy.value:.1%}: {_points(difference)} (95%, over the test "
        f"images of one training) with {findings.costs.stored_parameters_ratio:.2f} times its parameters."
    )
    controls = {
        f"random tree, {'hard' if name == HARD else 'soft'}": "classes dealt to superclasses at random",
        "modules, oracle routing": "routers that are always right "
        f"(the monolith, too, has to find the superclass: {whole.superclass_accuracy:.1%} right)",
    }
    compared = [f"{_points(findings.accuracy[control].against_monolith)} with {words} ({control})"
                for control, words in controls.items() if control in findings.accuracy]  # fmt: skip
    if compared:
        sentence += f" For comparison: {'; '.join(compared)}."
    if routing:
        share = routing["router_share"]
        sentence += (
            " Where each image goes one way alone (hard), accuracy is a product, right superclass times right class "
            f"within it: of what its logarithm loses against the monolith's, the routers make {share.value:.0%} "
            f"[{share.low:.0%}, {share.high:.0%}] and the experts the rest."
        )
    return Verdict(sentence, metrics=metrics, units=units, screen=SCREEN)


def _points(difference: Estimate) -> str:
    value, low, high = (100 * number for number in difference[:3])
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def _module_answers(networks: Networks, session: Session) -> ModuleAnswers:
    """What every module says of all images, also of those that would not reach it."""
    test, held_out = networks.data.sets["test"], networks.data.sets["validation"]
    with session.stage("modules: answers"):
        of_test, of_held_out = (answers(networks.composed, part.images) for part in (test, held_out))
    return ModuleAnswers(of_test, test.labels, of_held_out, held_out.labels)


def _answers(networks: Networks, modules: ModuleAnswers, options: Compose, session: Session) -> dict[str, Tensor]:
    """Log-probabilities (n, N) of all test images by every network and rule."""
    tree, images = networks.tree, networks.data.sets["test"].images
    with session.stage("composition"):
        whole = seen_through_views(options, networks.monolith, networks.data)
        logs = {MONOLITH: log_probabilities(whole, images)}
        for rule in RULES:
            logs[of_rule(rule)] = compose(tree, modules.test, replace(networks.composition, rule=rule))
        chain = fit_chain(tree, modules.held_out, modules.held_out_labels)
        logs["modules, chaining"] = chain(modules.test)
        logs["modules, oracle routing"] = oracle(tree, modules.test, modules.labels)
        if networks.control is not None:
            composition = composition_of(options, networks.control)
            control = composed(options, networks.control, networks.data, replace(composition, rule="soft"))
            of_control = answers(control, images)
            for rule in ("soft", "hard"):
                logs[f"random tree, {rule}"] = compose(
                    networks.control.tree, of_control, replace(composition, rule=rule)
                )
    return logs


def _subjects(networks: Networks, options: Compose) -> dict[str, Subject]:
    """The networks that are examined, by name."""
    name = of_rule(options.composition.rule)
    subjects = {MONOLITH: seen_through_views(options, networks.monolith, networks.data), name: networks.composed}
    return subjects if name == HARD else {**subjects, HARD: _ruled(networks, "hard", options)}


def _ruled(networks: Networks, rule: str, options: Compose) -> Subject:
    return composed(options, networks.modules, networks.data, replace(networks.composition, rule=rule))


def _robustness(networks: Networks, subjects: Mapping[str, Subject], options: Compose, session: Session) -> Robustness:
    """Corrupted images, seen by all; errors are divided by the monolith's."""
    shift, test = options.shift, networks.data.sets["test"]
    seen = test.select(chosen_images(test, shift.images))
    if len(seen) < len(test):
        session.event(f"shift.images={len(seen)}: of {len(test)} test images were corrupted")
    predictors = {name: predictor(subject) for name, subject in subjects.items()}
    if shift.files is not None:
        session.event(f"shift.files={shift.files}: corrupted images as they were published there")
        if isinstance(networks.data, StreamingImages) and networks.data.input_shape != test.shape:
            side = networks.data.input_shape[1]
            session.event(f"shift.files: of the clean images, too, the networks see the middle {side} pixels alone")
            predictors = {name: _of_the_middle(subject, side) for name, subject in subjects.items()}
    shifted = under_corruption(
        predictors,
        seen.images,
        seen.labels,
        corruptions=shift.corruptions,
        severities=shift.severities,
        seed=options.seed,
        batch=shift.batch,
        session=session,
        device=next(networks.composed.model.parameters()).device,
        read=_reader(options, networks.data),
    )
    return robustness(shifted, shifted.reference(MONOLITH), resamples=options.resamples, seed=options.seed)


def _of_the_middle(subject: Subject, side: int) -> Predictor:
    """Answers to squares of ``side`` pixels in the middle of images, where the subject takes several crops."""
    shape = [subject.architecture["input_shape"][0], side, side]
    predict = predictor(replace(subject, architecture={**subject.architecture, "input_shape": shape}))
    return lambda images: predict(centre(images, side))


def _costs(networks: Networks, options: Compose, session: Session) -> Costs:
    hard, soft = (_ruled(networks, rule, options) for rule in ("hard", "soft"))
    whole = seen_through_views(options, networks.monolith, networks.data)
    test = networks.data.sets["test"]
    images = test.images[chosen_images(test, options.latency_images)].to("cpu")
    with session.stage("cost"):
        return costs_of(networks.modules, networks.monolith, whole, hard, soft, images)
