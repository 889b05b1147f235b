"""What the page of the study of relevance shows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from src.core.estimate import Estimate
from src.core.result import Figure, Panel
from src.studies.relevance.findings import AGAINST, INCOMPLETE, Findings
from src.studies.relevance.measures import NETWORK, MapName
from src.studies.relevance.pictures import best_and_worst, overlays

COLOURS = (
    "Red speaks for the class, blue against it; each map has a scale of its own. Under each map: how many points more "
    "of probability the class loses when its most relevant pixels go than when the least relevant do, and"
)
SECTION = "What speaks for its answers"
WORTH = "What the maps are worth"

#: check -> what it says, for a reader
MEANING = {
    "removal": "removal: how much faster the class's probability falls when the most relevant pixels go first than "
    "when the least relevant do, averaged over shares; 0 by chance",
    "mass": "mass: positive relevance that lies on the object",
    "rank_accuracy": "rank accuracy: of as many most relevant pixels as the object has, those that lie on it",
    "pointing": "pointing: images whose most relevant pixel lies on the object",
    "outline": "outline: positive relevance per pixel of the outline against that of the inside, 50% where both get as "
    "much",
    "edge_mass": "edge mass: positive relevance that lies on edges",
    "randomised_signed": "randomised: rank correlation with the map of the network when it has forgotten all it "
    "learned, of signed and of absolute values; a map that is about the network comes near 0",
    "complexity_rise": "complexity rise: by how much more entropy the histogram of that network's map has, expected "
    "above 0",
    INCOMPLETE: "incomplete: how far the map's sum is from what it explains, as a share, the median over images; empty "
    "where a method promises no sum. It finds faults and what biases take; a constant map passes, so that it is no "
    "evidence of quality",
}
TERMS = {
    **{
        check: f"{words.partition(': ')[2][:1].upper()}{words.partition(': ')[2][1:]}."
        for check, words in MEANING.items()
    },
    "map": "For each pixel of an image how much it speaks for the explained class, or against it.",
    "explained_accuracy": "Accuracy on the images that are explained.",
    "randomised_signed": "Rank correlation with the map of the network after it has forgotten all; near 0 is good.",
    "randomised_absolute": "The same of absolute values.",
    "held_against": "Whose edges: the image's, or a control's.",
    "removed": "Share of the pixels that are taken away.",
    "most_relevant_first": "Probability of the class while the most relevant pixels go.",
    "least_relevant_first": "Probability of the class while the least relevant pixels go.",
    "apart": "The second minus the first; great where a map tells what the network needs.",
    "precision": "Share of the relevant pixels that lie on edges.",
    "recall": "Share of the edges that are relevant.",
    "mass": "Share of the positive relevance that lies on the object, or on edges.",
    "images_without": "Images in which no relevance of this sign stands out (the z+ rule yields none below 0).",
    "key": "What the map or the operation is called in a configuration.",
    "iou": "Pixels that are both relevant and on edges, as a share of those that are either.",
}
METHODS = {
    "lrp_z_plus": "Layer-wise relevance: the answer is handed back from layer to layer, by positive parts alone.",
    "lrp_alpha2_beta1": "Layer-wise relevance: positive parts count double, negative ones once.",
    "lrp_epsilon": "Layer-wise relevance: all parts by their share.",
    "lrp_gamma": "Layer-wise relevance that favours positive parts.",
    "gradient": "How the answer changes with each pixel.",
    "gradient_x_input": "How the answer changes with each pixel, times the pixel.",
    "integrated_gradients": "The gradient averaged on the way from an empty image to this one.",
    "grad_cam": "Where the last maps are active that the answer rises with; coarse.",
    "occlusion": "What covering each part of the image takes from the answer.",
}
UNITS = {
    "removal": "points",
    "mass": "%",
    "rank_accuracy": "%",
    "pointing": "%",
    "outline": "%",
    "edge_mass": "%",
    "complexity_rise": "%",
}
OVERLAP = dict.fromkeys(("precision", "recall", "iou", "mass"), "%")
HELD_AGAINST = {
    "edges": "the image's edges",
    "chance": "as many pixels at random",
    "shifted": "its edges, shifted",
    "other": "another image's edges",
}


def panels(findings: Findings) -> Iterator[Panel]:
    """The maps, all checks of all maps in one table, and how each check comes about."""
    options = findings.options
    if options.pictures:
        picture = overlays(findings)
        below = f"{COLOURS} how much of its positive relevance lies on edges."
        yield Panel(SECTION, "maps", picture, figures=[Figure("image", "maps", "An image, and its maps", below)])
        if options.removal:
            picture = best_and_worst(findings)
            below = f"By removal, of {MapName(options.methods[0]).said}: the best above, the worst below."
            figure = Figure("image", "best_and_worst", "The best maps and the worst", below)
            yield Panel(SECTION, "best_and_worst", picture, figures=[figure])
    yield _checks(findings)
    if findings.checked.removals:
        yield _removal(findings)
    yield _edges(findings)
    if findings.checked.steps:
        yield _randomisation(findings)


def _checks(findings: Findings) -> Panel:
    said = (
        f"{findings.accuracy.n} test images, {findings.accuracy.value:.1%} of them right; means over images with 95% "
        f"intervals. The explained class: {findings.options.target}."
    )
    return checks_panel(WORTH, "relevance_checks", list(findings.maps.maps), findings.checks, said)


def checks_panel(
    section: str, name: str, maps: Sequence[MapName], checks: Mapping[str, Mapping[MapName, Estimate]], said: str
) -> Panel:
    """A row per map, a column per check; ``said``: what the numbers are means over."""
    checks = {check: checks[check] for check in sorted(checks, key=lambda check: check == INCOMPLETE)}
    rows: list[dict[str, Any]] = []
    for each in maps:
        row: dict[str, Any] = {"map": each.said, "of": each.of or "a control: it knows no network"}
        for check, values in checks.items():
            columns = values.get(each, Estimate(math.nan)).columns(check)
            row |= {check: columns[check]} if check == INCOMPLETE else columns
        row["key"] = each.method
        rows.append({column: None if value != value else value for column, value in row.items()})
    caption = f"{said} A column's title says what it means under the pointer, and so do the words at the end."
    units = {check: unit for check, unit in UNITS.items() if check in checks}
    return Panel(section, name, rows, caption, units, title="What each map is worth")


def _removal(findings: Findings) -> Panel:
    rows = [
        {"map": name.said, "removed": share, "most_relevant_first": most, "least_relevant_first": least,
         "apart": least - most}
        for name, curves in findings.checked.removals.items()
        if name.of in ("", NETWORK)
        for share, most, least in zip(
            curves.shares, *(each.nanmean((0, 1)).tolist() for each in (curves.most, curves.least)), strict=True
        )
    ]  # fmt: skip
    caption = (
        "Probability of the explained class while pixels go, which are filled from their neighbours. A map is good "
        f"where its two curves are far apart; those of a random order ({findings.options.random_orders} drawn) are not."
    )
    below = "How much lower the class's probability is without the most relevant pixels than without as many others."
    figure = Figure("lines", "removal", "What removal finds", below, x="removed", y="apart", group="map", percent=True)
    probabilities = ("removed", "most_relevant_first", "least_relevant_first")
    return Panel(WORTH, "removal", rows, caption, dict.fromkeys(probabilities, "%") | {"apart": "points"}, [figure])


def _edges(findings: Findings) -> Panel:
    rows = []
    for method, sign in findings.undefined:
        for against in AGAINST:
            values = findings.overlaps[method, sign, against]
            said = {"method": MapName(method).said, "relevance": sign}
            row: dict[str, Any] = {**said, "held_against": HELD_AGAINST[against]}
            for measure, value in values.items():
                row |= value.columns(measure)
            rows.append({**row, "images_without": findings.undefined[method, sign]})
    options = findings.options
    region = (
        "those above the mean of their sign" if options.region is None else f"the {options.region:.0%} most relevant"
    )
    caption = (
        f"What counts as an edge: '{options.edges.name}' at level {options.edges.level:g}, widened by "
        f"{options.tolerance} pixels; relevant pixels: {region}. A map that lies on edges no more than by chance, or "
        "than on shifted or another image's edges, does not follow edges."
    )
    return Panel(WORTH, "relevance_edges", rows, caption, OVERLAP)


def _randomisation(findings: Findings) -> Panel:
    rows = [
        {"method": MapName(method).said, "step": step, **{
            f"{order}_{name}": float(getattr(course[step], name).nanmean())
            for order, course in orders.items() for name in ("signed", "absolute", "complexity")
        }}
        for method, orders in findings.checked.steps.items()
        for step in range(min(map(len, orders.values())))
    ]  # fmt: skip
    caption = (
        "Layers get random weights, from the top down or from the bottom up; rank correlation of each map with the one "
        "before, of signed and of absolute values, and the entropy of its histogram in nats. A map that stays is about "
        "the image and not the network."
    )
    figures = [
        Figure("lines", "randomisation", f"The network forgets, {words}", "Rank correlation with the map of the whole "
               "network.", x="step", y=f"{order}_signed", group="method")
        for order, words in (("top_down", "from its last layer on"), ("bottom_up", "from its first layer on"))
        if all(order in orders for orders in findings.checked.steps.values())
    ]  # fmt: skip
    return Panel(WORTH, "randomisation", rows, caption, figures=figures)
