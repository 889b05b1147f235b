"""``task=measure``: any subject by any study. The subject says what is examined, the study says how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.artifacts.examined_subject import images_to_measure, subject_of
from src.artifacts.trained import add_history
from src.core.estimate import Estimate
from src.core.options import options_of
from src.core.result import Result
from src.core.store import Store
from src.networks.cost import cost
from src.studies.protocol import Run, options_class, study_of

if TYPE_CHECKING:
    from src.report.session import Session


def measure(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Get the subject, from the store or made now, and examine it."""
    name = str(config["study"]["name"])
    values = {key: value for key, value in config["study"].items() if key != "name"}
    options, study = options_of(options_class(name), values, "study"), study_of(name)
    study.check(options, images_to_measure(config))
    examined = subject_of(config, store, session)
    result = Result("measure", config["name"], uses=list(dict.fromkeys(examined.digests)))
    if examined.networks:
        add_history(result, examined.networks)
    if examined.problem:
        result.verdict, result.verdict_kind = examined.problem, "no verdict"
        return result
    findings = study.estimate(examined, options, Run(session, config["seed"], config["resamples"]))
    for panel in study.panels(findings):
        result.add(panel)
    result.conclude(study.verdict(findings))
    found = cost(examined.subject.model, examined.subject.input_shape)
    result.metrics |= {"parameters": Estimate(found.parameters), "macs": Estimate(found.macs)}
    result.row |= {"subject": config["subject"]["kind"], "study": name}
    return result
