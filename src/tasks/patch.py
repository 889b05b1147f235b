"""``task=patch``: patch a weak network on its target class with a module of a strong one (CNNSplitter, ASE 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from src.artifacts.modules import modules_of, save_modules
from src.artifacts.network import Trained
from src.artifacts.targets import check_target, target_names
from src.artifacts.trained import history_panel, images_of, no_verdict, stopped, trained
from src.artifacts.trial import Trial, all_labelled
from src.core.result import Result
from src.core.store import Store
from src.networks.subjects import save_subject
from src.studies.patching.module_findings import module_findings
from src.studies.patching.module_panels import module_panels
from src.studies.patching.patch_findings import patch_findings, shared_images
from src.studies.patching.patch_panels import patch_panels, patch_verdict

if TYPE_CHECKING:
    from src.report.session import Session


def patch(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train a strong and a weak network, cut the strong one into modules, patch the weak one, and judge the patch."""
    strong_data = images_of(config["strong"], session, "strong")
    check_target(config, strong_data)
    weak_data = images_of(config["weak"], session, "weak")
    names = target_names(config, weak_data, strong_data)
    strong = trained(config["strong"], store, session, role="strong", config=config, data=strong_data)
    result = Result("patch", config["name"], uses=[strong.digest])
    if not strong.converged:
        return _untrained(result, "strong", strong)
    if config["until"] == "strong":
        return stopped(result, "strong")
    modules = modules_of(config, strong, store, session)
    if config["until"] == "modules":
        return stopped(result, "modules", modules.digest)
    weak = trained(config["weak"], store, session, role="weak", config=config, data=weak_data)
    result.uses += [modules.digest, weak.digest]
    if not weak.converged:
        return _untrained(result, "weak", weak)
    session.events.extend(shared_images(strong, weak))
    retrained = trained(
        {**config["weak"], "select": "last"},
        store,
        session,
        role="weak, retrained",
        config=config,
        data=all_labelled(weak_data, len(names)),
    )
    result.uses.append(retrained.digest)
    with session.stage("patch: composition and controls") as advance:
        trial = Trial(config, modules, weak, names)
        predictions = trial.predictions(retrained, advance)
    comparison = patch_findings(trial, predictions)
    with session.stage("modules: test"):
        worth = module_findings(modules, config)
    history = history_panel({"strong": strong, "weak": weak})
    for panel in (*patch_panels(comparison), *module_panels(worth), history):
        result.add(panel)
    result.conclude(patch_verdict(comparison, worth))
    save_modules(modules, session.folder)
    save_subject(trial.patched_network(), session.folder / "patched")
    return result


def _untrained(result: Result, role: Literal["strong", "weak"], network: Trained) -> Result:
    result.add(history_panel({role: network}))
    result.conclude(no_verdict(f"the {role} network", network))
    return result
