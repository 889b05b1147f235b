"""The modules of a strong network, from the store or searched now (CNNSplitter, Qi et al., ASE 2022)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from src.artifacts.artifacts import Artifacts
from src.artifacts.learners import architecture_of
from src.artifacts.network import Trained
from src.artifacts.options import ENTRY_VERSIONS, ModulesOptions, Sensitivity
from src.artifacts.trained import images_of, trained
from src.core.configuration import without_later
from src.core.errors import UserError
from src.core.files import write_atomically
from src.core.options import options_of
from src.core.seeds import generators_restored
from src.core.shown import Shown
from src.core.store import Key
from src.data.datamodule import ImageData
from src.data.image_set import ImageSet
from src.methods.modularity.ensemble import composed_accuracy
from src.methods.modularity.evaluation import Evaluator
from src.methods.modularity.genome import GenomeLayout
from src.methods.modularity.importance import importance_order, kernel_importance
from src.methods.modularity.judges import judge_for, runner_for
from src.methods.modularity.search import check_memory, image_rungs, search
from src.methods.modularity.search_settings import SearchSettings
from src.methods.modularity.search_state import Generation
from src.methods.modularity.sensitivity import SensitivityCurves, chosen_layers, sensitive_layers, sensitivity_curves
from src.networks.cost import Cost, cost
from src.networks.models import build
from src.networks.models.foreign import check_trainable
from src.networks.slicing import SlicePlan, extract, plan_for, recalibrate
from src.networks.subjects import Subject, kept_of, save_subject
from src.training.determinism import device_of

CHECKPOINT = "search.safetensors"
GB = 10**9


@dataclass
class Modules(Shown):
    """The modules of a strong network: which kernels each of its N classes keeps.

    Attributes:
        keep: bool (N, K) over the plan's kernel axis.
        curves, sensitive: what thinning each layer costs, and bool (L,) which layers the search was careful with.
        sensitivity: the sentence on how the sensitive layers were chosen.
        history: what each generation of the search came to.
        way: how its candidates were run.
    """

    strong: Trained
    plan: SlicePlan
    keep: Tensor
    curves: SensitivityCurves
    sensitive: Tensor
    sensitivity: str
    history: Sequence[Generation]
    way: str
    digest: str
    workers: int

    def evaluator(self, images: ImageSet) -> Evaluator:
        """Runs modules on raw images of any set, normalised as the strong network was trained."""
        subject = self.strong.subject
        judge, _ = judge_for(
            "auto",
            "fp32",
            subject.model,
            self.plan,
            subject.normalise(images.images),
            workers=self.workers,
            calibration_images=self.strong.data.tensor("calibration")[0],
        )
        return Evaluator(judge)

    def outputs(self, images: ImageSet) -> Tensor:
        """(N, n, N): all outputs of every module."""
        evaluator = self.evaluator(images)
        return torch.stack([evaluator.all_logits(keep) for keep in self.keep])

    def network(self, target: int, keep: Tensor | None = None) -> nn.Module:
        """The module of a class as a slim network of its own, in eval mode."""
        network = extract(self.strong.subject.model, self.plan, self.keep[target] if keep is None else keep).eval()
        recalibrate(network, self.strong.data.tensor("calibration")[0])
        return network

    def subject(self, target: int) -> Subject:
        """The module as a subject: all N outputs are there, its own class is ``notes['target']``."""
        return replace(
            self.strong.subject,
            model=self.network(target),
            kept=kept_of(self.keep[target], self.plan.offsets),
            lineage=(self.strong.digest, self.digest),
            notes={"target": target},
        )

    def costs(self) -> list[Cost]:
        """Parameters and multiply-adds of each module."""
        shape = self.strong.subject.input_shape
        return [cost(extract(self.strong.subject.model, self.plan, keep), shape) for keep in self.keep]


def strong_network(options: ModulesOptions, artifacts: Artifacts, data: ImageData | None = None) -> Trained:
    """The strong network, of which it is known before it trains that modules can be cut out of it.

    Args:
        data: its images where they are loaded already.

    Raises:
        UserError: no slice plan of its architecture holds, or :func:`src.artifacts.trained.trained` refuses.
    """
    data = data or images_of(options.strong, artifacts.session, "strong")
    architecture = architecture_of(options.strong, data)
    try:
        with generators_restored():
            network = build(architecture)
            check_trainable(network)
            plan = plan_for(network.eval(), architecture["input_shape"])
    except UserError as error:
        raise UserError(f"strong.model.name={architecture['name']}: {error}") from None
    chosen = options_of(SearchSettings, {**options.search, "seed": options.seed}, "search")
    runner_for(chosen.evaluator, chosen.precision, network, plan, device_of(artifacts.running.device))
    check_memory(chosen, len(data.classes), plan.kernels, len(data.sets["validation"]))
    return trained(options.strong, artifacts, role="strong", data=data)


def modules_of(options: ModulesOptions, strong: Trained, artifacts: Artifacts) -> Modules:
    """The modules of a strong network, from the store or searched now.

    Everything that ``options`` does not say comes with ``strong``.
    """
    model, shape = strong.subject.model, strong.subject.input_shape
    plan = plan_for(model, shape)
    search_settings = options_of(SearchSettings, {**options.search, "seed": options.seed}, "search")
    key = Key(
        "modules",
        {
            **without_later({"importance": asdict(options.importance), "search": options.search}),
            "sensitivity": asdict(options.sensitivity),
            "seed": options.seed,
            "epoch": strong.epoch,
        },
        ENTRY_VERSIONS["modules"],
        (strong.digest,),
    )
    workers = int(artifacts.running.workers)  # a number since the job was launched
    images, labels = strong.data.tensor("validation")
    held_out, held_out_labels = strong.data.tensor("calibration")
    classes = len(strong.data.classes)

    def build(folder: Path) -> dict[str, Any]:
        with artifacts.session.stage("modules: importance"):
            chosen = options.importance
            importance = kernel_importance(
                model, plan, held_out, held_out_labels, classes, confidence=chosen.confidence, tap=chosen.tap
            )
            order = importance_order(importance.values, plan.sizes, chosen.order, options.seed)
        seen, parts = image_rungs(labels, search_settings.racing, search_settings.seed)
        judges = [
            judge_for(
                search_settings.evaluator,
                search_settings.precision,
                model,
                plan,
                images[seen[part]],
                workers=workers,
                calibration_images=held_out,
                memory=int(search_settings.memory_gb * GB) // (4 * len(parts)),
            )
            for part in parts
        ]
        evaluators = [Evaluator(judge, int(search_settings.memory_gb * GB) // (4 * len(parts))) for judge, _ in judges]

        with artifacts.session.stage("modules: layer sensitivity") as advance:

            def accuracy(keep: Tensor) -> float:
                advance()
                logits = torch.cat([each.logits(keep, range(len(keep))) for each in evaluators], dim=1)
                return composed_accuracy(logits, labels[seen])

            curves = sensitivity_curves(accuracy, order, plan.sizes, options.sensitivity.ratios)
        sensitive, note = _sensitive(curves, options.sensitivity)
        with artifacts.session.stage("modules: search", search_settings.generations + 1) as advance:

            def on_generation(generation: Generation) -> None:
                advance(accuracy=generation.accuracy, kernels=generation.retained)
                artifacts.session.log("search", generation.generation, _numbers(generation))

            def evaluate(keep: Tensor, part: int) -> Tensor:
                of_row = [c for c in range(len(keep)) for _ in range(keep.shape[1])]
                return evaluators[part].logits(keep.flatten(0, 1), of_row).unflatten(0, keep.shape[:2])

            outcome = search(
                evaluate,
                GenomeLayout.paper(plan.sizes),
                order,
                sensitive,
                labels[seen],
                plan.multiplicity,
                replace(search_settings, evaluator=evaluators[0].way),  # a checkpoint is of one way of running
                checkpoint=folder / CHECKPOINT,
                on_generation=on_generation,
            )
        tensors = {"keep": outcome.keep, "order": order, "importance": importance.values}
        save_file({**tensors, "curves": curves.accuracy, "sensitive": sensitive}, folder / "modules.safetensors")
        report = {
            "history": [generation._asdict() for generation in outcome.history],
            "ratios": list(curves.ratios),
            "full_accuracy": curves.full_accuracy,
            "sensitivity": note,
            "evaluator": evaluators[0].way,
        }
        write_atomically(folder / "search.json", json.dumps(report))
        (folder / CHECKPOINT).unlink()
        events = [event for _, event in judges[:1] if event]
        return {"events": [*importance.events, *events, *outcome.events]}

    entry = artifacts.store.make(key, build)
    report = json.loads((entry.folder / "search.json").read_text())
    history = [Generation(**row) for row in report["history"]]
    if not entry.built:
        artifacts.session.found("modules: search", entry.digest)
        for generation in history:
            artifacts.session.log("search", generation.generation, _numbers(generation))
    full = SearchSettings()
    if search_settings.generations < full.generations or search_settings.population < full.population:
        artifacts.session.event(
            f"modules: {search_settings.generations} generation{'s' * (search_settings.generations != 1)} of "
            f"{search_settings.population} candidates per class; "
            f"the paper's search has {full.generations} of {full.population}"
        )
    for event in entry.notes["events"]:
        artifacts.session.event(f"modules: {event}")
    tensors = load_file(entry.folder / "modules.safetensors")
    curves = SensitivityCurves(tensors["curves"], tuple(report["ratios"]), report["full_accuracy"])
    return Modules(
        strong,
        plan,
        tensors["keep"],
        curves,
        tensors["sensitive"],
        report["sensitivity"],
        history,
        report["evaluator"],
        entry.digest,
        workers,
    )


def _sensitive(curves: SensitivityCurves, chosen: Sensitivity) -> tuple[Tensor, str]:
    if chosen.layers != "auto":
        return chosen_layers(chosen.layers, len(curves.accuracy)), "the sensitive layers were chosen by hand"
    return sensitive_layers(curves, kept=chosen.kept, tolerance=chosen.tolerance)


def _numbers(generation: Generation) -> dict[str, float]:
    return {name: float(value) for name, value in generation._asdict().items() if name != "generation"}


def save_modules(modules: Modules, folder: Path) -> None:
    """Every module as a subject that other tasks and the user's own code can load."""
    for target, name in enumerate(modules.strong.data.classes):
        save_subject(modules.subject(target), folder / "modules" / f"{target:02d}_{_safe(name)}")


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:40]
