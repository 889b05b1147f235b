"""The study of robustness: corrupted images, calibration, images of unknown classes, for any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.artifacts.examined_subject import Examined
from src.core.configuration import keywords
from src.core.errors import UserError, suggestion
from src.core.estimate import Estimate
from src.core.result import Result
from src.data.datamodule import ImageData
from src.data.image_set import ImageSet
from src.data.opening import data_module
from src.data.sources.fitting import fit
from src.statistics.calibration import fit_temperature
from src.studies.robustness.calibration_panels import add_calibration, add_out_of_distribution
from src.studies.robustness.panels import add_corruption_sheet, add_robustness
from src.studies.robustness.published import check_published, published
from src.studies.robustness.shifted import (
    Reader,
    Reference,
    checked,
    chosen_images,
    in_batches,
    predictor,
    read_reference,
    under_corruption,
)

if TYPE_CHECKING:
    from src.report.session import Session

NETWORK = "network"  # its name in tables
TEMPERATURES = ("none", "fit")
#: kind of subject -> the recipe whose images it is trained and measured on; others come trained
TRAINED_ON = {
    "trained": "recipe",
    "variant": "recipe",
    "extracted": "strong",
    "patched": "weak",
    "composed": "monolith",
}


def robustness(result: Result, examined: Examined, config: Mapping[str, Any], session: Session) -> None:
    """Add all panels to ``result``. ``config["study"]`` is described in conf/study/robustness.yaml.

    Raises:
        UserError: an option is not allowed; a reference or files do not fit.
    """
    study, seed = config["study"], config["seed"]
    corruptions, severities = checked(study["corruptions"], study["severities"])
    reference = _reference(study, session)
    chosen = chosen_images(examined.test, study["images"])
    test = examined.test.select(chosen)
    if len(test) < len(examined.test):
        session.event(f"study.images={len(test)}: {len(test)} of {len(examined.test)} test images")
    how = {"resamples": config["resamples"], "seed": seed}
    unknown = _unknown(study, test, session)
    temperature = _temperature(examined, study, session)
    answer = predictor(examined.subject, temperature)
    device = next(examined.subject.model.parameters()).device
    shifted = under_corruption(
        {NETWORK: answer}, test.images, test.labels, corruptions=corruptions, severities=severities, seed=seed,
        batch=study["batch"], session=session, device=device, read=_reader(study, examined.test, chosen),
    )  # fmt: skip
    with session.stage("tables"):
        clean = in_batches(answer, test.images, study["batch"])
        add_calibration(result, _both(examined, clean, test, temperature, study), test.labels)
        add_robustness(result, shifted, reference, **how)
        if study["files"] is None:
            add_corruption_sheet(result, test.images, corruptions, severities, seed=seed)
        other = in_batches(answer, unknown.images, study["batch"])
        source = str(study["unknown"]["source"]["name"])
        add_out_of_distribution(result, {NETWORK: (clean, other)}, f"'{source}'", **how)
    _conclude(result, len(test), reference)


def _temperature(examined: Examined, study: Mapping[str, Any], session: Session) -> float:
    if study["temperature"] == "none":
        return 1.0
    images = examined.calibration
    if not len(images):
        raise UserError("study.temperature=fit: the data has no calibration images; set data.splits.calibration=0.1")
    temperature = fit_temperature(in_batches(predictor(examined.subject), images.images, study["batch"]), images.labels)
    session.event(f"study.temperature=fit: logits are divided by {temperature:.3f}, from {len(images)} images")
    return temperature


def _both(
    examined: Examined, answers: Tensor, test: ImageSet, temperature: float, study: Mapping[str, Any]
) -> dict[str, Tensor]:
    """The network as it is measured, and before its temperature was fitted."""
    if temperature == 1.0:
        return {NETWORK: answers}
    before = in_batches(predictor(examined.subject), test.images, study["batch"])
    return {NETWORK: answers, "without temperature": before}


def _reader(study: Mapping[str, Any], test: ImageSet, chosen: Tensor) -> Reader | None:
    return published(_folder(study["files"]), test, chosen, study["batch"]) if study["files"] is not None else None


def _folder(named: Any) -> Path:
    return Path(str(named)).expanduser()


def check(config: Mapping[str, Any]) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: an option is not allowed, a folder or a file is not there, or the unknown images cannot be opened,
            are of the network's classes or of a shape that cannot be made its own. Of a network that is not trained
            for the measure the classes are compared when it is there.
    """
    study = config["study"]
    corruptions, severities = checked(study["corruptions"], study["severities"])
    if study["temperature"] not in TEMPERATURES:
        raise UserError(
            f"study.temperature={study['temperature']}: {suggestion(str(study['temperature']), TEMPERATURES)}"
        )
    if study["files"] is not None:
        check_published(_folder(study["files"]), corruptions, severities)
    if study["reference"] is not None:
        _read(study)
    unknown = _opened(study["unknown"], "study.unknown")
    where = TRAINED_ON.get(str(config["subject"]["kind"]))
    if where is None:
        return
    test = _opened(config[where]["data"], f"{where}.data").sets["test"]
    _check_unknown(unknown, test.classes, test.shape)
    read = _reader(study, test, chosen_images(test, study["images"]))
    if read is not None:
        next(iter(read(corruptions[0], severities[0])))  # whether they are the test images shows in the first ones


