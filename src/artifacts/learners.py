"""Which learner trains a recipe's network, on what and how: ``learner: monolithic``, ``modular``, ``width_variant``."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from src.artifacts.memory_plan import Passes
from src.core.errors import UserError, suggestion
from src.core.options import options_of
from src.core.seeds import generators_restored
from src.data.datamodule import ImageData
from src.methods.widths.variants import Variant, find
from src.networks.models import build
from src.networks.models.foreign import check_trainable
from src.training.early_stopping import EarlySkip
from src.training.fitting import Training, VariantTraining
from src.training.learners.modular import Modular
from src.training.learners.monolithic import Monolithic
from src.training.learners.stepping import Stepping
from src.training.learners.width_variant import WidthVariant
from src.training.optimisation import cycle_ends

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
    return options_of(kind, recipe["training"], f"{where}.training")


def architecture_of(recipe: Mapping[str, Any], data: ImageData) -> dict[str, Any]:
    """What :func:`src.networks.models.build` takes; the widths of a variant come from its place in the design."""
    architecture = {**recipe["model"], "classes": len(data.classes), "input_shape": list(data.input_shape)}
    if "variant" in recipe:
        architecture["widths"] = list(variant_of(recipe, data).widths)
    return architecture


def tried(architecture: Mapping[str, Any]) -> nn.Module:
    """The network as it will be trained, without memory for its tensors where it can be built and tried so.

    Raises:
        UserError: it cannot be built, take its images, or be trained on them.
    """
    try:
        with torch.device("meta"):
            network = build(architecture)
        check_trainable(network)
    except (UserError, NotImplementedError):  # some look into values that are not there
        with generators_restored():
            network = build(architecture)
        check_trainable(network)
    return network


def variant_of(recipe: Mapping[str, Any], data: ImageData, features: float | None = None) -> Variant:
    """The recipe's place in the design, at another number of features where given."""
    head = 4096 if max(data.input_shape[1:]) > LARGE else 512  # as in the paper
    size = recipe["features"] if features is None else features
    return find(recipe["variant"], recipe["depth"], size, recipe["integration"], head)


def learner_of(
    recipe: Mapping[str, Any],
    architecture: Mapping[str, Any],
    data: ImageData,
    training: Training,
    passes: Passes,
    *,
    where: str,
) -> Stepping:
    """The recipe's learner with fresh weights, ready to be fitted."""
    optim, common = recipe["optim"], (training.label_smoothing, training.gradient_clip)
    if learner_name(recipe, where) == "monolithic":
        return Monolithic(architecture, optim, *common)
    if not isinstance(training, VariantTraining):
        return Modular(build(architecture), optim, *common)
    if recipe["select"] != "best":
        raise UserError(f"{where}.select={recipe['select']}: of a width variant only the best epoch is kept; take best")
    ghost_batch, micro_batch, recompute = training.ghost_batch, passes.micro_batch, passes.recompute
    return WidthVariant(architecture, optim, data.batch_size, ghost_batch, micro_batch, recompute, *common)


def early_skips(recipe: Mapping[str, Any], training: Training, classes: int, where: str) -> list[EarlySkip]:
    """What ends the training of a variant that has learnt nothing in the first cycle of its schedule."""
    if not isinstance(training, VariantTraining) or training.skip_below is None:
        return []
    schedule = recipe["optim"].get("schedule") or {}
    sgdr = schedule.get("name") == "sgdr"
    ends = cycle_ends(training.epochs, schedule["first"], schedule["factor"]) if sgdr else []
    if not ends:
        raise UserError(
            f"{where}.training.skip_below={training.skip_below}: no cycle ends within {training.epochs} epochs; "
            "set it to null, or take optim sgdr with a shorter first cycle"
        )
    return [EarlySkip(ends[0], training.skip_below, classes)]
