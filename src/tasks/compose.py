"""``task=compose``: a network of independently trained modules over a label tree, against a monolith.

The study of L. Friedrichsen, "Impact of modularization on learning behavior and detection rate of CNNs" (2020), with
what it left out: controls, intervals, the split of the gap, its own error heuristic in numbers, all 19 corruptions.
"""

from dataclasses import replace

from src.artifacts.artifacts import Artifacts
from src.artifacts.composed import MONOLITH, networks_of
from src.artifacts.composition import composition_of
from src.artifacts.trained import images_of, stopped, training_panels
from src.core.result import Result
from src.networks.subjects import save_subject
from src.studies.composition.accuracy import of_rule
from src.studies.composition.findings import check_shift, estimate, unknown_images, verdict
from src.studies.composition.opening import opening, steps
from src.studies.composition.options import Compose
from src.studies.composition.panels import panels


def compose(options: Compose, artifacts: Artifacts) -> Result:
    """Train modules, monolith and control, and measure what the composition costs and buys."""
    result = Result("compose", artifacts.running.name)
    composition_of(options)  # faults are told before anything trains
    check_shift(options)
    data = images_of(options.monolith, artifacts.session, MONOLITH, MONOLITH)
    check_shift(options, data)
    unknown = unknown_images(options, data, artifacts.session)
    result.opening = opening(options, data)
    networks = networks_of(options, data, artifacts)
    result.uses = networks.uses
    if artifacts.running.until == "modules":
        return stopped(result, "modules")
    modules = dict(zip((node.name for node in networks.tree.nodes), networks.modules.modules, strict=True))
    result.add(*training_panels({MONOLITH: networks.monolith, **modules}))
    findings = estimate(networks, unknown, options, artifacts.session)
    boxes, pictures = steps(findings, networks)
    result.opening = replace(result.opening, steps=boxes)
    result.add(*panels(findings), *pictures)
    result.conclude(verdict(findings))
    result.row = {
        "data": options.monolith["data"]["source"]["name"],
        "tree": options.tree["name"],
        "rule": of_rule(findings.rule),
        "match": "macs, hard route" if options.matched == "macs" else options.matched,
    }
    save_subject(networks.composed, artifacts.session.folder / "composed")
    return result
