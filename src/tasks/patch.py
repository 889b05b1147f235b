"""``task=patch``: patch a weak network on its target class with a module of a strong one (CNNSplitter, ASE 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from src.artifacts.modules import modules_of, save_modules
from src.artifacts.network import Trained
from src.artifacts.targets import check_target, target_names
from src.artifacts.trained import add_history, did_not_train, images_of, stopped, trained
from src.artifacts.trial import BIAS, PATCHED, WEAK, Trial, all_labelled
from src.core.estimate import Estimate
from src.core.result import Figure, Result
from src.core.store import Store
from src.data.image_set import ImageSet
from src.data.splits import drop_seen
from src.methods.modularity.patch_metrics import METRICS, Comparison, compare
from src.networks.cost import cost
from src.networks.subjects import save_subject
from src.studies.patching.module_panels import add_modules
from src.studies.pictures import contact_sheet

if TYPE_CHECKING:
    from src.report.session import Session

MOST_LOST = 0.01  # accuracy on the other classes that a successful patch may cost


def patch(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train a strong and a weak network, cut the strong one into modules, patch the weak one, and judge the patch."""
    strong_data = images_of(config["strong"], session, "strong")
    check_target(config, strong_data)
    weak_data = images_of(config["weak"], session, "weak")
    names = target_names(config, weak_data, strong_data)
    strong = trained(config["strong"], store, session, role="strong", config=config, data=strong_data)
    result = Result("patch", config["name"], uses=[strong.digest])
    if not strong.converged:
        return _no_verdict(result, "the strong network", strong)
    if config["until"] == "strong":
        return stopped(result, "strong")
    modules = modules_of(config, strong, store, session)
    if config["until"] == "modules":
        return stopped(result, "modules", modules.digest)
    weak = trained(config["weak"], store, session, role="weak", config=config, data=weak_data)
    result.uses += [modules.digest, weak.digest]
    if not weak.converged:
        return _no_verdict(result, "the weak network", weak)
    session.events.extend(_shared_images(strong, weak))
    again = trained(
        {**config["weak"], "select": "last"},
        store,
        session,
        role="weak, retrained",
        config=config,
        data=all_labelled(weak_data, len(names)),
    )
    result.uses.append(again.digest)
    with session.stage("patch: composition and controls") as advance:
        trial = Trial(config, modules, weak, names)
        predictions = trial.predictions(again, advance)
    add_patch(result, trial, predictions)
    with session.stage("modules: test"):
        add_modules(result, modules, config)
    add_history(result, {"strong": strong, "weak": weak})
    result.screen = ["patch", "composition", "modules"]
    save_modules(modules, session.folder)
    save_subject(trial.patched_network(), session.folder / "patched")
    return result


def add_patch(result: Result, trial: Trial, predictions: Mapping[str, Tensor]) -> None:
    """Compare all methods on the test images and judge the patch."""
    config, labels = trial.config, trial.labels
    draws = max(found.shape[0] if found.dim() == 2 else 1 for found in predictions.values())
    many = {name: found.expand(draws, -1) if found.dim() == 1 else found for name, found in predictions.items()}
    several = len(trial.targets) > 1
    rows: list[dict[str, Any]] = []
    sentences, succeeded = [], True
    for target in trial.targets:
        name = trial.weak.data.classes[target]
        found, gains = (
            compare(many, labels, target, reference=reference, resamples=config["resamples"], seed=config["seed"],
                    patched=[other for other in trial.targets if other != target])
            for reference in (WEAK, BIAS)
        )  # fmt: skip
        rows += _rows(found, gains, name if several else "", trial)
        gain, lost = gains.gains[PATCHED]["f1"], found.gains[PATCHED]["other_accuracy"]
        won = gain.low > 0 and lost.value >= -MOST_LOST
        succeeded &= won
        sentences.append(_sentence(name, found, gain, lost, won))
        prefix = f"{name}/" if several else ""
        result.metrics |= {
            f"{prefix}f1_weak": found.estimates[WEAK]["f1"],
            f"{prefix}f1_patched": found.estimates[PATCHED]["f1"],
            f"{prefix}f1_gain_over_tuned_bias": gain,
            f"{prefix}other_accuracy_gain": lost,
        }
    result.verdict, result.verdict_kind = " ".join(sentences), "success" if succeeded else "no success"
    result.tables["patch"] = {key: [row[key] for row in rows] for key in rows[0]}
    weak, strong = trial.weak.subject, trial.modules.strong.subject
    module_macs = sum(trial.modules.costs()[column].macs for column in trial.columns)
    weak_macs, strong_macs = (cost(subject.model, subject.input_shape).macs for subject in (weak, strong))
    result.captions["patch"] = (
        f"On {int((labels == trial.targets[0]).sum())} target and {len(labels)} images in all, none of which trained "
        "or tuned anything; 95% intervals by paired bootstrap. Labelled: target images that a method used to train, "
        "tune or calibrate; classes count alike there, as on the test images. F1 gain: against the tuned bias. "
        "Retrained: on all labelled images, targets repeated until as frequent as the others. Random kernels: as many "
        f"per layer, mean of {draws} draws. Patched costs {weak_macs / 1e6:.2f} M + {module_macs / 1e6:.2f} M "
        f"multiply-adds per image, the strong network {strong_macs / 1e6:.2f} M."
    )
    result.units |= dict.fromkeys(("precision", "recall", "f1", "other_accuracy", "f1_weak", "f1_patched"), "%")
    result.units |= dict.fromkeys(("f1_gain", "f1_gain_over_tuned_bias", "other_accuracy_gain"), "points")
    for value, title in (("f1", "F1 of the target class"), ("other_accuracy", "Accuracy on the other classes")):
        result.figures.append(
            Figure("bars", "patch", title, "With 95% intervals. Everything but 'weak' and 'patched' is a control.",
                   x="method", y=value, group="target" if several else "", percent=True)
        )  # fmt: skip
    _add_pictures(result, trial, predictions)


