"""What is shown of networks under transformations: curves over layers, accuracy, units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of
from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet
from src.methods.invariance.depth import depth_trend
from src.methods.invariance.intervals import resampled_layer
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate
from src.studies.invariance.activation_pictures import scale_top, unit_field
from src.studies.invariance.controls import Control, level_rows
from src.studies.invariance.measured import UNTRAINED, Measured, key_of, words_for

ACCURACY, LAYERS, UNITS = "Accuracy", "Layers", "Units"
NAMED = 40  # layers whose names fit under a picture


def add_accuracy(
    result: Result,
    found: Sequence[Measured],
    images: ImageSet,
    transformations: TransformationSet,
    *,
    aside: Sequence[Measured],
    ambiguous: Sequence[int],
    study: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> None:
    """Accuracy by transformation, over all of them, by class, and without classes that are turned into each other.

    Args:
        aside: networks that are in the table of networks alone.
    """
    weights = bootstrap_weights(len(images), resamples=resamples, seed=seed, strata=images.labels).double()
    weights /= weights.sum(1, keepdim=True)
    rows = []
    numeric = all(isinstance(value, float) for value in transformations.values)
    for each in found:
        hits = each.correct.double()
        for column, name in enumerate(transformations.names):
            share = _mean(hits[:, column], weights)
            place = transformations.values[column] if numeric else name
            rows.append({"network": each.name, "transformation": place, **_bounds("accuracy", share)})
    result.tables["accuracy"] = table_of(rows)
    axis = f"{transformations.family} ({transformations.unit})" if transformations.unit else transformations.family
    result.captions["accuracy"] = f"By {axis}; {len(images)} test images, 95% intervals over images."
    result.sections["accuracy"] = ACCURACY
    result.figures.append(
        Figure("lines" if numeric else "bars", "accuracy", f"Accuracy under {transformations.family}", axis,
               x="transformation", y="accuracy", group="network", percent=True, section=ACCURACY)
    )  # fmt: skip
    trained = [each for each in found if each.name != UNTRAINED]
    for number, each in enumerate(trained):
        name = f"class_accuracy_{number + 1}"
        result.tables[name] = table_of(_class_cells(each, images, transformations))
        result.sections[name] = ACCURACY
        result.figures.append(
            Figure("heatmap", name, f"Accuracy by class: {each.name}", axis, x="transformation", y="class",
                   value="accuracy", percent=True, section=ACCURACY)
        )  # fmt: skip
    result.tables["networks"] = table_of(
        [_network_row(each, images.labels, transformations, weights, ambiguous) for each in [*found, *aside]]
    )
    unclear = ", ".join(images.classes[label] for label in ambiguous)
    ways = "; ".join(f"{key_of(way)}: {words_for(way, study)}" for way in found[0].spreads)
    result.captions["networks"] = (
        f"Accuracy on {len(images)} test images as they are and over all {len(transformations)} transformations"
        + (f"; unambiguous: of all but the classes {unclear}, which the transformation can exchange" if unclear else "")
        + f". NV: spread over transformations as a share of that over images, 0 is invariant ({ways}). Means over "
        "layers of the layers' finite units, of all images and within classes (stratified); units: mean over all "
        "units, where wide layers dominate."
    )


def _class_cells(each: Measured, images: ImageSet, transformations: TransformationSet) -> list[dict[str, Any]]:
    shares = {label: each.correct[images.labels == label].double().mean(0) for label in images.labels.unique().tolist()}
    return [
        {"class": images.classes[label], "transformation": name, "accuracy": float(share[column])}
        for label, share in shares.items()
        for column, name in enumerate(transformations.names)
    ]


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
        own = weights[:, clear] / weights[:, clear].sum(1, keepdim=True)
        row |= _bounds("transformed_accuracy_unambiguous", _mean(hits[clear].mean(1), own))
    for way, spreads in each.spreads.items():
        row[f"nv_{key_of(way)}"] = spreads.over_layers()
        row[f"nv_{key_of(way)}_stratified"] = spreads.over_layers(stratified=True)
        row[f"nv_{key_of(way)}_units"] = spreads.over_units()
    return row


def add_layers(
    result: Result,
    found: Sequence[Measured],
    images: ImageSet,
    controls: Mapping[str, Control],
    *,
    study: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> None:
    """Curves over the layers with bands, one picture per way of measuring, each beside its control.

    Args:
        found: with resampled curves.
        controls: way of measuring -> its control, where there is one.
    """
    strata = bootstrap_weights(len(images), resamples=resamples, seed=seed, strata=images.labels)
    for way in found[0].spreads:
        rows: list[dict[str, Any]] = []
        for each in found:
            layers = each.spreads[way].layers
            for number, (layer, curve) in enumerate(zip(layers, each.curves[way], strict=True)):
                row = {"network": each.name, "number": number, "depth": number / max(1, len(layers) - 1)}
                row |= {"layer": layer.layer.name, "kind": layer.layer.kind, "units": layer.ratio.values.numel()}
                row |= _bounds("nv", estimate(curve))
                row |= _bounds("nv_stratified", estimate(resampled_layer(layer, strata, images.labels)))
                row |= {"transformation_spread": _finite_mean(layer.ratio.transformation),
                        "image_spread": _finite_mean(layer.ratio.sample),
                        "dead": layer.ratio.dead, "infinite": layer.ratio.infinite}  # fmt: skip
                rows.append(row)
        level = level_rows(rows[0], controls[way]) if way in controls else []
        table = f"layers_{key_of(way)}"
        result.tables[table] = table_of([*rows, *level])
        result.sections[table] = LAYERS
        kept = max(layer.kept.shape[2] for layer in found[0].spreads[way].layers)
        words = words_for(way, study)
        result.captions[table] = (
            f"{words[0].upper()}{words[1:]}. NV, its mean within classes (stratified), 95% intervals over images from "
            f"up to {kept} units per layer; the two spreads it is the ratio of, means over units; units without a "
            "ratio. 'Interpolation alone' is the image moved and moved back: what no network can be blamed for."
        )
        for y, title in (("nv", "Variance of each layer"), ("nv_stratified", "The same within classes")):
            result.figures.append(
                Figure("lines", table, f"{title} ({words})", "NV: 0 is invariant, 1 as variable as between images; "
                       "from the first to the last layer.", x="depth", y=y, group="network", section=LAYERS)
            )  # fmt: skip
    result.units["depth"] = "%"


def add_depth(result: Result, found: Sequence[Measured], study: Mapping[str, Any]) -> None:
    """Are lower layers the more invariant? Of each network, in each way of measuring."""
    rows = []
    for each in found:
        for way, curve in each.curves.items():
            trend = depth_trend(curve)
            rows.append(
                {"network": each.name, "units": words_for(way, study), **_bounds("rise", estimate(rise(curve))),
                 **_bounds("rank_correlation", estimate(trend.rank_correlation))}
            )  # fmt: skip
    result.tables["over_depth"] = table_of(rows)
    result.sections["over_depth"] = LAYERS
    result.captions["over_depth"] = (
        "Rise: mean NV of the second half of the layers less that of the first; rank correlation of NV with depth. "
        "Above 0, lower layers are the more invariant. 95% intervals over images."
    )


def rise(curve: Sequence[Resampled]) -> Resampled:
    """Mean NV of the second half of the layers less that of the first: above 0, lower layers are more invariant."""
    found = depth_trend(curve).first_minus_second_half
    return Resampled(-found.value, -found.samples)


def add_units(result: Result, found: Sequence[Measured], way: str, study: Mapping[str, Any]) -> None:
    """Every unit of every layer as one picture per network, all on one scale."""
    fields = [each.spreads[way].layers for each in found]
    top = scale_top(fields)
    names = [layer.layer.name for layer in fields[0]]
    told = f" ({', '.join(names)})" if len(names) <= NAMED else ""
    for number, (each, layers) in enumerate(zip(found, fields, strict=True)):
        name = f"units_{number + 1}"
        result.images[name] = unit_field(layers, top)
        result.figures.append(
            Figure("image", name, f"All units: {each.name}", f"A column per layer, first to last{told}; its units "
                   f"sorted from the least variable (top). Black is NV 0, pale yellow {top:.2g}, green above, blue "
                   f"dead ({words_for(way, study)}).", section=UNITS)
        )  # fmt: skip


def add_unit_counts(result: Result, found: Sequence[Measured]) -> None:
    """Count the units that have no ratio, which the means leave out."""
    result.tables["units"] = table_of(
        [
            {"network": each.name, "aggregation": way,
             "units": sum(layer.ratio.values.numel() for layer in spreads.layers),
             "dead": sum(layer.ratio.dead for layer in spreads.layers),
             "infinite": sum(layer.ratio.infinite for layer in spreads.layers)}
            for each in found
            for way, spreads in each.spreads.items()
        ]
    )  # fmt: skip
    result.sections["units"] = UNITS
    result.captions["units"] = (
        "Dead: never change, neither under the transformation nor between images. Infinite: only the transformation "
        "moves them. Both are left out of all means. A spread below 100 rounding errors of the layer's values is none."
    )


def add_class_matrix(result: Result, found: Sequence[Measured], classes: Sequence[str]) -> None:
    """NV of each output among the images of each class: is the output's invariance a matter of class?"""
    for number, each in enumerate(each for each in found if each.name != UNTRAINED):
        spreads = next(iter(each.spreads.values()))
        units = spreads.layers[-1].class_units
        if units is None or units.ndim != 2 or units.shape[1] != len(classes):
            continue  # the last of the chosen layers is not the output
        name = f"outputs_{number + 1}"
        result.tables[name] = table_of(
            [
                {"images_of": classes[label], "output": classes[unit], "nv": float(units[row, unit])}
                for row, label in enumerate(spreads.classes)
                for unit in range(len(classes))
            ]
        )
        result.sections[name] = UNITS
        result.figures.append(
            Figure("heatmap", name, f"Outputs by class: {each.name}", "NV of each output (rows) among images of one "
                   "class (columns).", x="images_of", y="output", value="nv", section=UNITS)
        )  # fmt: skip


def _mean(values: Tensor, weights: Tensor) -> Estimate:
    return estimate(Resampled(float(values.mean()), weights @ values), n=len(values), unit="images")


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _finite_mean(values: Tensor) -> float:
    return float(values[values.isfinite()].mean())
