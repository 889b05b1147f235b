"""The study of robustness: corrupted images, calibration, images of unknown classes, for any network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from src.artifacts.examined_subject import Examined
from src.artifacts.opening import images_said, picture
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Opening, Panel, Step, Verdict
from src.core.shown import Shown
from src.data.image_set import ImageSet
from src.methods.robustness.corruptions import KIND_OF
from src.report.session import Session
from src.statistics.calibration import fit_temperature
from src.studies.images import chosen_images, fewer_images
from src.studies.protocol import Run
from src.studies.robustness.calibration import Calibration, Detection, calibration, detection
from src.studies.robustness.calibration_panels import CALIBRATION_TERMS, calibration_panels, detection_panels
from src.studies.robustness.corruption import (
    CorruptedImages,
    NetworkRobustness,
    Robustness,
    corrupted_images,
    robustness,
)
from src.studies.robustness.corruption_panels import CORRUPTION_TERMS, corrupted_images_panels, robustness_panels
from src.studies.robustness.options import Options
from src.studies.robustness.published import check_published, published
from src.studies.robustness.shifted import (
    Reader,
    Reference,
    checked,
    in_batches,
    predictor,
    read_reference,
    under_corruption,
)
from src.studies.robustness.unknown_images import check_fitting, check_unknown, fitted, open_unknown

NETWORK, UNFITTED = "network", "without temperature"  # names in tables
UNKNOWN = "study.unknown"  # the key of the images of unknown classes
NEARLY = 0.02  # of confidence and accuracy that are called alike
CHANCE, PARTLY, WELL = 0.5, 0.7, 0.9  # AUROC
TERMS = {
    "auroc_unknown": "AUROC of the network's confidence: known images against those of unknown classes.",
}


@dataclass(frozen=True)
class Findings(Shown):
    """What the study finds of one network.

    Attributes:
        calibration: by name, of the network as it is measured, and before its temperature was fitted.
        robustness: of the network alone.
        sample: None where the corrupted images are published files.
        detection: of images of unknown classes.
        unknown: the name of their source.
        classes: how many the network tells apart.
    """

    calibration: Mapping[str, Calibration]
    robustness: Robustness
    sample: CorruptedImages | None
    detection: Detection
    unknown: str
    classes: int


def check(options: Options, images: ImageSet | None) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: a corruption is unknown, a folder or a file is not there, or the unknown images cannot be opened, are
            of the network's classes or of a shape that cannot be made its own. Where there are no images yet, classes
            and files are compared when the network is there.
    """
    corruptions, severities = checked(options.corruptions, options.severities)
    if options.files is not None:
        check_published(_folder(options.files), corruptions, severities)
    if options.reference is not None:
        read_reference(_folder(options.reference), corruptions, severities)
    _unknown(options, images)
    if images is None:
        return
    read = _reader(options, images)
    if read is not None:
        next(iter(read(corruptions[0], severities[0])))  # whether they are the test images shows in the first ones


def estimate(examined: Examined, options: Options, run: Run) -> Findings:
    """Measure the network on clean, corrupted and unknown images.

    Raises:
        UserError: a reference, files or unknown images do not fit the network; there is nothing to fit a temperature.
    """
    session = run.session
    corruptions, severities = checked(options.corruptions, options.severities)
    reference = _reference(options, session)
    test = fewer_images(examined.test, options.images, session)
    unknown = _unknown(options, test)
    if unknown.shape != test.shape:
        session.event(f"study.unknown: images of {unknown.shape} resized to {test.shape}")
    unknown = fitted(unknown, test.shape, options.batch)
    temperature = _temperature(examined, options, session)
    answer = predictor(examined.subject, temperature)
    device = next(examined.subject.model.parameters()).device
    shifted = under_corruption(
        {NETWORK: answer}, test.images, test.labels, corruptions=corruptions, severities=severities, seed=run.seed,
        batch=options.batch, session=session, device=device, read=_reader(options, examined.test),
    )  # fmt: skip
    with session.stage("tables"):
        clean = in_batches(answer, test.images, options.batch)
        calibrations = {NETWORK: calibration(clean, test.labels)}
        if temperature != 1.0:
            unfitted = in_batches(predictor(examined.subject), test.images, options.batch)
            calibrations[UNFITTED] = calibration(unfitted, test.labels)
        outside = in_batches(answer, unknown.images, options.batch)
        ours = options.files is None
        return Findings(
            calibrations,
            robustness(shifted, reference, resamples=run.resamples, seed=run.seed),
            corrupted_images(test.images, corruptions, severities, seed=run.seed) if ours else None,
            detection(clean, outside, resamples=run.resamples, seed=run.seed),
            str(options.unknown["source"]["name"]),
            len(test.classes),
        )


