"""What is shown of networks under transformations: curves over layers, accuracy, units, maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from src.activations import capture, evaluating
from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet, interpolation_error
from src.invariance.intervals import resampled_layer
from src.invariance.variance import LayerVariance, Variances
from src.result import Figure, Result, table_of
from src.statistics import Estimate, Resampled, bootstrap_weights, estimate
from src.tasks.activation_pictures import map_grid, scale_top, unit_field
from src.tasks.invariance_measured import EQUIVARIANCE, Measured, spread_of_images

ACCURACY, LAYERS, UNITS, CONTROLS = "Accuracy", "Layers", "Units", "Controls"
INTERPOLATION = "interpolation alone"
WAYS = {
    "none": "each position of a map is a unit",
    "sum": "maps are summed first",
    "mean": "maps are averaged first",
    "max": "of each map the greatest value",
    EQUIVARIANCE: "maps moved back by the inverse transformation, each position a unit",
}


def add_accuracy(
    result: Result,
    found: Sequence[Measured],
    images: ImageSet,
    transformations: TransformationSet,
    *,
    ambiguous: Sequence[int],
    resamples: int,
    seed: int,
) -> None:
    """Accuracy by transformation, over all of them, by class, and without classes that are turned into each other."""
    weights = bootstrap_weights(len(images), resamples=resamples, seed=seed, strata=images.labels).double()
    weights /= weights.sum(1, keepdim=True)
    rows, cells = [], []
    numeric = all(isinstance(value, float) for value in transformations.values)
    for each in found:
        hits = each.correct.double()
        for column, name in enumerate(transformations.names):
            share = _mean(hits[:, column], weights)
            place = transformations.values[column] if numeric else name
            rows.append({"network": each.name, "transformation": place, **_bounds("accuracy", share)})
            for label, title in enumerate(images.classes):
                own = images.labels == label
                if bool(own.any()):
                    cells.append(
                        {"network": each.name, "class": title, "transformation": name,
                         "accuracy": float(hits[own, column].mean())}
                    )  # fmt: skip
    result.tables["accuracy"] = table_of(rows)
    axis = f"{transformations.family} ({transformations.unit})" if transformations.unit else transformations.family
    result.captions["accuracy"] = f"By {axis}; {len(images)} test images, 95% intervals over images."
    result.figures.append(
        Figure("lines" if numeric else "bars", "accuracy", f"Accuracy under {transformations.family}", axis,
               x="transformation", y="accuracy", group="network", percent=True, section=ACCURACY)
    )  # fmt: skip
    for number, each in enumerate(found):
        name = f"class_accuracy_{number + 1}"
        result.tables[name] = table_of([cell for cell in cells if cell["network"] == each.name])
        result.sections[name] = ACCURACY
        result.figures.append(
            Figure("heatmap", name, f"Accuracy by class: {each.name}", axis, x="transformation", y="class",
                   value="accuracy", percent=True, section=ACCURACY)
        )  # fmt: skip
    result.tables["networks"] = table_of(
        [_network_row(each, images.labels, transformations, weights, ambiguous) for each in found]
    )
    without = ", ".join(images.classes[label] for label in ambiguous)
    result.captions["networks"] = (
        f"Accuracy on {len(images)} test images as they are and over all {len(transformations)} transformations"
        + (f"; without the classes {without}, which the transformation turns into each other" if ambiguous else "")
        + ". NV: spread over transformations as a share of that over images, 0 is invariant; means over layers of the "
        "layers' finite units, and over all units (where wide layers dominate)."
    )


def _network_row(
    each: Measured,
    labels: Tensor,
    transformations: TransformationSet,
    weights: Tensor,
    ambiguous: Sequence[int],
) -> dict[str, Any]:
    row: dict[str, Any] = {"network": each.name}
    hits = each.correct.double()
    if transformations.identity is not None:
        row |= _bounds("accuracy", _mean(hits[:, transformations.identity], weights))
    row |= _bounds("transformed_accuracy", _mean(hits.mean(1), weights))
    if ambiguous:
        clear = ~torch.isin(labels, torch.tensor(list(ambiguous)))
        row["transformed_accuracy_without"] = float(hits[clear].mean())
    for way, spreads in each.spreads.items():
        row[f"nv_{_key(way)}"] = spreads.over_layers()
        row[f"nv_{_key(way)}_stratified"] = spreads.over_layers(stratified=True)
        row[f"nv_{_key(way)}_units"] = spreads.over_units()
    return row


def add_layers(
    result: Result,
    found: Sequence[Measured],
    images: ImageSet,
    transformations: TransformationSet,
    *,
    resamples: int,
    seed: int,
) -> None:
    """Curves over the layers with bands, one picture per way of measuring, each beside its controls."""
    plain = bootstrap_weights(len(images), resamples=resamples, seed=seed)
    strata = bootstrap_weights(len(images), resamples=resamples, seed=seed, strata=images.labels)
    ways = list(found[0].spreads)
    for way in ways:
        rows: list[dict[str, Any]] = []
        for each in found:
            spreads = each.spreads[way]
            for number, layer in enumerate(spreads.layers):
                depth = number / max(1, len(spreads.layers) - 1)
                row = {"network": each.name, "number": number, "depth": depth, "layer": layer.layer.name}
                row |= {"kind": layer.layer.kind, "units": layer.ratio.values.numel()}
                row |= _bounds("nv", estimate(resampled_layer(layer, plain)))
                row |= _bounds("stratified", estimate(resampled_layer(layer, strata, images.labels)))
                row |= {"transformation_spread": _finite_mean(layer.ratio.transformation),
                        "image_spread": _finite_mean(layer.ratio.sample),
                        "dead": layer.ratio.dead, "infinite": layer.ratio.infinite}  # fmt: skip
                rows.append(row)
        table = f"layers_{_key(way)}"
        result.tables[table] = table_of([*rows, *_control_rows(rows, images.images, transformations, way)])
        result.sections[table] = LAYERS
        result.captions[table] = (
            f"{WAYS[way]}. NV, its mean within classes (stratified), 95% intervals over images from up to "
            f"{found[0].spreads[way].layers[0].kept.shape[2]} units per layer; the two spreads it is the ratio of; "
            "units without a ratio. 'Interpolation alone' is the image moved and moved back: what no network can be "
            "blamed for."
        )
        for y, title in (("nv", "Variance of each layer"), ("stratified", "The same within classes")):
            result.figures.append(
                Figure("lines", table, f"{title} ({WAYS[way]})", "0 is invariant, 1 as variable as between images; "
                       "over depth from the first (0) to the last layer (1).", x="depth", y=y, group="network",
                       section=LAYERS)
            )  # fmt: skip


def _control_rows(
    rows: Sequence[Mapping[str, Any]], images: Tensor, transformations: TransformationSet, way: str
) -> list[dict[str, Any]]:
    """A level line at what moving an image and moving it back leaves."""
    aggregation = "none" if way == EQUIVARIANCE else way
    _, left = spread_of_images(images, transformations, aggregation)
    empty = dict.fromkeys(rows[0], math.nan) | {"layer": "image", "kind": "", "units": 0, "dead": 0, "infinite": 0}
    return [
        {**empty, "network": INTERPOLATION, "number": 0, "depth": depth, "nv": left, "nv_low": left, "nv_high": left,
         "stratified": left, "stratified_low": left, "stratified_high": left}
        for depth in (0.0, 1.0)
    ]  # fmt: skip


def add_units(result: Result, found: Sequence[Measured], way: str) -> None:
    """Every unit of every layer as one picture per network, all on one scale."""
    fields = [each.spreads[way].layers for each in found]
    top = scale_top(fields)
    for number, (each, layers) in enumerate(zip(found, fields, strict=True)):
        name = f"units_{number + 1}"
        result.images[name] = unit_field(layers, top)
        result.figures.append(
            Figure("image", name, f"All units: {each.name}", f"A column per layer, first to last; its units sorted "
                   f"from the least variable (top). Black is NV 0, pale yellow {top:.2g}, green above, blue dead "
                   f"({WAYS[way]}).", section=UNITS)
        )  # fmt: skip


def add_class_matrix(result: Result, found: Sequence[Measured], classes: Sequence[str]) -> None:
    """NV of each output among the images of each class: is the output's invariance a matter of class?"""
    for number, each in enumerate(found):
        units = next(iter(each.spreads.values())).layers[-1].class_units
        if units is None or units.ndim != 2 or units.shape[1] != len(classes):
            continue
        name = f"outputs_{number + 1}"
        labels = next(iter(each.spreads.values())).classes
        result.tables[name] = table_of(
            [
                {"images_of": classes[label], "output": classes[unit], "nv": float(units[row, unit])}
                for row, label in enumerate(labels)
                for unit in range(len(classes))
            ]
        )
        result.sections[name] = UNITS
        result.figures.append(
            Figure("heatmap", name, f"Outputs by class: {each.name}", "NV of each output (rows) among images of one "
                   "class (columns).", x="images_of", y="output", value="nv", section=UNITS)
        )  # fmt: skip


