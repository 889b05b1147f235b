"""A job's run at Weights & Biases: its id, its tags, its curves, and at the end everything it found, used and made."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from src.core.configuration import identity
from src.core.paths import ROOT
from src.core.redaction import redacted
from src.core.result import Result
from src.core.running import Running
from src.core.store import Key, digest_of
from src.report import lineage
from src.report.machine import as_wandb_shows, machine, requirements
from src.report.screen import PAGE
from src.report.wandb_run import WandbRun, attempt, plain_name
from src.report.wandb_stages import Stages
from src.report.wandb_view import staged_in, start

#: Tasks that are one training: their run is that of the training, and no stage's.
TRAININGS = ("train", "train_variant", "train_module")
#: Sections of a configuration whose ``name`` is a tag.
TAGGED = ("source", "model", "study")
#: What logger.save_code keeps.
CODE = ("src/**/*.py", "conf/**/*.yaml")
LARGEST = 20_000_000  # bytes of a page that is sent


def run_id(config: Mapping[str, Any], folder: Path) -> str:
    """The same whenever the job runs in this place, so that its run goes on; of a copy elsewhere another one."""
    return digest_of({"identity": identity(config), "folder": str(folder.resolve())})


def tags_of(config: Mapping[str, Any]) -> list[str]:
    """Names of the data, models and studies that a configuration speaks of, each once."""
    return list(dict.fromkeys(str(redacted(name)) for name in _names(config)))


def _names(config: Mapping[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            if key in TAGGED and isinstance(value.get("name"), str):
                yield value["name"]
            yield from _names(value)


class WandbJob:
    """Everything that a job tells W&B. Nothing is started before there is something to tell.

    Args:
        config, running, folder, environment: of the job.
    """

    def __init__(
        self, config: Mapping[str, Any], running: Running, folder: Path, environment: Mapping[str, Any]
    ) -> None:
        self.config = config
        self.running = running
        self.folder = folder
        self.environment = environment
        self.store = Path(running.outputs) / "store"
        self.stages = Stages(running.logger, self.store, running.name, environment)
        self._run: WandbRun | None = None
        self._staging: ExitStack | None = None

    def making(self, key: Key, folder: Path) -> AbstractContextManager[None]:
        """See :meth:`Stages.making`."""
        return nullcontext() if self.config["task"] in TRAININGS else self.stages.making(key, folder)

    def log(self, series: str, values: Mapping[str, float]) -> None:
        """Points of curves, with their ``step``."""
        self._stage()
        self.stages.log(values)
        if self.running.until is None:  # what makes a stage is seen in the stage's run
            self._started().log({f"{plain_name(series)}/{name}": value for name, value in values.items()})

    def finish(self, result: Result) -> str:
        """Tell the result, close the run, and add what went wrong to the result's events; where the run is."""
        self._stage()
        run = self._started() if self.running.until is None else None
        if run is not None:
            result.events += run.publish(result, self.folder)
            if page := _overview_page(result, self.folder):
                run.log(page)
            run.save("wandb-metadata.json", as_wandb_shows({**self.environment, **result.environment}))
        events: list[str] = []
        attempt("lineage", lambda: self._link(result, run), events)
        events += self.stages.events + (run.finish() if run is not None else [])
        result.events += [event for event in dict.fromkeys(events) if event not in result.events]
        if self._staging:
            self._staging.close()
        if run is None or run.mode != "offline":
            return run.where if run else ""
        places = [str(place) for place in (self.store / "wandb", self.folder / "wandb") if place.is_dir()]
        return f"offline, send it with: wandb sync {shlex.join(places)}"

    def _link(self, result: Result, run: WandbRun | None) -> None:
        """What the job used and made, and the runs of what it used."""
        own = self.stages.complete(result.uses, by=run if self.config["task"] in TRAININGS else None)
        if run is not None:
            used = [each for each in lineage.used_by(self.store, result.uses) if each.name not in own]
            made = lineage.left_by(self.folder, result.identity) if result.status == "ok" else ()
            self.stages.link(run, used=used, made=list(made))

    def _stage(self) -> None:
        """What W&B puts aside lies in the job's folder from the first call on."""
        if self.stages.mode != "disabled" and self._staging is None:
            self._staging = ExitStack()
            self._staging.enter_context(staged_in(self.folder / "wandb" / "staging"))

    def _started(self) -> WandbRun:
        """The job's run; the first call begins it."""
        if self._run is not None:
            return self._run
        settings = self.running.logger
        tags = redacted([*settings.tags, *tags_of(self.config)])
        self._run = run = start(
            self.folder, project=settings.project, entity=settings.entity, mode=settings.mode,
            group=self.running.name, job_type=self.config["task"], run_id=run_id(self.config, self.folder),
            name=redacted(self.folder.name), notes=redacted(settings.notes), tags=tags,
            commit=str(self.environment.get("revision", "")).rstrip("+"), system_metrics=settings.system_metrics,
            config={**redacted(self.config), "environment": machine(self.environment)},
        )  # fmt: skip
        run.save("requirements.txt", requirements())
        for pattern in CODE if settings.save_code else ():
            for path in sorted(ROOT.glob(pattern)):
                run.save(f"code/{path.relative_to(ROOT)}", path)
        return run


def _overview_page(result: Result, folder: Path) -> dict[str, Any]:
    """What is logged to the run of a comparison; nothing of other jobs, or where no page was written."""
    page = folder / PAGE
    if result.task != "compare" or not page.is_file() or page.stat().st_size > LARGEST:
        return {}
    import wandb

    return {"overview/page": wandb.Html(str(page), inject=False)}
