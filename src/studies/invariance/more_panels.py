"""What is shown besides curves over layers: classes, further measures, units, maps, sample size, controls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from src.core.result import Figure, Panel
from src.studies.invariance.activation_pictures import HEIGHT, map_grid, scale_top, unit_field
from src.studies.invariance.findings import Findings, LastLayer, ShownMap, Way
from src.studies.invariance.words import KINDS, NV, corners_of, layers_said, name_of

CLASSES, MORE, UNITS, SAMPLES, CONTROLS = "Classes", "More measures", "Units", "Sample size", "Controls"
NAMED = 40  # layers whose names fit above a picture


def class_panels(findings: Findings) -> Iterator[Panel]:
    """Is the last layer more invariant for some classes than for others?"""
    tested = {name_of(network): network.last for network in findings.shown if network.last and network.last.test}
    if not tested:
        return
    last = next(iter(tested.values()))
    units = f"{last.kept_units} of the {last.units} units of '{last.name}'"
    spreads, bars = [], []
    for name, each in tested.items():
        test = each.test
        assert test is not None
        spreads.append({"network": name, "layer": each.name, "spread": test.spread, "p": test.p})
        for number, label in enumerate(test.classes):
            bars.append(
                {"network": name, "class": findings.classes[label], "nv": float(test.by_class[number]),
                 "against_others": float(test.apart[number]), "p_holm": test.class_p[number]}
            )  # fmt: skip
    yield Panel(
        CLASSES, "class_conditional", spreads,
        f"Of {units}, the last layer measured: variance over classes of a unit's NV among images of one class, mean "
        f"over units (spread), and the chance of as great a one under {findings.options.permutations} permutations of "
        "the classes among the images; p cannot be below 1 / (permutations + 1).",
        title="Is the last layer more invariant for some classes?", folded=True,
    )  # fmt: skip
    figure = Figure("bars", "invariance_by_class", f"The last layer, '{last.name}', by class of the images",
                    "Mean NV of its units: 0 is invariant.", x="class", y="nv", group="network")  # fmt: skip
    yield Panel(
        CLASSES, "invariance_by_class", bars,
        f"Mean NV of {units} among images of one class; less the mean of the other classes (below 0: more invariant "
        "than they are), with its chance under the same permutations (Holm, over the classes of a network).",
        figures=[figure], title=f"The last layer, '{last.name}', by class of the images",
    )  # fmt: skip


#: further measure -> title, the column that is drawn, caption
FURTHER = {
    "distance": (
        "Distances",
        "nd",
        "ND: mean distance between the activations of one image's transformations as a share of that between images, "
        "a channel's map as one vector, all pairs; mean over channels.",
    ),
    "anova": (
        "Units moved beyond chance",
        "moved",
        "Share of units that the transformation moves beyond chance: F test with the same images under each "
        "transformation (repeated measures), and as if they were others (independent, as published); 1% over all "
        "units of the network (Bonferroni).",
    ),
    "firing": (
        "Firing",
        "score",
        "Goodfellow et al. 2009: how often a unit that fires for 1% of the images goes on firing under the "
        "transformation, as a multiple of that 1%; mean of the fifth of the units with the highest score, and of all. "
        "Simple: the rate over all transformed images instead, 1 also by chance.",
    ),
    "equivariance": (
        "Same-equivariance",
        "relative_distance",
        "Root mean square difference between maps moved back and the maps of the image as it is; relative: the L2 "
        "norm of the difference, of maps that were divided by their own: 0 where they agree, 1.41 where they have "
        "nothing in common; zero maps stay zero.",
    ),
}


def further_panels(findings: Findings) -> Iterator[Panel]:
    """A table of each measure, and a curve over layers."""
    for name, (title, drawn, caption) in FURTHER.items():
        rows: list[dict[str, Any]] = []
        for network in findings.shown:
            layers = getattr(network.further, name)
            rows += [
                {"network": name_of(network), "depth": number / max(1, len(layers) - 1), **asdict(layer)}
                for number, layer in enumerate(layers)
            ]
        if rows:
            figure = Figure("lines", name, title, caption, x="depth", y=drawn, group="network",
                            percent=name == "anova")  # fmt: skip
            yield Panel(MORE, name, rows, caption, {"depth": "%"}, [figure])


def unit_panels(findings: Findings) -> Iterator[Panel]:
    """Every unit of every layer as one picture per network, all on one scale; how many have no ratio; outputs."""
    way = next(iter(findings.networks[0].variability))
    layers = {name_of(network): network.variability[way].layers for network in findings.shown}
    fields = {name: [layer.ratios for layer in each] for name, each in layers.items()}
    top = scale_top(list(fields.values()))
    names = [layer.name for layer in next(iter(layers.values()))]
    apart = -(-len(names) // NAMED)
    heads = [layer if number % apart == 0 else "" for number, layer in enumerate(names)]
    scale = torch.linspace(0, top, HEIGHT)
    named = f" Layers: {layers_said(next(iter(layers.values())))}."  # the same in all
    for number, (name, field) in enumerate(fields.items()):
        picture, whole = f"units_{number + 1}", findings.shown[number].variability[way]
        most = max(whole.layers, key=lambda layer: layer.dead)
        left_out = (
            f" {whole.dead} of {whole.units:,} units never change (dead) and are left out, {most.dead} of them in "
            f"{most.name}; grey: all of a layer."
        )
        figure = Figure(
            "image", picture, f"{NV[way]} of all units: {name}", "A column per layer, from the first to the last; its "
            f"units are sorted. The last column is the scale, from 0 (invariant, top) to {top:.2g}; green: more than "
            f"that.{left_out if whole.dead else ''}{'' if number else named}",
            rows=("least variable", "", "most variable"), labels=(*heads, f"scale 0 to {top:.2g}"),
        )  # fmt: skip
        yield Panel(UNITS, picture, unit_field([*field, scale], top), figures=[figure])
    yield Panel(
        UNITS, "units",
        [
            {"network": name_of(network), "aggregation": NV[way], "units": each.units, "dead": each.dead,
             "infinite": each.infinite}
            for network in findings.networks
            for way, each in network.variability.items()
        ],
        "Dead: never change, neither under the transformation nor between images. Infinite: only the transformation "
        "moves them. Both are left out of all means. A spread below 100 rounding errors of the layer's values is none.",
        title="How many units have no NV", folded=True,
    )  # fmt: skip
    for number, network in enumerate(findings.trained):
        if network.last is not None and network.last.by_class is not None:
            yield _outputs(f"outputs_{number + 1}", name_of(network), network.last, findings)


def _outputs(table: str, name: str, last: LastLayer, findings: Findings) -> Panel:
    """NV of each output among the images of each class: is the output's invariance a matter of class?"""
    assert last.by_class is not None
    rows = [
        {"images_of": findings.classes[label], "output": output, "nv": nv}
        for label, units in zip(findings.labels, last.by_class.tolist(), strict=True)
        for output, nv in zip(findings.classes, units, strict=True)
    ]
    figure = Figure("heatmap", table, f"Outputs by class: {name}", "NV of each output (rows) among images of one class "
                    "(columns).", x="images_of", y="output", value="nv")  # fmt: skip
    return Panel(UNITS, table, rows, figures=[figure])