@torch.inference_mode()
def add_maps(result: Result, each: Measured, images: Tensor, transformations: TransformationSet, *, count: int) -> None:
    """The least and the most variable maps of a network, of one image under some transformations."""
    ranked = _ranked_maps(each.spreads.get("sum") or next(iter(each.spreads.values())))
    if not ranked or not count:
        return
    members = list(range(0, len(transformations), max(1, len(transformations) // 8)))
    moved = transformations(images[:1].float() / 255, members).flatten(0, 1)
    device = next(each.subject.model.parameters()).device
    for title, chosen in (("least", ranked[:count]), ("most", ranked[-count:][::-1])):
        names = {layer.layer.name.split("#")[0] for layer, _, _ in chosen}
        with evaluating(each.subject.model), capture(each.subject.model, names, reduce=Tensor.clone) as maps:
            each.subject.model(each.subject.normalise_values(moved.to(device)))
        rows = [list(moved.mean(1).cpu())]
        rows += [list(maps[layer.layer.name.split("#")[0]][:, unit]) for layer, unit, _ in chosen]
        name = f"maps_{title}"
        said = "; ".join(f"{layer.layer.name}[{unit}] NV {value:.2f}" for layer, unit, value in chosen)
        shown = ", ".join(transformations.names[member] for member in members)
        result.images[name] = map_grid(rows)
        result.figures.append(
            Figure("image", name, f"The {title} variable maps: {each.name}", f"Above the image under {shown}; below "
                   f"{said}. Each row on its own grey scale.", section=UNITS)
        )  # fmt: skip


def _ranked_maps(spreads: Variances) -> list[tuple[LayerVariance, int, float]]:
    """(layer, channel, NV) of all maps of modules, the least variable first; dead ones are left out."""
    found = []
    for each in spreads.layers:
        if not each.layer.is_map or each.layer.name.split("#")[0] != each.layer.name:
            continue
        values = each.ratio.values
        per_map = values if values.ndim == 1 else values.flatten(1).nanmean(1)
        found += [(each, unit, value) for unit, value in enumerate(per_map.tolist()) if math.isfinite(value)]
    return sorted(found, key=lambda item: item[2])


def add_controls(result: Result, images: Tensor, transformations: TransformationSet, ways: Sequence[str]) -> None:
    """What the transformation does to the images themselves."""
    errors = interpolation_error(transformations, images[:256].float() / 255)
    result.tables["interpolation"] = {
        "transformation": list(transformations.names),
        "error": [float(error) for error in errors],
    }
    result.sections["interpolation"] = CONTROLS
    result.captions["interpolation"] = (
        "Root mean square of the grey values (0 to 1) by which an image that is transformed and transformed back "
        "differs, over the pixels that always hold the image."
    )
    rows = []
    for way in ways:
        if way != EQUIVARIANCE:
            moved, back = spread_of_images(images, transformations, way)
            rows.append({"aggregation": way, "image": moved, "interpolation": back})
    result.tables["pixels"] = table_of(rows)
    result.sections["pixels"] = CONTROLS
    result.captions["pixels"] = (
        "NV of the image's own pixels, and of those of the image moved and moved back, which is interpolation alone."
    )


def _mean(values: Tensor, weights: Tensor) -> Estimate:
    return estimate(Resampled(float(values.mean()), weights @ values), n=len(values), unit="images")


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _finite_mean(values: Tensor) -> float:
    return float(values[values.isfinite()].mean())


def _key(way: str) -> str:
    return "positions" if way == "none" else way.replace(" ", "_")