def opening(options: Options, subject: str, images: str) -> Opening:
    """What the words mean, and what is done."""
    corruptions, severities = checked(options.corruptions, options.severities)
    return Opening(
        f"How well does {subject} cope with damaged and with unknown images ({images})?",
        f"A corruption is a damage such as noise, blur or fog; each of {len(corruptions)} is applied to test images in "
        f"{len(severities)} severities, and the share of right answers is compared with that on clean images. "
        "For scale: all 19 in all severities took a network for CIFAR-100's 100 classes from 53.2 to 36.7% right "
        "(a maxout network of L. Friedrichsen, 2020). "
        "Intervals are over the images of this one network. A network is calibrated if it is right as often as its "
        "confidence (its highest probability) says. Images of "
        f"unknown classes ({images_said(options.unknown)}) ask whether it is less sure where no answer is right.",
        terms=CORRUPTION_TERMS | CALIBRATION_TERMS | TERMS,
    )


def steps(findings: Findings) -> tuple[list[Step], list[Panel]]:
    """Clean against corrupted and against unknown images."""
    network, pictures = findings.robustness.networks[NETWORK], []
    if findings.sample is not None:
        pictures = [picture("step_corrupted", findings.sample.images[:, 0, -1])]
    boxes = [
        Step("→", "clean images",
             f"as they are; confidence off by {100 * findings.calibration[NETWORK].scores.ece:.1f} points (ECE)",
             f"{network.clean_accuracy.value:.1%} right"),
        Step("against", "corrupted images", f"{len(findings.robustness.corruptions)} kinds of damage; "
             f"confidence off by {100 * network.corrupted.ece:.1f} points (ECE)",
             f"{network.corrupted_accuracy.value:.1%} right", "step_corrupted"),
        Step("against", "unknown classes", f"from '{findings.unknown}': how often is it less sure of them than of "
             "clean images? (AUROC; 50% is guessing)",
             f"{findings.detection.auroc_confidence.value:.1%}"),
    ]  # fmt: skip
    return boxes, pictures


def panels(findings: Findings) -> Iterator[Panel]:
    """Corruptions, a few of the images, calibration, unknown classes."""
    yield from robustness_panels(findings.robustness, findings.classes)
    if findings.sample is not None:
        yield from corrupted_images_panels(findings.sample)
    yield from calibration_panels(findings.calibration)
    yield from detection_panels({NETWORK: findings.detection}, f"'{findings.unknown}'")


def verdict(findings: Findings) -> Verdict:
    """Accuracy and calibration error on clean and on corrupted images; mCE where there is a reference."""
    network, clean_ece = findings.robustness.networks[NETWORK], findings.calibration[NETWORK].scores.ece
    metrics = {"corrupted_accuracy": network.corrupted_accuracy, "clean_accuracy": network.clean_accuracy}
    sentence = " ".join(
        [_lost(findings.robustness, network, findings.classes), _sure(network), _told_apart(findings.detection)]
    )
    if network.relative is not None:
        metrics |= {"mce": network.relative.mce}
        sentence += f" mCE {network.relative.mce.value:.1%} of '{findings.robustness.reference}'."
    metrics |= {
        "corrupted_ece": Estimate(network.corrupted.ece),
        "ece": Estimate(clean_ece),
        "auroc_unknown": findings.detection.auroc_confidence,
    }
    if network.relative is not None:
        metrics["relative_mce"] = network.relative.relative_mce
    screen = ("robustness", "severities", "unknown_classes")
    return Verdict(sentence, metrics=metrics, units=dict.fromkeys(metrics, "%"), screen=screen)


