"""``task=patch``: patch a weak network on its target class with a module of a strong one (CNNSplitter, ASE 2022)."""

from dataclasses import dataclass, replace
from typing import Literal

from src.artifacts.artifacts import Artifacts
from src.artifacts.beside import beside
from src.artifacts.learners import architecture_of, tried
from src.artifacts.modules import modules_of, save_modules, strong_network
from src.artifacts.network import Trained
from src.artifacts.trained import check_recipe, images_of, no_verdict, stopped, trained, training_panels
from src.artifacts.trial import Trial, all_labelled, check_target, target_names
from src.core.result import Result
from src.data.datamodule import ImageData
from src.networks.subjects import save_subject
from src.studies.patching.module_findings import module_findings
from src.studies.patching.module_panels import module_panels
from src.studies.patching.options import Patch
from src.studies.patching.patch_findings import patch_findings, shared_images
from src.studies.patching.patch_panels import patch_opening, patch_panels, patch_steps, patch_verdict


def patch(options: Patch, artifacts: Artifacts) -> Result:
    """Train a strong and a weak network, cut the strong one into modules, patch the weak one, and judge the patch."""
    for role in ("strong", "weak"):  # what is wrong with a recipe is said before anything trains
        check_recipe(getattr(options, role), role)
    strong_data = images_of(options.strong, artifacts.session, "strong")
    check_target(options, strong_data)
    weak_data = images_of(options.weak, artifacts.session, "weak")
    names = target_names(options, weak_data, strong_data)
    tried(architecture_of(options.weak, weak_data))
    weak_networks = _WeakNetworks(options, weak_data, len(names))
    with beside(weak_networks.both, weak_networks.seen, artifacts) as both_are_there:
        strong = strong_network(options, artifacts, strong_data)
        result = Result("patch", artifacts.running.name, uses=[strong.digest])
        result.opening = patch_opening(options, names, weak_data, strong_data)
        if not strong.converged:
            return _untrained(result, "strong", strong)
        if artifacts.running.until == "strong":
            return stopped(result, "strong")
        modules = modules_of(options, strong, artifacts)
        if artifacts.running.until == "modules":
            return stopped(result, "modules", modules.digest)
        both_are_there()
    weak = weak_networks.weak(artifacts)
    result.uses += [modules.digest, weak.digest]
    if not weak.converged:
        return _untrained(result, "weak", weak)
    artifacts.session.events.extend(shared_images(strong, weak))
    retrained = weak_networks.retrained(artifacts)
    result.uses.append(retrained.digest)
    with artifacts.session.stage("patch: composition and controls") as advance:
        trial = Trial(options, modules, weak, names)
        predictions = trial.predictions(retrained, options.random_draws, advance)
    comparison = patch_findings(trial, predictions, options)
    with artifacts.session.stage("modules: test"):
        worth = module_findings(modules, options, trial.columns[0])
    courses = training_panels({"strong": strong, "weak": weak})
    steps, pictures = patch_steps(comparison, worth, trial)
    result.opening = replace(result.opening, steps=steps)
    result.add(
        *patch_panels(comparison), *module_panels(worth, "All modules of the strong network"), *courses, *pictures
    )
    result.conclude(patch_verdict(comparison, worth))
    save_modules(modules, artifacts.session.folder)
    save_subject(trial.patched_network(), artifacts.session.folder / "patched")
    return result


@dataclass(frozen=True)
class _WeakNetworks:
    """The weak network, and the one that was trained on all images that have labels: neither needs the strong one."""

    options: Patch
    data: ImageData
    targets: int

    @property
    def seen(self) -> int:
        """Images times epochs."""
        return 2 * len(self.data.sets["train"]) * int(self.options.weak["training"]["epochs"])

    def weak(self, artifacts: Artifacts) -> Trained:
        return trained(self.options.weak, artifacts, role="weak", data=self.data)

    def retrained(self, artifacts: Artifacts) -> Trained:
        recipe = {**self.options.weak, "select": "last"}
        return trained(recipe, artifacts, role="weak, retrained", data=all_labelled(self.data, self.targets))

    def both(self, artifacts: Artifacts) -> None:
        if self.weak(artifacts).converged:
            self.retrained(artifacts)


def _untrained(result: Result, role: Literal["strong", "weak"], network: Trained) -> Result:
    result.add(*training_panels({role: network}))
    result.conclude(no_verdict(f"the {role} network", network))
    return result
