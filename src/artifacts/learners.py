"""Which learner trains a recipe's network, on what and how: ``learner: monolithic``, ``modular``, ``width_variant``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
from torch import nn

from src.artifacts.artifacts import Artifacts
from src.artifacts.memory_plan import Passes
from src.core.configuration import settings
from src.core.errors import UserError, suggestion
from src.data.datamodule import ImageData
from src.data.opening import in_calls
from src.methods.widths.variants import Variant, find
from src.networks.models import build
from src.training.fitting import Training, VariantTraining
from src.training.learners.modular import Modular
from src.training.learners.monolithic import Monolithic
from src.training.learners.width_variant import WidthVariant

LARGE = 100  # pixels above which the published networks have larger hidden layers
LEARNERS = ("monolithic", "modular", "width_variant")


def learner_name(recipe: Mapping[str, Any], where: str) -> str:
    """The recipe's learner; a recipe that names none is trained as a whole.

    Raises:
        UserError: there is no such learner.
    """
    name = str(recipe.get("learner", "monolithic"))
    if name not in LEARNERS:
        raise UserError(f"{where}.learner={name}: no such learner; {suggestion(name, LEARNERS)}")
    return name


def training_of(recipe: Mapping[str, Any], where: str) -> Training:
    """The recipe's ``training`` as its learner understands it."""
    kind = VariantTraining if learner_name(recipe, where) == "width_variant" else Training
    return settings(kind, recipe["training"], f"{where}.training")


def architecture_of(recipe: Mapping[str, Any], data: ImageData) -> dict[str, Any]:
    """What :func:`src.networks.models.build` takes; the widths of a variant come from its place in the design."""
    architecture = {**recipe["model"], "classes": len(data.classes), "input_shape": list(data.input_shape)}
    if "variant" in recipe:
        architecture["widths"] = list(variant_of(recipe, data).widths)
    return architecture


def variant_of(recipe: Mapping[str, Any], data: ImageData, features: float | None = None) -> Variant:
    """The recipe's place in the design, at another number of features where given."""
    head = 4096 if max(data.input_shape[1:]) > LARGE else 512  # as in the paper
    size = recipe["features"] if features is None else features
    return find(recipe["variant"], recipe["depth"], size, recipe["integration"], head)


@dataclass
class Trainee:
    """What :func:`src.training.fitting.fit` takes beside the training: ``learner``, ``data`` and further arguments."""

    learner: pl.LightningModule
    data: pl.LightningDataModule
    training: Training
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        model = self.learner.model
        assert isinstance(model, nn.Module)
        return model


def trainee(
    recipe: Mapping[str, Any],
    architecture: Mapping[str, Any],
    data: ImageData,
    training: Training,
    passes: Passes,
    artifacts: Artifacts,
    *,
    where: str,
) -> Trainee:
    """The recipe's learner with fresh weights, ready to be fitted."""
    if learner_name(recipe, where) == "monolithic":
        learner = Monolithic(architecture, recipe["optim"], training.label_smoothing)
        return Trainee(learner, data, training, {"resume_every": artifacts.running.resume_every})
    if not isinstance(training, VariantTraining):
        module = Modular(
            build(architecture),
            recipe["optim"],
            label_smoothing=training.label_smoothing,
            gradient_clip=training.gradient_clip,
        )
        return Trainee(module, in_calls(data), training, {"resume_every": artifacts.running.resume_every})
    from src.training.early_skip import EarlySkip
    from src.training.sgdr import cycle_ends

    if recipe["select"] != "best":
        raise UserError(f"{where}.select={recipe['select']}: of a width variant only the best epoch is kept; take best")
    variant = WidthVariant(
        architecture,
        recipe["optim"],
        data.batch_size,
        training.ghost_batch,
        passes.micro_batch,
        passes.recompute,
        training.label_smoothing,
        training.gradient_clip,
        artifacts.session.event,
    )
    options: dict[str, Any] = {"resume_every": artifacts.running.resume_every, "keep_last": False}
    options["devices"] = artifacts.running.trainer.devices if artifacts.running.trainer else 1
    if training.skip_below is not None:
        schedule = recipe["optim"].get("schedule") or {}
        sgdr = schedule.get("name") == "sgdr"
        ends = cycle_ends(training.epochs, schedule["first"], schedule["factor"]) if sgdr else []
        if not ends:
            raise UserError(
                f"{where}.training.skip_below={training.skip_below}: no cycle ends within {training.epochs} epochs; "
                "set it to null, or take optim sgdr with a shorter first cycle"
            )
        options["callbacks"] = [EarlySkip(end, training.skip_below, len(data.classes)) for end in ends[:1]]
    return Trainee(variant, in_calls(data, training.ghost_batch), training, options)
