"""What is shown of networks under transformations: accuracy, networks as a whole, curves over layers."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from src.core.result import Figure, Panel
from src.studies.invariance.findings import ACCURACIES, Findings, Network, PixelControl, Way
from src.studies.invariance.more_panels import (
    class_panels,
    control_panels,
    further_panels,
    map_panels,
    sample_size_panels,
    unit_panels,
)
from src.studies.invariance.words import NV, corners_of, key_of, name_of, words_for

ACCURACY, LAYERS = "Accuracy", "Layers"
INTERPOLATION = "interpolation alone"
PERCENT = {"accuracy": "%"}
DEPTH = {"depth": "%"}


def panels(findings: Findings) -> Iterator[Panel]:
    """All of them, in the order of the page."""
    yield _accuracy(findings)
    yield from _class_accuracies(findings)
    yield _networks(findings)
    yield from (_layers(findings, way) for way in findings.networks[0].variability)
    yield _over_depth(findings)
    yield from class_panels(findings)
    yield from further_panels(findings)
    yield from unit_panels(findings)
    yield from map_panels(findings)
    yield from sample_size_panels(findings)
    yield from control_panels(findings)


def _axis(findings: Findings) -> str:
    moves = findings.transformations
    return f"{moves.family} ({moves.unit})" if moves.unit else moves.family


def _accuracy(findings: Findings) -> Panel:
    """By transformation."""
    moves, axis = findings.transformations, _axis(findings)
    numeric = all(isinstance(value, float) for value in moves.values)
    places = moves.values if numeric else moves.names
    rows = [
        {"network": name_of(network), "transformation": place, **share.columns("accuracy")}
        for network in findings.shown
        for place, share in zip(places, network.accuracies, strict=True)
    ]
    figure = Figure("lines" if numeric else "bars", "accuracy", f"Accuracy under {moves.family}",
                    f"By {axis}. {corners_of(findings.options.transformation)}",
                    x="transformation", y="accuracy", group="network", percent=True,
                    levels={"guessing": 1 / len(findings.classes)})  # fmt: skip
    caption = f"By {axis}; {findings.images} test images, 95% intervals over images."
    return Panel(ACCURACY, "accuracy", rows, caption, PERCENT, [figure], title=f"Accuracy under {moves.family}")


def _class_accuracies(findings: Findings) -> Iterator[Panel]:
    for number, network in enumerate(findings.trained):
        assert network.class_accuracies is not None
        rows = [
            {"class": findings.classes[label], "transformation": name, "accuracy": share}
            for label, shares in zip(findings.labels, network.class_accuracies.tolist(), strict=True)
            for name, share in zip(findings.transformations.names, shares, strict=True)
        ]
        table = f"class_accuracy_{number + 1}"
        figure = Figure("heatmap", table, f"Accuracy by class: {name_of(network)}", _axis(findings),
                        x="transformation", y="class", value="accuracy", percent=True)  # fmt: skip
        yield Panel(ACCURACY, table, rows, units=PERCENT, figures=[figure])


def _networks(findings: Findings) -> Panel:
    """A row per network, also of those that stand aside."""
    rows = [_network_row(network) for network in findings.networks]
    unclear = ", ".join(findings.classes[label] for label in findings.ambiguous)
    ways = "; ".join(f"{NV[way]}: {words_for(way, findings.options)}" for way in findings.networks[0].variability)
    caption = (
        f"Accuracy on {findings.images} test images as they are and over all {len(findings.transformations)} "
        "transformations"
        + (f"; unambiguous: of all but the classes {unclear}, which the transformation can exchange" if unclear else "")
        + f". NV: spread over transformations as a share of that over images, mean over layers; 0: invariant. {ways}. "
        "Within classes: as a share of the spread between images of one class; units: mean over all units and not over "
        "layers, so that wide layers dominate. Intervals: over images."
    )
    units = {name: "%" for name in ACCURACIES if name in rows[0]}
    return Panel("", "networks", rows, caption, units, title="How variable each network is")


def _network_row(network: Network) -> dict[str, Any]:
    row: dict[str, Any] = {"network": name_of(network)}
    row |= {f"nv_{key_of(way)}": variability.over_layers for way, variability in network.variability.items()}
    for name, share in network.shares.items():
        row |= share.columns(name)
    for way, variability in network.variability.items():
        row |= {
            f"nv_{key_of(way)}_stratified": variability.over_layers_stratified,
            f"nv_{key_of(way)}_units": variability.over_units,
        }
    return row


def _layers(findings: Findings, way: Way) -> Panel:
    """Curves over the layers with bands, beside their control."""
    rows = [row for network in findings.shown for row in _layer_rows(network, way)]
    control = findings.pixels.by_way[way] if findings.pixels is not None else None
    level = [] if control is None else _level_rows(rows[0], control)
    table = f"layers_{key_of(way)}"
    kept_units = max(layer.kept_units for layer in findings.networks[0].variability[way].layers)
    caption = (
        f"{NV[way]}: {words_for(way, findings.options)}. 95% intervals over images from up to {kept_units} units per "
        "layer. 'Interpolation alone' is the image moved and moved back: what no network can be blamed for."
    )
    figures = [
        Figure("lines", table, f"{NV[way]} of each layer{within}", "From the first layer (0%) to the last. 0 is "
               "invariant, 1 as variable as between images.", x="depth", y=y, group="network")
        for y, within in (("nv", ""), ("nv_stratified", ", within classes"))
    ]  # fmt: skip
    return Panel(LAYERS, table, [*rows, *level], caption, DEPTH, figures, title=f"{NV[way]} of each layer")


def _layer_rows(network: Network, way: Way) -> list[dict[str, Any]]:
    layers = network.variability[way].layers
    return [
        {"network": name_of(network), "number": number, "depth": number / max(1, len(layers) - 1),
         "layer": layer.name, "kind": layer.kind, "units": layer.ratios.numel(), **layer.nv.columns("nv"),
         **layer.stratified.columns("nv_stratified"), "transformation_spread": layer.transformation_spread,
         "image_spread": layer.image_spread, "dead": layer.dead, "infinite": layer.infinite}
        for number, layer in enumerate(layers)
    ]  # fmt: skip


def _level_rows(row: Mapping[str, Any], control: PixelControl) -> list[dict[str, Any]]:
    """A level line at the control, with the columns of ``row``, from the first layer to the last."""
    empty = dict.fromkeys(row, math.nan) | {"layer": "image", "kind": "", "units": 0, "dead": 0, "infinite": 0}
    values = {"nv": control.interpolation, "nv_stratified": control.interpolation_stratified}
    bounds = {f"{name}{end}": value for name, value in values.items() for end in ("", "_low", "_high")}
    return [{**empty, **bounds, "network": INTERPOLATION, "number": -1, "depth": depth} for depth in (0.0, 1.0)]


def _over_depth(findings: Findings) -> Panel:
    """Are lower layers the more invariant? Of each network, in each way of measuring."""
    rows = [
        {"network": name_of(network), "units": NV[way], **variability.rise.columns("rise"),
         **variability.rank_correlation.columns("rank_correlation")}
        for network in findings.networks
        for way, variability in network.variability.items()
    ]  # fmt: skip
    caption = (
        "Rise: mean NV of the second half of the layers less that of the first; rank correlation of NV with depth. "
        "Above 0, lower layers are the more invariant. 95% intervals over images."
    )
    if findings.comparison is not None:
        caption += (
            f" The rise of the {name_of(findings.comparison.complete)} network is the metric 'lower layers'; "
            "'learned': less that of the untrained."
        )
    return Panel(LAYERS, "over_depth", rows, caption, title="Are lower layers more invariant than higher ones?")