def _lost(robustness: Robustness, network: NetworkRobustness, classes: int) -> str:
    """What damage costs, which one costs most, and which groups of them cost most and least."""
    clean, damaged = network.clean_accuracy, network.corrupted_accuracy
    cost = f"{100 * (clean.value - damaged.value):.1f} points"
    said = (
        f"Damage costs {cost if damaged.high < clean.value else f'nothing that {robustness.images} images show'}: "
        f"{clean.value:.1%} of the clean and {damaged.value:.1%} [{damaged.low:.1%}, {damaged.high:.1%}] of the "
        f"damaged images are classified right (guessing: {1 / classes:.1%})"
    )
    kinds: dict[str, list[float]] = {}
    for corruption, accuracy in zip(robustness.corruptions, network.accuracies, strict=True):
        kinds.setdefault(KIND_OF[corruption], []).append(100 * (clean.value - accuracy.value))
    lost = sorted(((fmean(each), kind) for kind, each in kinds.items()), reverse=True)
    if len(lost) > 1:
        most, single = max(
            (100 * (clean.value - accuracy.value), corruption.replace("_", " "))
            for corruption, accuracy in zip(robustness.corruptions, network.accuracies, strict=True)
        )
        said += (
            f". Of single damages {single} costs most ({most:.1f} points); of their groups {lost[0][1]} costs most "
            f"({lost[0][0]:.1f}), {lost[-1][1]} least ({lost[-1][0]:.1f})"
        )
    return f"{said}."


def _sure(network: NetworkRobustness) -> str:
    """Whether its confidence on damaged images is what its share of right answers would allow."""
    confidence, right = network.corrupted.confidence, network.corrupted_accuracy.value
    kind = "about as sure as it is right" if abs(confidence - right) < NEARLY else "too sure"
    kind = "not sure enough" if confidence < right - NEARLY else kind
    error = f"calibration error, ECE: {network.corrupted.ece:.1%}"
    return f"On damaged images it is {kind}: its mean confidence is {confidence:.1%} ({error})."


def _told_apart(detection: Detection) -> str:
    """Whether confidence tells images of unknown classes from known ones."""
    area = detection.auroc_confidence
    if area.high < CHANCE:
        said = "are not told apart: it is surer of them than of known ones"
    elif area.low <= CHANCE:
        said = "are not told apart by its confidence"
    else:
        said = f"are {'well' if area.value >= WELL else 'partly' if area.value >= PARTLY else 'weakly'} told apart"
    return f"Images of unknown classes {said} (AUROC {area.value:.1%}, 50% is guessing)."


def _temperature(examined: Examined, options: Options, session: Session) -> float:
    if options.temperature == "none":
        return 1.0
    images = examined.calibration
    if not len(images):
        raise UserError("study.temperature=fit: the data has no calibration images; set data.splits.calibration=0.1")
    logits = in_batches(predictor(examined.subject), images.images, options.batch)
    temperature = fit_temperature(logits, images.labels)
    session.event(f"study.temperature=fit: logits are divided by {temperature:.3f}, from {len(images)} images")
    return temperature


def _reader(options: Options, test: ImageSet) -> Reader | None:
    if options.files is None:
        return None
    return published(_folder(options.files), test, chosen_images(test, options.images), options.batch)


def _folder(name: str) -> Path:
    return Path(name).expanduser()


def _reference(options: Options, session: Session) -> Reference | None:
    if options.reference is None:
        session.event("study.reference=null: errors are not divided by another network's")
        return None
    return read_reference(_folder(options.reference), *checked(options.corruptions, options.severities))


def _unknown(options: Options, images: ImageSet | None) -> ImageSet:
    """Images of none of the classes; where the known ones are there, of a shape that can be made theirs."""
    unknown = open_unknown(options.unknown, UNKNOWN)
    if images is not None:
        check_unknown(unknown, images.classes, UNKNOWN)
        check_fitting(unknown, images.shape, UNKNOWN)
    return unknown
