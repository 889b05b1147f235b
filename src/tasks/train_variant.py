"""``task=train_variant``: one distribution of VGG's features over its layers (Mundt et al. 2018, arXiv:1812.05836)."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from src.artifacts.artifacts import Artifacts
from src.artifacts.learners import variant_of
from src.artifacts.network import Trained
from src.artifacts.opening import images_said, with_guessing
from src.artifacts.trained import no_verdict, trained, training_panels, training_steps
from src.core.estimate import Estimate
from src.core.files import write_atomically
from src.core.result import Figure, Opening, Panel, Result, Verdict
from src.methods.widths.variants import BASELINE, Variant, paper_parameters
from src.networks.activations import predict
from src.networks.cost import cost
from src.networks.memory.planning import saved_bytes
from src.networks.models import build
from src.statistics.bootstrap import proportion
from src.tasks.options import TrainVariant

CSV = "architecture.csv"
TERMS = {
    "test_accuracy": "Share of the test images that are classified right; they were used for nothing else.",
    "validation_accuracy": "Accuracy on the images that chose the epoch, and so somewhat too high.",
    "train_accuracy": "Accuracy on the images that it learned from; far above that of the test: learned by heart.",
    "widths": "Features of each layer, from the first to the last.",
    "location": "The layer that a variant's features gather around, counted from 0 (first).",
    "scale": "How widely they spread around it, in layers.",
    "skew": "To which side they spread: above 0 towards later layers.",
}


def train_variant(options: TrainVariant, artifacts: Artifacts) -> Result:
    """Train one variant (or find it in the artifacts.store) and say what it costs and how well it does."""
    recipe = options.recipe
    if recipe["features"] < 1:
        artifacts.session.event(
            f"VGG and its variants at {recipe['features']:g} of their features, at least 2 per layer"
        )
    result = Result("train_variant", artifacts.running.name)
    result.opening = Opening(
        f"Does VGG classify {images_said(recipe['data'])} better with its features in other layers?",
        "VGG is a network whose layers have more and more features (filters) with depth. Does that order matter? A "
        "variant spreads about as many features over the same layers along another curve (a skew normal distribution); "
        "the baseline is VGG as published. Early features cost more multiply-adds, for their maps are larger. Each job "
        "trains one of them and tests it on images that it has never seen.",
        terms=TERMS,
    )
    network = trained(recipe, artifacts, role="network", where="recipe")
    variant = variant_of(recipe, network.data)
    epoch = network.history[network.epoch]
    images, labels = network.data.tensor("test")
    with artifacts.session.stage("test"):
        right = int((predict(network.subject.model, images).argmax(1) == labels).sum())
    held_out = len(network.data.sets["validation"])
    metrics = {
        "test_accuracy": proportion(right, len(labels), unit="images"),
        "validation_accuracy": proportion(round(epoch["val/accuracy"] * held_out), held_out, unit="images"),
        "train_accuracy": Estimate(epoch["train/accuracy"]),
    }
    row = _row(options, variant, network)
    sentence = f"{metrics['test_accuracy'].value:.1%} of the test images are classified right"
    if row["skipped"]:
        sentence = f"ended after the first cycle with {epoch['train/accuracy']:.1%} of the training images right"
    verdict = Verdict(sentence, metrics=metrics, units=dict.fromkeys(metrics, "%"), row=row)
    if network.no_number:
        verdict = no_verdict("the variant", network, verdict)
    elif variant.name == BASELINE and not network.converged and not row["skipped"]:  # else any accuracy is a finding
        verdict = no_verdict("the baseline", network, verdict)
    result.uses.append(network.digest)
    steps, pictures = training_steps(network, metrics["test_accuracy"].value)
    result.opening = replace(with_guessing(result.opening, "test_accuracy", len(network.data.classes)), steps=steps)
    result.add(_widths(variant), *training_panels({"network": network}), *pictures)
    result.conclude(verdict)
    write_atomically(artifacts.session.folder / CSV, original_csv(variant, network, recipe["depth"]))
    return result


def _widths(variant: Variant) -> Panel:
    """How its features lie over the layers."""
    rows = [{"layer": str(layer), "features": width} for layer, width in enumerate(variant.widths, 1)]
    figure = Figure("bars", "widths", "Features of each layer", f"Variant {variant.name}.", x="layer", y="features")
    return Panel("", "widths", rows, "From the first layer to the last hidden one.", figures=[figure])


def _row(options: TrainVariant, variant: Variant, network: Trained) -> dict[str, Any]:
    """What a table over all variants says of this one."""
    recipe, subject = options.recipe, network.subject
    # dead channels that pad the widths are no part of the variant
    variant_cost = cost(build({**subject.architecture, "pad_widths": 1}), subject.input_shape)
    widths = variant.widths
    return {
        "variant": variant.name,
        "seed": options.seed,
        "data": _data_name(recipe, network),
        "protocol": "test" if recipe["data"]["splits"]["validation"] == "test" else "held out",
        "architecture": "-".join(map(str, widths)),
        "location": variant.location,
        "scale": variant.scale,
        "skew": variant.skew,
        "widths": list(widths),
        "mean_layer": sum(layer * width for layer, width in enumerate(widths)) / sum(widths),
        "minimum_width": min(widths),
        "full_minimum_width": min(variant_of(recipe, network.data, 1.0).widths),
        "parameters": variant_cost.parameters,
        "macs": variant_cost.macs,
        "fp32_activation_bytes": saved_bytes(
            widths, network.data.batch_size, subject.input_shape, len(subject.classes)
        ),
        "training_seconds": network.seconds,
        "ghost_batch": recipe["training"]["ghost_batch"],
        **network.how,
        "best_epoch": network.epoch,
        "skipped": bool(network.history[-1].get("skipped")),
    }


def _data_name(recipe: Mapping[str, Any], network: Trained) -> str:
    """What was trained on, in words: the source, or whose names its classes have, and the images' side."""
    source = recipe["data"]["source"]
    return f"{source.get('names') or source['name']} {network.data.input_shape[1]} px"


def original_csv(variant: Variant, network: Trained, depth: int) -> str:
    """The row of the original's table, with its column names; accuracies in percent, the best epoch counted from 0."""
    train, held_out = ([100 * row[f"{part}/accuracy"] for row in network.history] for part in ("train", "val"))
    values = {
        "": 0,
        "Filters": list(variant.widths),
        "Parameters": paper_parameters(variant.widths, depth, len(network.data.classes)),
        "Mean": variant.location,
        "Variance": variant.scale,
        "Skew": variant.skew,
        "BestVal": held_out[network.epoch],
        "BestValsTrain": train[network.epoch],
        "BestEpoch": network.epoch,
        "LastValPrec": held_out[-1],
        "LastTrainPrec": train[-1],
        "AllTrain": train,
        "AllVal": held_out,
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(values)
    writer.writerow("" if value is None else value for value in values.values())
    return text.getvalue()
