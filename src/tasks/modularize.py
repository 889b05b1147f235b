"""``task=modularize``: cut a strong network into one module per class (CNNSplitter, Qi et al., ASE 2022)."""

from dataclasses import replace

from src.artifacts.artifacts import Artifacts
from src.artifacts.modules import modules_of, save_modules, strong_network
from src.artifacts.trained import no_verdict, stopped, training_panels
from src.core.result import Result, Verdict
from src.studies.patching.module_findings import module_findings, module_metrics
from src.studies.patching.module_panels import METRIC_UNITS, module_opening, module_panels, module_steps
from src.studies.patching.options import Modularize


def modularize(options: Modularize, artifacts: Artifacts) -> Result:
    """Train the strong network, cut it into modules, and measure the modules one by one and composed."""
    result = Result("modularize", artifacts.running.name)
    result.opening = module_opening(options)
    strong = strong_network(options, artifacts)
    result.uses.append(strong.digest)
    result.add(*training_panels({"strong": strong}))
    if not strong.converged:
        result.conclude(no_verdict("the strong network", strong))
        return result
    if artifacts.running.until == "strong":
        return stopped(result, "strong")
    modules = modules_of(options, strong, artifacts)
    result.uses.append(modules.digest)
    with artifacts.session.stage("modules: evaluation"):
        findings = module_findings(modules, options)
    steps, pictures = module_steps(findings, strong)
    result.opening = replace(result.opening, steps=steps)
    result.add(*module_panels(findings), *pictures)
    metrics = module_metrics(findings)
    sentence = (
        f"{len(findings.classes)} modules together classify {metrics['composed_accuracy'].value:.1%} of the test "
        f"images right, the strong network {metrics['strong_accuracy'].value:.1%}; a module keeps "
        f"{metrics['kernels_retained'].value:.0%} of the kernels"
    )
    result.conclude(Verdict(sentence, metrics=metrics, units=METRIC_UNITS, screen=("composition", "modules")))
    save_modules(modules, artifacts.session.folder)
    return result