def _read(study: Mapping[str, Any]) -> Reference:
    corruptions, severities = checked(study["corruptions"], study["severities"])
    return read_reference(_folder(study["reference"]), corruptions, severities)


def _reference(study: Mapping[str, Any], session: Session) -> Reference | None:
    if study["reference"] is None:
        session.event("study.reference=null: errors are not divided by another network's, there is no mCE")
        return None
    return _read(study)


def _opened(options: Mapping[str, Any], where: str) -> ImageData:
    kind = data_module(options)
    data = kind(**keywords(kind, {**options, "augment": None}, where))
    data.setup()
    return data


def _check_unknown(unknown: ImageData, classes: Sequence[str], shape: tuple[int, int, int]) -> None:
    same = sorted(set(unknown.classes) & set(classes))
    if same:
        raise UserError(
            f"study.unknown: its class '{same[0]}' is one of the network's; leave it out by study.unknown.classes="
            "[...], or take other data by data@study.unknown=..."
        )
    found = unknown.sets["test"].shape
    if found != shape and shape[1] != shape[2]:
        raise UserError(f"study.unknown: images of {found} cannot be made {shape}; take data of that size")


def _unknown(study: Mapping[str, Any], test: ImageSet, session: Session) -> ImageSet:
    """Images of none of the classes, of the size and the colours of the known ones."""
    data = _opened(study["unknown"], "study.unknown")
    _check_unknown(data, test.classes, test.shape)
    found, (channels, height, _) = data.sets["test"], test.shape
    if found.shape == test.shape:
        return found
    session.event(f"study.unknown: images of {found.shape} resized to {test.shape}")
    # some at a time: where they are in files, only what is made of them is held
    parts = [fit(part, height, channels) for part in found.images.split(study["batch"])]
    return ImageSet(torch.cat(parts), found.labels, found.classes)


def _conclude(result: Result, images: int, reference: Reference | None) -> None:
    row = {name: values[0] for name, values in result.tables["robustness"].items()}
    for name in ("clean_accuracy", "corrupted_accuracy", "mce", "relative_mce"):
        if name in row:
            result.metrics[name] = Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], images, "images")
    result.metrics["ece"] = Estimate(result.tables["calibration"]["ece"][0])
    result.metrics["corrupted_ece"] = Estimate(row["corrupted_ece"])
    unknown = {name: values[0] for name, values in result.tables["unknown_classes"].items()}
    result.metrics["auroc_unknown"] = Estimate(*(unknown[f"auroc_confidence{end}"] for end in ("", "_low", "_high")))
    result.units["auroc_unknown"] = "%"
    result.screen = ["robustness", "severities", "unknown_classes"]
    result.verdict = (
        f"{row['clean_accuracy']:.1%} of the clean and {row['corrupted_accuracy']:.1%} of the corrupted images are "
        f"classified right; calibration error {result.metrics['ece'].value:.1%} clean, {row['corrupted_ece']:.1%} "
        f"corrupted"
    )
    if reference is not None:
        result.verdict += f"; mCE {row['mce']:.1%} of '{reference.name}'"
