"""The further measures of the study of invariance: classes, distances, analysis of variance, firing, sample size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from src.core.result import Figure, Result, table_of
from src.data.image_set import ImageSet
from src.methods.invariance.anova import LayerAnova, anova
from src.methods.invariance.class_conditional import class_conditional
from src.methods.invariance.distance import distances
from src.methods.invariance.equivariance import equivariance_distances
from src.methods.invariance.firing import LayerFiring, firing
from src.methods.invariance.passes import Examination
from src.methods.invariance.sample_size import ALL_LAYERS, sample_size
from src.methods.invariance.variance import LayerVariance

MEASURES = ("distance", "anova", "firing")
CLASSES, MORE, SAMPLES = "Classes", "More measures", "Sample size"

Rows = list[dict[str, Any]]


def further(examination: Examination, names: Sequence[str]) -> dict[str, Rows]:
    """A row per layer of each measure; of ``distance`` with maps turned back where the examination has them so."""
    found: dict[str, Rows] = {}
    if "distance" in names:
        found["distance"] = [
            {"layer": each.layer.name, "nd": each.ratio.mean, "dead": each.ratio.dead, "infinite": each.ratio.infinite}
            for each in distances(examination).layers
        ]
    if "anova" in names:
        found["anova"] = _anova_rows(anova(examination), anova(examination, design="independent"))
    if "firing" in names:
        found["firing"] = [_firing_row(each) for each in firing(examination)]
    return found


def turned_back(examination: Examination) -> Rows:
    """How far each layer's maps lie from those of the image as it is, once they are moved back."""
    rows = []
    for each in equivariance_distances(examination):
        positions = examination.units(each.layer) // each.layer.shape[0]
        # a root mean square over positions of maps of length 1 would shrink with the number of positions
        relative = float(each.relative.nanmean()) * positions**0.5
        rows.append({"layer": each.layer.name, "distance": float(each.distance.nanmean()),
                     "relative_distance": relative, "zero_maps": each.zero_maps})  # fmt: skip
    return rows


def _anova_rows(repeated: Sequence[LayerAnova], independent: Sequence[LayerAnova]) -> Rows:
    return [
        {"layer": one.layer.name, "moved": one.share, "moved_independent": other.share, "critical": one.critical,
         "dead": one.dead}
        for one, other in zip(repeated, independent, strict=True)
    ]  # fmt: skip


def _firing_row(each: LayerFiring) -> dict[str, Any]:
    simple = each.simple[each.simple.isfinite()]
    return {"layer": each.layer.name, "score": each.top(), "mean_score": float(each.score.nanmean()),
            "simple": float(simple.mean()) if len(simple) else float("nan"), "silent": each.silent}  # fmt: skip


CAPTIONS = {
    "distance": "ND: mean distance between the activations of one image's transformations as a share of that between "
    "images, a channel's map as one vector, all pairs; mean over channels.",
    "anova": "Share of units that the transformation moves beyond chance: F test with the same images under each "
    "transformation (repeated measures), and as if they were others (independent, as published); 1% over all units of "
    "the network (Bonferroni).",
    "firing": "Goodfellow et al. 2009: how often a unit that fires for 1% of the images goes on firing under the "
    "transformation, as a multiple of that 1%; mean of the fifth of the units with the highest score, and of all. "
    "Simple: the rate over all transformed images instead, 1 also by chance.",
    "equivariance": "Root mean square difference between maps moved back and the maps of the image as it is; relative: "
    "the L2 norm of the difference, of maps that were divided by their own: 0 where they agree, 1.41 where they have "
    "nothing in common; zero maps stay zero.",
}


