"""Trained networks: from the store, or trained now."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from safetensors.torch import save_file
from torch import nn

from src.artifacts.artifacts import Artifacts
from src.artifacts.learners import architecture_of, early_skips, learner_name, learner_of, training_of
from src.artifacts.memory_plan import fitted_to_memory
from src.artifacts.network import SELECT, Trained, select_epoch
from src.artifacts.opening import network_said, picture, sample
from src.artifacts.options import ENTRY_VERSIONS, MemoryOptions
from src.artifacts.warm_start import warm_start
from src.core.code import code_digest
from src.core.errors import UserError, suggestion
from src.core.redaction import redacted
from src.core.result import TRAINING, Figure, Panel, Result, Step, Verdict
from src.core.store import Entry, Key, Store, digest_of
from src.data.datamodule import ImageData
from src.data.opening import data_of
from src.networks.subjects import Subject, load_subject, save_description
from src.networks.weights import digest_of_weights
from src.report.session import Session
from src.training.checkpoints import events_of, rank_of, read_history
from src.training.course import read_course
from src.training.determinism import device_of, seed_everything
from src.training.fitting import Training, VariantTraining, fit
from src.training.freezing import TrainOnly
from src.training.learners.stepping import Stepping
from src.training.optimisation import build_optimizer

CLASSES_OF = ("train", "validation", "calibration", "test")
"""Parts whose images are counted by class."""

MOST_SAMPLES = 3  # pictures of networks' images on a page


def trained(
    recipe: Mapping[str, Any],
    artifacts: Artifacts,
    *,
    role: str,
    where: str = "",
    data: ImageData | None = None,
    start: Subject | None = None,
    memory: MemoryOptions | None = None,
) -> Trained:
    """The network of ``recipe``, from the store or trained now.

    Args:
        recipe: ``data``, ``model``, ``optim``, ``training``, ``select`` (which epoch's weights), ``seed``.
        role: what the network is called on the screen and in the tables (``strong``, ``weak``).
        where: key of the recipe in the configuration, for messages; by default the role.
        data: the images where they are loaded already, or others than the recipe's.
        start: the network whose weights the training begins with, instead of random ones.
        memory: what may be done so that the training fits; None: nothing.

    Raises:
        UserError: a part of the recipe is wrong, or the model cannot take the images.
    """
    device = device_of(artifacts.running.device)
    where = where or role
    training = training_of(recipe, where)
    if data is None:
        data = images_of(recipe, artifacts.session, role, where)
    if len(data.classes) < 2:
        raise UserError(f"{where}.data: all images are of the class '{data.classes[0]}'; it takes at least two classes")
    if recipe["model"].get("width", 1) < 1:
        artifacts.session.event(
            f"{where}: {recipe['model']['name']} at {recipe['model']['width']:g} of its published width"
        )
    architecture = architecture_of(recipe, data)
    training, passes = fitted_to_memory(architecture, data, training, memory, device=device, artifacts=artifacts)
    code = code_digest(str(recipe["model"]["name"]))
    key = Key(
        "checkpoint",
        {
            **{name: recipe[name] for name in ("model", "optim", "seed")},
            **_variant_part(recipe, architecture, where),
            "training": _training_part(recipe, training),
            "images": data.digest(),
            **({"code": code} if code else {}),
            **({"start": [*start.lineage, digest_of_weights(start.model)]} if start else {}),
            **artifacts.callbacks.recipe,
        },
        ENTRY_VERSIONS["checkpoint"],
        start.lineage if start else (),
    )

    def build(folder: Path) -> dict[str, Any]:
        # modules of one tree begin with weights of their own
        names = data.classes if learner_name(recipe, where) == "modular" else ()
        seed_everything("weights", recipe["seed"], *names)
        learner = learner_of(recipe, architecture, data, training, passes, where=where)
        callbacks: list[Callback] = [*early_skips(recipe, training, len(data.classes), where)]
        if start is not None:
            warm_start(learner.model, data.classes, start)
        if training.train_only is not None:
            callbacks.append(TrainOnly(learner.model, training.train_only))
        variant = isinstance(training, VariantTraining)
        trainer = artifacts.running.trainer
        notes = fitted(
            learner, data, training, folder, artifacts, seed=recipe["seed"], stage=f"{role}: training", series=role,
            callbacks=callbacks, keep_last=not variant, devices=trainer.devices if variant and trainer else 1,
        )  # fmt: skip
        save_file(data.split_indices, folder / "split.safetensors")
        normalisation = tuple(data.mean), tuple(data.std)
        subject = Subject(learner.model, architecture, data.classes, *normalisation, contrast=data.contrast)
        save_description(subject, folder)
        return notes | {"how": {"precision": training.precision, **asdict(passes)}}

    if code and artifacts.store.find(key) is None and _trained_by_other_code(key, artifacts.store):
        name = recipe["model"]["name"]
        artifacts.session.event(f"{where}.model.name={name}: its source has changed; the network is trained anew")
    entry = artifacts.store.make(key, build)
    return trained_network(entry, recipe["select"], data, training, artifacts, role, where, f"{role}: training")


def fitted(
    learner: Stepping,
    data: ImageData,
    training: Training,
    folder: Path,
    artifacts: Artifacts,
    *,
    seed: int,
    stage: str,
    series: str,
    callbacks: Sequence[Callback] = (),
    **more: Any,
) -> dict[str, Any]:
    """Train in a folder of the store; returns the notes of the entry.

    Args:
        stage: what the training is called on the screen.
        series: and in the table of curves.
        callbacks: beside those of the user.
        more: of :func:`src.training.fitting.fit`.
    """
    seconds: list[float] = []
    with artifacts.session.stage(stage, training.epochs) as advance:

        def on_epoch(metrics: dict[str, float]) -> None:
            advance(loss=metrics["train/loss"], accuracy=metrics["val/accuracy"])
            epoch = int(metrics["epoch"])
            artifacts.session.log(series, epoch, metrics, _costs(read_course(folder), epoch))

        try:
            history = fit(
                learner,
                data,
                training,
                folder,
                seed=seed,
                device=device_of(artifacts.running.device),
                on_epoch=on_epoch,
                on_event=artifacts.session.event,
                on_seconds=seconds.append,
                resume_every=artifacts.running.resume_every,
                callbacks=[*callbacks, *artifacts.callbacks.make()],
                **more,
            )
        except MisconfigurationException as error:  # one asks for what this trainer has not, such as a logger
            if not artifacts.callbacks.recipe:
                raise
            raise UserError(f"callbacks: {' '.join(str(error).split())}; leave it out, or write your own") from None
    best = max(range(len(history)), key=lambda epoch: rank_of(history[epoch]))
    images = {part: len(each) for part, each in data.sets.items()}
    return {
        "best_epoch": best,
        "events": events_of(folder),
        "seconds": seconds[0],
        "course": read_course(folder),
        "images": {"classes": len(data.classes), **images},
    }


def trained_network(
    entry: Entry,
    select: str | int,
    data: ImageData,
    training: Training,
    artifacts: Artifacts,
    role: str,
    where: str,
    stage: str,
) -> Trained:
    """The network of a training's entry in the store, as it was after the chosen epoch."""
    history = read_history(entry.folder)
    if not entry.built:
        artifacts.session.found(stage, entry.digest)
        for metrics in history:
            epoch = int(metrics["epoch"])
            artifacts.session.log(role, epoch, metrics, _costs(entry.notes.get("course", ()), epoch))
    for event in entry.notes.get("events", ()):
        artifacts.session.event(f"{role}: {event}")
    if lost := [int(row["epoch"]) for row in history if any(map(math.isnan, row.values()))]:
        artifacts.session.event(
            f"{role}: the loss was no number (NaN) in {len(lost)} of {len(history)} epochs, first in epoch {lost[0]}"
        )
    epoch, name, note = select_epoch(select, history, entry.notes["best_epoch"], where)
    if note:
        artifacts.session.event(f"{role}: {note}")
    path = entry.folder / f"{name}.safetensors"
    if not path.exists():
        raise UserError(
            f"{where}.select={select}: the weights of epoch {epoch} were not kept; set {where}.training.keep_every=1"
        )
    subject = load_subject(path, [entry.digest], code=True)
    subject.model.to(device_of(artifacts.running.device))
    course = history, training, epoch, entry.notes["seconds"], entry.notes.get("how", {})
    return Trained(subject, data, entry.digest, entry.folder, *course)


def _costs(course: Iterable[Mapping[str, float]], epoch: int) -> dict[str, float]:
    """What an epoch cost, nothing where that is not known."""
    row = next((row for row in course if row["epoch"] == epoch), {})
    return {name: value for name, value in row.items() if name != "epoch"}


def _trained_by_other_code(key: Key, store: Store) -> bool:
    """Whether the store has a network of the same recipe that another version of the user's own code has built."""

    def without_code(recipe: Mapping[str, Any]) -> str:
        return digest_of({name: value for name, value in recipe.items() if name != "code"})

    wanted = without_code(redacted(key.recipe))
    return any(entry.kind == key.kind and without_code(entry.manifest["recipe"]) == wanted for entry in store.entries())


def _variant_part(recipe: Mapping[str, Any], architecture: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a checkpoint's key says beside model, optimiser and training; nothing for networks trained as a whole."""
    name = learner_name(recipe, where)
    if name == "monolithic":
        return {}
    if name == "modular":
        return {"learner": name, "learner_version": ENTRY_VERSIONS["module"]}
    return {"learner": name, "learner_version": ENTRY_VERSIONS["variant"], "widths": architecture["widths"]}


def _training_part(recipe: Mapping[str, Any], training: Training) -> dict[str, Any]:
    """What of the training decides the weights; the precision may have been lowered to fit the memory."""
    settings = {name: value for name, value in recipe["training"].items() if name != "minimum_accuracy"}
    return settings | {"precision": training.precision}


def images_of(recipe: Mapping[str, Any], session: Session, role: str, where: str = "") -> ImageData:
    """The recipe's images, loaded and split."""
    data = data_of(recipe["data"], f"{where or role}.data", shuffle_seed=recipe["seed"])
    with session.stage(f"{role}: images"):
        data.setup()
    if not len(data.sets["train"]):
        raise UserError(f"{where or role}.data.source: has test images alone; give images to train on, too")
    if not len(data.sets["validation"]):
        raise UserError(
            f"{where or role}.data.splits.validation: leaves no image to choose epochs by; set it to 0.1 or 20"
        )
    for event in data.events:  # networks that share a source tell what was decided about it once
        session.event(event if event.startswith("data.source") else f"{role}: {event}")
    return data


def check_recipe(recipe: Mapping[str, Any], where: str) -> None:
    """Refuse what needs no image to be refused.

    Raises:
        UserError: training, optimiser or the choice of an epoch is wrong.
    """
    training_of(recipe, where)
    select = recipe["select"]
    if not isinstance(select, int) and select not in SELECT:
        raise UserError(f"{where}.select={select}: {suggestion(str(select), SELECT)}, or the number of an epoch")
    try:
        build_optimizer(recipe["optim"], nn.Linear(1, 1))
    except UserError as error:
        raise UserError(f"{where}.{error}") from None


def did_not_train(who: str, network: Trained) -> str:
    """The sentence that stands in place of a verdict."""
    if network.no_number:
        return (
            f"did not train, no verdict: the loss of {who} is no number (NaN) after epoch {network.epoch}; "
            "lower optim.lr, set training.gradient_clip, or take another training.precision"
        )
    return (
        f"did not train, no verdict: {who} reached {network.accuracy:.1%} on validation images, "
        f"{network.training.minimum_accuracy:.0%} are required; train longer or with another optim"
    )


def stopped(result: Result, stage: str, *digests: str) -> Result:
    """The result of a job that was to go no further than ``stage``."""
    result.uses += digests
    result.verdict = f"stopped after '{stage}', as until={stage} asks; what it made is in the store"
    return result


def no_verdict(who: str, network: Trained, verdict: Verdict | None = None) -> Verdict:
    """The numbers of ``verdict``, with the sentence that there is none: ``who`` did not train."""
    return replace(verdict or Verdict(""), sentence=did_not_train(who, network), kind="no verdict")


def where_trained(verdict: Verdict, networks: Iterable[tuple[str, Trained]]) -> Verdict:
    """``verdict``; without one where a network, by what it is called in a sentence, did not train."""
    unfit = next(((who, network) for who, network in networks if not network.converged), None)
    return verdict if unfit is None else no_verdict(*unfit, verdict)


def training_panels(networks: Mapping[str, Trained]) -> list[Panel]:
    """The learning curves, and how many images of each class the networks have.

    Args:
        networks: by their names in the tables.
    """
    rows = [
        {"network": name, "split": split, "epoch": int(epoch["epoch"]), "loss": epoch[f"{key}/loss"],
         "accuracy": epoch[f"{key}/accuracy"], "curve": f"{name}, {split}"}
        for name, network in networks.items()
        for epoch in network.history
        for split, key in (("train", "train"), ("validation", "val"))
    ]  # fmt: skip
    figure = Figure("lines", "training", "Learning curves", "Accuracy after each epoch.", x="epoch", y="accuracy",
                    group="curve", percent=True)  # fmt: skip
    curves = Panel(TRAINING, "training", rows, units={"accuracy": "%"}, figures=[figure])
    alike: dict[tuple[tuple[Any, ...], ...], list[str]] = {}  # many networks have the same images
    for name, network in networks.items():
        counts = (network.data.sets[part].per_class.tolist() for part in CLASSES_OF)
        alike.setdefault(tuple(zip(network.data.classes, *counts, strict=True)), []).append(name)
    columns = ("network", "class", *CLASSES_OF)
    said = [", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} more" for names in alike.values()]
    classes = [
        dict(zip(columns, (names, *row), strict=True)) for each, names in zip(alike, said, strict=True) for row in each
    ]
    caption = "Images of each class: trained on, chosen epochs by, calibrated by, tested on."
    samples = [
        sample(f"images_{number}", networks[names[0]].data.sets["test"], f"Test images of: {words}", TRAINING)
        for number, (names, words) in enumerate(zip(alike.values(), said, strict=True), 1)
    ]
    table = Panel(TRAINING, "classes", classes, caption, title="Images of each class", folded=True)
    return [curves, *samples[:MOST_SAMPLES], table]


def training_steps(network: Trained, accuracy: float) -> tuple[list[Step], list[Panel]]:
    """The drawing of one training, and its picture; ``accuracy``: on the test images."""
    train, test = network.data.sets["train"], network.data.sets["test"]
    weights, epochs = sum(each.numel() for each in network.subject.model.parameters()), len(network.history)
    steps = [
        Step("", "training images", f"of {len(network.data.classes)} classes", f"{len(train):,} images", "step_train"),
        Step("→", network_said(network.subject), f"{weights:,} parameters, epochs of training: {epochs}",
             f"{network.accuracy:.1%} right on validation images"),
        Step("→", "test images", f"{len(test):,} that it has never seen", f"{accuracy:.1%} right"),
    ]  # fmt: skip
    return steps, [picture("step_train", train.images)]
