"""``task=modularize``: cut a strong network into one module per class (CNNSplitter, Qi et al., ASE 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.artifacts.modules import modules_of, save_modules
from src.artifacts.trained import add_history, did_not_train, stopped, trained
from src.core.result import Result
from src.core.store import Store
from src.studies.patching.module_panels import add_modules

if TYPE_CHECKING:
    from src.report.session import Session


def modularize(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train the strong network, cut it into modules, and measure the modules one by one and composed."""
    strong = trained(config["strong"], store, session, role="strong", config=config)
    result = Result("modularize", config["name"], uses=[strong.digest])
    add_history(result, {"strong": strong})
    if not strong.converged:
        result.verdict, result.verdict_kind = did_not_train("the strong network", strong), "no verdict"
        return result
    if config["until"] == "strong":
        return stopped(result, "strong")
    modules = modules_of(config, strong, store, session)
    result.uses.append(modules.digest)
    with session.stage("modules: evaluation"):
        add_modules(result, modules, config)
    save_modules(modules, session.folder)
    result.screen = ["composition", "modules"]
    composed, whole = result.metrics["composed_accuracy"], result.metrics["strong_accuracy"]
    result.verdict = (
        f"{len(modules.keep)} modules together classify {composed.value:.1%} of the test images right, the strong "
        f"network {whole.value:.1%}; a module keeps {result.metrics['kernels_retained'].value:.0%} of the kernels"
    )
    return result