def _rows(found: Comparison, gains: Comparison, target: str, trial: Trial) -> list[dict[str, Any]]:
    rows = []
    for method, estimates in found.estimates.items():
        row: dict[str, Any] = {"target": target} if target else {}
        row |= {"method": method, "labelled": trial.trained_on if method == WEAK else trial.labelled}
        columns = {metric: estimates[metric] for metric in METRICS} | {"f1_gain": gains.gains[method]["f1"]}
        for column, value in columns.items():
            row |= {column: value.value, f"{column}_low": value.low, f"{column}_high": value.high}
        rows.append(row)
    return rows


def _sentence(name: str, found: Comparison, gain: Estimate, lost: Estimate, won: bool) -> str:
    before, after = found.estimates[WEAK]["f1"].value, found.estimates[PATCHED]["f1"].value
    return (
        f"Patching {'helps' if won else 'does not help'} '{name}': F1 {before:.1%} -> {after:.1%}, "
        f"{_points(gain.value)} [{_points(gain.low)}, {_points(gain.high)}] points against the weak network with a "
        f"tuned bias; accuracy on the other classes {_points(lost.value)} points."
    )


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _add_pictures(result: Result, trial: Trial, predictions: Mapping[str, Tensor]) -> None:
    """What the patch mended and what it broke, as images."""
    before, after = predictions[WEAK] == trial.labels, predictions[PATCHED] == trial.labels
    images = trial.sets["test"].images
    for name, chosen, title in (
        ("mended", ~before & after, "Images that the patch mended"),
        ("broken", before & ~after, "Images that the patch broke"),
    ):
        if bool(chosen.any()):
            result.images[name] = contact_sheet(images[chosen])
            result.figures.append(
                Figure(
                    "image", name, title, f"{int(chosen.sum())} of {len(images)} test images, the first of them shown."
                )
            )


def _shared_images(strong: Trained, weak: Trained) -> list[str]:
    """An event where the strong network was trained on images that calibrate or judge the patch."""
    known = strong.data.sets["train"]
    events = []
    for part in ("validation", "test"):
        images = weak.data.sets[part]
        same = drop_seen(_shape_only(images), _shape_only(known))[1]
        if same:
            events.append(
                f"{same} of the {len(images)} {part} images of the weak network were trained on by the strong one: "
                "its modules know them too well, take others"
            )
    return events


def _shape_only(images: ImageSet) -> ImageSet:
    return replace(images, masks=None, boxes=None, factors=None)


def _no_verdict(result: Result, who: str, network: Trained) -> Result:
    add_history(result, {who.removeprefix("the ").removesuffix(" network"): network})
    result.verdict, result.verdict_kind = did_not_train(who, network), "no verdict"
    return result
