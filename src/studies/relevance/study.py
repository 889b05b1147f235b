"""The study of relevance: which pixels speak for a network's answers, and what each map of them is worth."""

from collections.abc import Iterator

from src.artifacts.examined_subject import Examined
from src.artifacts.opening import picture
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Opening, Panel, Step, Verdict
from src.data.image_set import ImageSet
from src.methods.locality.levels import LEVELS
from src.report.words import pretty
from src.studies.images import fewer_images
from src.studies.protocol import Run
from src.studies.relevance import panels as shown
from src.studies.relevance.findings import Findings, findings_of
from src.studies.relevance.measures import NETWORK, MapName, checked, maps_of
from src.studies.relevance.options import Options


def check(options: Options, images: ImageSet | None) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: edges need masks that the images do not have, or a single image is to be explained.
    """
    if options.images == 1:
        raise UserError("study.images=1: the control 'another image's map' needs a second one; take more")
    if images is not None and LEVELS[options.edges.name].needs_masks and images.masks is None:
        raise UserError(
            f"study.edges.name={options.edges.name}: the images have no exact masks, as drawn shapes have; take edges"
        )


def estimate(examined: Examined, options: Options, run: Run) -> Findings:
    """Explain test images by every method, and check the maps.

    Raises:
        UserError: a method cannot explain this network, or the target is none of its classes.
    """
    images = fewer_images(examined.test, options.images, run.session)
    maps = maps_of(examined.subject, images, options, run)
    return findings_of(maps, checked(examined.subject, maps, options, run), images.classes, options, run)


def opening(options: Options, subject: str, images: str) -> Opening:
    """What the words mean, and what is done."""
    metrics: dict[str, str] = {}
    for method in options.methods:
        said = pretty(method)
        metrics |= {
            f"removal_{method}": f"What removal finds by {said}: how much faster the class's probability falls when "
            "the most relevant pixels go first than when the least relevant do; 0 by chance.",
            f"outline_{method}": f"Positive relevance of {said} on the object's outline against that inside; 50%: as "
            "much.",
            f"edges_{method}": f"Of the pixels that speak for the answer by {said}, the share on edges.",
            f"edges_negative_{method}": f"Of the pixels that speak against it by {said}, the share on edges.",
        }
    return Opening(
        f"Which pixels speak for the answers of {subject}, and is the map that says so any good ({images})?",
        "A relevance map gives every pixel of an image a number: how much it speaks for the network's answer, or "
        f"against it. {len(options.methods)} method{'s' if len(options.methods) > 1 else ''} of making such maps "
        f"explain {options.images or 'all'} test images. Maps are then checked: if the pixels that a map calls "
        "relevant are removed, the network has to lose its answer sooner than for other pixels; and if the network "
        "forgets what it learned, the map has to change.",
        terms=shown.TERMS | {method: shown.METHODS[method] for method in options.methods} | metrics,
    )


def steps(findings: Findings) -> tuple[list[Step], list[Panel]]:
    """Images, maps, and what removal says of the first method's."""
    methods, removed = findings.options.methods, findings.checks.get("removal", {})
    boxes = [
        Step("→", "explained images", "each gets a map by each method", f"{findings.accuracy.value:.1%} right",
             "step_explained"),
        Step("→", "relevance maps", ", ".join(map(pretty, methods[:3])) + (" ..." if len(methods) > 3 else ""),
             f"{len(methods)} method{'s' if len(methods) > 1 else ''}"),
    ]  # fmt: skip
    if removed:
        best, chance = max(removed[MapName(method, NETWORK)].value for method in methods), removed[MapName("random")]
        boxes.append(Step("→", "removal of pixels", "the best method", f"{100 * best:+.1f} points"))
        boxes.append(Step("against", "a random order", "of the same pixels", f"{100 * chance.value:+.1f} points"))
    return boxes, [picture("step_explained", findings.maps.images.images.cpu())]


def panels(findings: Findings) -> Iterator[Panel]:
    """The checks, how each comes about, and the maps themselves."""
    return shown.panels(findings)


def verdict(findings: Findings) -> Verdict:
    """What removal says of each method's maps, and how much of what they call relevant is an edge."""
    metrics: dict[str, Estimate] = {}
    for check in ("removal", "outline"):
        values = findings.checks.get(check, {})
        metrics |= {
            f"{check}_{method}": values[name]
            for method in findings.maps.relevance
            if (name := MapName(method, NETWORK)) in values
        }
    for method in findings.maps.relevance:
        for sign, prefix in (("positive", "edges"), ("negative", "edges_negative")):
            metrics[f"{prefix}_{method}"] = findings.overlaps[method, sign, "edges"]["precision"]
    metrics = {name: value for name, value in metrics.items() if value.n} | {"explained_accuracy": findings.accuracy}
    units = dict.fromkeys(metrics, "%") | {name: "points" for name in metrics if name.startswith("removal")}
    screen = ("relevance_checks",)
    if not findings.known:
        sentence = f"no better than guessing ({findings.accuracy.value:.1%}): there is nothing to explain"
        return Verdict(sentence, "no verdict", metrics, units, screen=screen)
    removed = findings.checks.get("removal")
    if not removed:
        return Verdict(
            f"{findings.accuracy.value:.1%} of the explained images right", "", metrics, units, screen=screen
        )
    methods = sorted(findings.maps.relevance, key=lambda method: -removed[MapName(method, NETWORK)].value)
    ahead = [method for method in methods
             if all(findings.beyond[method, control].low > 0 for control in ("random", "sobel", "centre"))]  # fmt: skip
    best = methods[0]
    by_best, by_chance, by_edges = (
        f"{100 * removed[name].value:+.1f}" for name in (MapName(best, NETWORK), MapName("random"), MapName("sobel"))
    )
    better = (
        f"better than every control: {', '.join(map(pretty, ahead))}" if ahead else "none is better than every control"
    )
    sentence = (
        f"removal finds what the network needs best by {pretty(best)} ({by_best} points between least and most "
        f"relevant first; at random {by_chance}, by Sobel edges {by_edges}); {better}"
    )
    return Verdict(sentence, "", metrics, units, screen=screen)
