"""``task=add_class``: a class joins, leaves, or an expert is replaced, without training the rest again.

What modularity promises for networks that have to change (L. Friedrichsen, "Impact of modularization on learning
behavior and detection rate of CNNs", 2020, names it as a motive and does not measure it): the cost of the change, and
what it does to all other classes, against a monolith of matched size.
"""

from dataclasses import replace

from src.artifacts.artifacts import Artifacts
from src.artifacts.trained import training_panels, where_trained
from src.core.result import Result
from src.studies.class_change.changes import changed_networks
from src.studies.class_change.findings import class_change_findings
from src.studies.class_change.opening import opening, steps
from src.studies.class_change.options import AddClass
from src.studies.class_change.panels import panels, verdict
from src.studies.class_change.setting import setting_of


def add_class(options: AddClass, artifacts: Artifacts) -> Result:
    """Change modules and monolith, and measure what the change costs and what it does to the other classes."""
    result = Result("add_class", artifacts.running.name)
    result.opening = opening(options)
    setting = setting_of(options, artifacts)
    changed = changed_networks(setting)
    with artifacts.session.stage("test"):
        findings = class_change_findings(changed, setting, resamples=options.resamples, seed=options.seed)
    result.uses = list(dict.fromkeys(digest for each in changed.networks for digest in each.subject.lineage))
    boxes, pictures = steps(findings, setting)
    result.opening = replace(result.opening, steps=boxes)
    result.add(*training_panels(changed.monoliths), *panels(findings), *pictures)
    row = {"data": setting.data.source["name"], "change": options.change, "class": options.class_name}
    result.conclude(where_trained(verdict(findings, row), changed.trained))
    return result
