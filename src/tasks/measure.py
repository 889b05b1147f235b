"""``task=measure``: any subject by any study. The subject says what is examined, the study says how."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.artifacts.examined_subject import subject_of
from src.artifacts.trained import add_history
from src.core.errors import UserError, suggestion
from src.core.estimate import Estimate
from src.core.result import Result
from src.core.store import Store
from src.networks.cost import cost

if TYPE_CHECKING:
    from src.report.session import Session

#: study -> module with a function of that name, called with the result to fill, what is examined, the configuration
#: and the session; and a function ``check`` of the configuration, called before anything trains
STUDIES = {"robustness": "src.studies.robustness.study", "invariance": "src.studies.invariance.study"}


def measure(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Get the subject, from the store or made now, and examine it."""
    name = str(config["study"]["name"])
    if name not in STUDIES:
        raise UserError(f"study.name={name}: {suggestion(name, STUDIES)}")
    study = importlib.import_module(STUDIES[name])
    study.check(config)
    examined = subject_of(config, store, session)
    result = Result("measure", config["name"], uses=list(dict.fromkeys(examined.digests)))
    if examined.networks:
        add_history(result, examined.networks)
    if examined.problem:
        result.verdict, result.verdict_kind = examined.problem, "no verdict"
        return result
    getattr(study, name)(result, examined, config, session)
    subject = examined.subject
    found = cost(subject.model, subject.input_shape)
    result.metrics |= {"parameters": Estimate(found.parameters), "macs": Estimate(found.macs)}
    result.row = {"subject": config["subject"]["kind"], "study": name}
    return result