def map_panels(findings: Findings) -> Iterator[Panel]:
    """The least and the most variable maps, of one image under some transformations."""
    maps = findings.maps
    if maps is None:
        return
    way: Way = "sum" if "sum" in findings.networks[0].variability else next(iter(findings.networks[0].variability))
    why = (
        f" {NV[way]} is of what is left when the map is made one number: a map may turn with the image and still be "
        "among the least variable."
        if way in ("sum", "mean", "max")
        else ""
    )
    heads = tuple(findings.transformations.names[member] for member in maps.members)
    kinds = {layer.name: KINDS.get(layer.kind, layer.kind) for layer in findings.networks[0].variability[way].layers}
    chosen: Mapping[str, Sequence[ShownMap]] = {"least": maps.least, "most": maps.most}
    for title, shown in chosen.items():
        which = "least" if title == "least" else "greatest"
        picture = f"maps_{title}"
        lines = (f"{each.layer} ({kinds[each.layer]}), map {each.channel}: {each.nv:.2f}" for each in shown)
        figure = Figure(
            "image", picture, f"The maps with the {which} {NV[way]}: {name_of(findings.networks[0])}",
            f"Above: an image of '{findings.classes[maps.label]}' as it is changed; below: maps of it. Each row on its "
            "own grey scale."
            + (why if which == "least" else f" {corners_of(findings.options.transformation)}"),
            rows=("image", *lines), labels=heads,
        )  # fmt: skip
        yield Panel(UNITS, picture, map_grid([list(maps.moved), *(list(each.values) for each in shown)]),
                    figures=[figure])  # fmt: skip


def sample_size_panels(findings: Findings) -> Iterator[Panel]:
    """How far fewer images and transformations lead from what all give."""
    if not findings.sample_size:
        return
    rows = [
        {"images": str(part.images), "transformations": str(part.transformations), "error": part.error}
        for part in findings.sample_size
    ]
    caption = (
        f"Relative error of the mean NV over layers, |a - b| / (|a| + |b|), against all {findings.images} images and "
        f"{len(findings.transformations)} transformations, of the units that are kept for intervals; mean of five "
        f"random parts ({name_of(findings.networks[0])})."
    )
    figure = Figure("heatmap", "sample_size", "Would fewer images and transformations do?", "How far the mean NV of a "
                    "part lies from that of all of them.", x="images", y="transformations", value="error",
                    percent=True)  # fmt: skip
    yield Panel(SAMPLES, "sample_size", rows, caption, figures=[figure])


def control_panels(findings: Findings) -> Iterator[Panel]:
    """What the transformation does to the images themselves."""
    pixels = findings.pixels
    if pixels is None:
        return
    yield Panel(
        CONTROLS, "interpolation",
        {"transformation": list(findings.transformations.names), "error": pixels.errors.tolist()},
        "Root mean square of the grey values (0 to 1) by which an image that is transformed and transformed back "
        "differs, over the pixels that always hold the image.",
        title="What turning there and back costs the image" if findings.transformations.family == "rotation"
        else "What transforming there and back costs the image", folded=True,
    )  # fmt: skip
    yield Panel(
        CONTROLS, "pixels",
        [{"aggregation": NV[way], **asdict(each)} for way, each in pixels.by_way.items()],
        "NV of the image's own pixels, over all images and within classes (stratified), and of those of the image "
        f"moved and moved back, which is interpolation alone; {pixels.images} images, the pixels that always hold the "
        "image.",
        title="NV of the image itself: what no network can be blamed for",
    )  # fmt: skip
