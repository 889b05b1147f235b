"""``task=compose``: a network of independently trained modules over a label tree, against a monolith.

The study of L. Friedrichsen, "Impact of modularization on learning behavior and detection rate of CNNs" (2020), with
what it left out: controls, intervals, the split of the gap, its own error heuristic in numbers, all 19 corruptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.artifacts.composed import MONOLITH, networks_of
from src.artifacts.composition import composition_of
from src.artifacts.trained import add_history, images_of, stopped
from src.core.result import Result
from src.core.store import Store
from src.networks.subjects import save_subject
from src.studies.composition.accuracy import of_rule
from src.studies.composition.findings import estimate, unknown_images, verdict
from src.studies.composition.panels import panels
from src.studies.robustness.shifted import checked

if TYPE_CHECKING:
    from src.report.session import Session


def compose(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train modules, monolith and control, and measure what the composition costs and buys."""
    result = Result("compose", config["name"])
    composition_of(config)  # faults are told before anything trains
    checked(config["shift"]["corruptions"], config["shift"]["severities"])
    data = images_of(config["monolith"], session, MONOLITH, MONOLITH)
    unknown = unknown_images(config, data)
    networks = networks_of(config, data, store, session)
    result.uses = networks.uses
    if config["until"] == "modules":
        return stopped(result, "modules")
    modules = dict(zip((node.name for node in networks.tree.nodes), networks.modules.modules, strict=True))
    add_history(result, {MONOLITH: networks.monolith, **modules})
    findings = estimate(networks, unknown, config, session)
    for panel in panels(findings):
        result.add(panel)
    result.conclude(verdict(findings))
    result.row = {
        "data": config["monolith"]["data"]["source"]["name"],
        "tree": config["tree"]["name"],
        "rule": of_rule(findings.rule),
        "match": "macs, hard route" if config["match"] == "macs" else config["match"],
    }
    save_subject(networks.composed, session.folder / "composed")
    return result
