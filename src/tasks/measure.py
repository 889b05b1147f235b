"""``task=measure``: any subject by any study. The subject says what is examined, the study says how."""

from dataclasses import replace
from typing import Any

from src.artifacts.artifacts import Artifacts
from src.artifacts.examined_subject import MEASURED_ON, images_to_measure, subject_of
from src.artifacts.opening import images_said, picture, sample, subject_said
from src.artifacts.trained import training_panels
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Result, Step, Verdict
from src.networks.cost import cost
from src.networks.options import family
from src.networks.subjects import Subject
from src.studies.protocol import Run, opening_of, steps_of, study_of, study_options
from src.tasks.options import Measure


def measure(options: Measure, networks: Any, artifacts: Artifacts) -> Result:
    """Get the subject, from the store or made now, and examine it.

    Args:
        networks: the options of what the subject's kind is made of.
    """
    name = str(options.study["name"])
    asked, study = study_options(options.study), study_of(name)
    study.check(asked, images_to_measure(options.subject, networks))
    recipe = getattr(networks, MEASURED_ON.get(str(options.subject["kind"]), ""), None) or {"data": networks.data}
    said = subject_said(options.subject, recipe)
    result = Result("measure", artifacts.running.name)
    result.opening = opening_of(name, asked, said, images_said(recipe["data"]))
    examined = subject_of(options.subject, networks, artifacts)
    result.uses = list(dict.fromkeys(examined.digests))
    if examined.networks:
        result.add(*training_panels(examined.networks))
    else:
        result.add(sample("images_1", examined.test, "Test images"))
    if examined.problem:
        result.verdict, result.verdict_kind = examined.problem, "no verdict"
        return result
    findings = study.estimate(examined, asked, Run(artifacts.session, options.seed, options.resamples))
    result.add(*study.panels(findings))
    steps, pictures = steps_of(name, findings)
    if steps:
        of_network = Step("", said, f"knows {len(examined.subject.classes):,} classes", picture="step_network")
        result.opening = replace(result.opening, steps=[of_network, *steps])
        result.add(picture("step_network", examined.test.images), *pictures)
    verdict = study.verdict(findings)
    if not isinstance(verdict, Verdict):
        kind = type(verdict).__name__
        raise UserError(f"study '{name}': verdict() returned a {kind}; it has to return a src.core.result.Verdict")
    result.conclude(verdict)
    costs = cost(examined.subject.model, examined.subject.input_shape)
    result.metrics |= {"parameters": Estimate(costs.parameters), "macs": Estimate(costs.macs)}
    result.row |= _row(options, networks, examined.subject)
    return result


def _row(options: Measure, networks: Any, subject: Subject) -> dict[str, Any]:
    """What a table over many jobs says of this one: what was examined, on which images, how."""
    model, (_, height, _) = family(subject.architecture), subject.input_shape
    recipe = getattr(networks, "recipe", None) or getattr(networks, "strong", None) or {}
    source = (recipe.get("data") or getattr(networks, "data", None) or {}).get("source", {})
    data = source.get("names") or source.get("name") or ""
    if recipe:  # a network that comes trained takes images of a size of its own
        data = f"{data} {height} px"
    training = "none" if options.subject.get("weights", "") is None else options.subject.get("training", "plain")
    kernels = options.subject.get("kernels", "")
    kernels = "random" if isinstance(kernels, int) else kernels
    return {"subject": options.subject["kind"], "study": options.study["name"], "model": model,
            "data": data, "training": training, "kernels": kernels,
            "seed": options.seed, "network": f"{model} {options.seed} {kernels}".strip()}  # fmt: skip