def add_more(result: Result, found: Mapping[str, Mapping[str, Rows]]) -> None:
    """Tables, and a curve over layers each.

    Args:
        found: network -> measure -> rows.
    """
    drawn = {"distance": "nd", "anova": "moved", "firing": "score", "equivariance": "relative_distance"}
    for name in CAPTIONS:
        rows = []
        for network, measures in found.items():
            own = measures.get(name, [])
            rows += [
                {"network": network, "depth": number / max(1, len(own) - 1), **row} for number, row in enumerate(own)
            ]
        if rows:
            result.tables[name] = table_of(rows)
            result.sections[name], result.captions[name] = MORE, CAPTIONS[name]
            result.figures.append(
                Figure("lines", name, {"distance": "Distances", "anova": "Units moved beyond chance",
                       "firing": "Firing", "equivariance": "Same-equivariance"}[name], CAPTIONS[name], x="depth",
                       y=drawn[name], group="network", percent=name == "anova", section=MORE)
            )  # fmt: skip


def add_class_conditional(
    result: Result,
    last: Mapping[str, LayerVariance],
    images: ImageSet,
    *,
    permutations: int,
    seed: int,
) -> None:
    """Is the last layer more invariant for some classes than for others?

    Args:
        last: network -> its last measured layer, which is the output where all layers are measured.
    """
    rows, bars = [], []
    for name, layer in last.items():
        found = class_conditional(layer.kept, images.labels, permutations=permutations, seed=seed)
        rows.append({"network": name, "layer": layer.layer.name, "spread": found.spread, "p": found.p})
        for number, label in enumerate(found.classes):
            bars.append(
                {"network": name, "class": images.classes[label], "nv": float(found.by_class[number]),
                 "against_others": float(found.apart[number]), "p_holm": found.class_p[number]}
            )  # fmt: skip
    result.tables["class_conditional"], result.tables["invariance_by_class"] = table_of(rows), table_of(bars)
    result.sections |= {"class_conditional": CLASSES, "invariance_by_class": CLASSES}
    layer = next(iter(last.values()))
    units = f"{layer.kept.shape[2]} of the {layer.ratio.values.numel()} units of '{layer.layer.name}'"
    result.captions["class_conditional"] = (
        f"Of {units}, the last layer measured: variance over classes of a unit's NV among images of one class, mean "
        f"over units (spread), and the chance of as great a one under {permutations} permutations of the classes "
        "among the images; p cannot be below 1 / (permutations + 1)."
    )
    result.captions["invariance_by_class"] = (
        f"Mean NV of {units} among images of one class; less the mean of the other classes (below 0: more invariant "
        "than they are), with its chance under the same permutations (Holm, over the classes of a network)."
    )
    result.figures.append(
        Figure("bars", "invariance_by_class", f"Layer '{layer.layer.name}' by class of the images", "Mean NV of its "
               "units: 0 is invariant.", x="class", y="nv", group="network", section=CLASSES)
    )  # fmt: skip


def add_sample_size(result: Result, name: str, layers: Sequence[LayerVariance], *, seed: int) -> None:
    """How far fewer images and transformations lead from what all give."""
    images, transformations = layers[0].kept.shape[:2]
    some, few = _fewer(images), _fewer(transformations)
    if not some or not few:
        return
    rows = sample_size({each.layer.name: each.kept for each in layers}, some, few, seed=seed)
    cells = []
    for count in some:
        for members in few:
            errors = [
                row.error
                for row in rows
                if (row.layer, row.images, row.transformations) == (ALL_LAYERS, count, members)
            ]
            cells.append({"images": str(count), "transformations": str(members), "error": sum(errors) / len(errors)})
    result.tables["sample_size"] = table_of(cells)
    result.sections["sample_size"] = SAMPLES
    result.captions["sample_size"] = (
        f"Relative error of the mean NV over layers, |a - b| / (|a| + |b|), against all {images} images and "
        f"{transformations} transformations, of the units that are kept for intervals; mean of five random parts "
        f"({name})."
    )
    result.figures.append(
        Figure("heatmap", "sample_size", "Fewer images and transformations", "Relative error against all of them.",
               x="images", y="transformations", value="error", percent=True, section=SAMPLES)
    )  # fmt: skip


def _fewer(count: int) -> list[int]:
    """Halves of halves down to two, ascending."""
    found: list[int] = []
    while (count := count // 2) >= 2 and len(found) < 6:
        found.append(count)
    return found[::-1]
