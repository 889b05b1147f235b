"""``task=dashboard``: workspaces of Weights & Biases and reports of sweeps, as files; published when W&B is online."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.artifacts.artifacts import Artifacts
from src.core.estimate import Estimate
from src.core.files import write_atomically
from src.core.own import groups
from src.core.redaction import redacted
from src.core.result import FILE, Opening, Panel, Result, Step, Verdict, load, scan
from src.report.described import Described, described, experiments
from src.report.lineage import TYPES
from src.report.rebuild import OVERVIEW
from src.report.sweep_report import publish_report, sweep_report
from src.report.wandb_view import choose_mode
from src.report.workspaces import publish, specification, workspace
from src.tasks.options import Dashboard

OPENING = Opening(
    "Which panels show all experiments at Weights & Biases?",
    "A workspace is a page of Weights & Biases over the runs of an experiment: verdicts, metrics over what was swept, "
    "settings and what came of them, learning curves, lineage. Each lies here as a file that its library has checked.",
    steps=(
        Step("", "configurations", "every experiment's name, keys that are swept, numbers that decide"),
        Step("→", "workspaces", "one file for each experiment, checked by W&B's own library"),
    ),
    terms={
        "workspaces": "Experiments whose workspace was written.",
        "reports": "Sweeps with a page, of which a report in Markdown was written.",
    },
)


def dashboard(options: Dashboard, artifacts: Artifacts) -> Result:
    """Write a workspace per experiment, and a report per sweep that has a page.

    Raises:
        UserError: there is no such experiment.
    """
    running, folder = artifacts.running, artifacts.session.folder
    logger, outputs, conf = running.logger, Path(running.outputs), groups()
    online = logger.name == "wandb" and choose_mode(logger.mode)[0] == "online"
    asked = [described(name, conf) for name in options.experiments or experiments(conf)]
    result = Result("dashboard", running.name, opening=OPENING)
    rows, reports = [], 0
    for experiment in asked:
        jobs = _jobs(outputs, experiment)
        place = {"project": logger.project, "entity": logger.entity or ""}
        view = workspace(experiment, **place, known=_metrics(jobs), artifacts=_networks(artifacts.store.root, jobs))
        path = folder / "workspaces" / f"{experiment.name}.json"
        plain = specification(view)
        write_atomically(path, json.dumps(redacted(plain), indent=1))
        where = _published(result, f"workspace {experiment.name}", online, lambda view=view: publish(view))
        sections = plain["spec"]["section"]["panelBankConfig"]["sections"]
        row = {"experiment": experiment.name, "panels": sum(len(section["panels"]) for section in sections)}
        overview = outputs / str(experiment.group) / Path(OVERVIEW).parent
        if (overview / FILE).is_file():
            reports += 1
            compared = load(overview)
            text = sweep_report(experiment, compared)
            write_atomically(folder / "reports" / f"{experiment.name}.md", redacted(text))
            _published(
                result, f"report {experiment.name}", online,
                lambda text=text, view=view, name=experiment.name: publish_report(name, text, view),
            )  # fmt: skip
        rows.append({**row, "jobs": len(jobs), "report": (overview / FILE).is_file(), "address": where})
    result.add(Panel("", "workspaces", rows, "One row per experiment; the files lie in workspaces and reports."))
    sentence = f"{len(rows)} workspaces and {reports} reports of sweeps are written"
    sentence += "" if online else "; publish them by logging in (wandb login) and running the same command again"
    metrics = {"workspaces": Estimate(len(rows)), "reports": Estimate(reports)}
    result.conclude(Verdict(sentence, metrics=metrics, screen=["workspaces"]))
    return result


def _published(result: Result, what: str, online: bool, send: Any) -> str:
    """The address of what was sent; one that cannot be sent is told, and its file is there."""
    if not online:
        return ""
    try:
        return str(send())
    except Exception as error:
        said = " ".join(str(error).split())[:160]
        result.events.append(f"W&B: {what} could not be published ({type(error).__name__}: {said}); its file is there")
        return ""


def _jobs(outputs: Path, experiment: Described) -> list[Mapping[str, Any]]:
    """Results of its jobs that ended well and are no tiny ones, unless all are."""
    place = outputs / str(experiment.group)
    results: list[Mapping[str, Any]] = [
        plain for folder, plain in scan(place) if folder != place and plain.get("task") == experiment.task
    ]
    whole = [plain for plain in results if plain.get("status") == "ok"]
    return [plain for plain in whole if not plain["config"].get("tiny")] or whole


def _metrics(jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(jobs[-1]["metrics"]) if jobs else []


def _networks(store: Path, jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the artifacts that most of the jobs used, as their runs call them."""
    counts: dict[str, int] = {}
    for plain in jobs:
        for digest in plain.get("uses", ()):
            counts[digest] = counts.get(digest, 0) + 1
    names = []
    for digest in sorted(counts, key=lambda digest: -counts[digest]):
        for entry in store.glob(f"*/{digest}"):
            names.append(f"{TYPES.get(entry.parent.name, entry.parent.name)}-{digest[:16]}")
    return names
