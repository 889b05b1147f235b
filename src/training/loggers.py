"""A job's curves and final numbers through Lightning's own loggers: TensorBoard and MLflow, beside ``curves.csv``.

They are told by the session and not by Lightning's trainer: a network that lies in the store has its curves, too. What
fails here is told as an event and never costs a result.
"""

import logging
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.errors import UserError
from src.core.files import write_atomically
from src.core.redaction import redacted
from src.core.result import Result
from src.core.running import PROVENANCE, MLflow, Running, TensorBoard
from src.core.store import digest_of

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

#: Section of ``logger``, which is also the extra and the package that it takes.
NAMES = ("tensorboard", "mlflow")


def check_loggers(logger: Mapping[str, Any]) -> None:
    """Refuse a logger whose package is not installed; nothing is imported.

    Raises:
        UserError: says how to install it.
    """
    for name in NAMES:
        if logger.get(name) is not None and find_spec(name) is None:
            raise UserError(f"logger={name}: the package is not installed; run uv sync --extra {name}", "logger")


class LightningView:
    """One of Lightning's loggers, started at the first number that there is.

    Args:
        name: of :data:`NAMES`.
        start: makes the logger.
        config: what is shown of the job's configuration.
        place: its folder, of which nothing is left that an earlier run of the same job wrote.
    """

    def __init__(self, name: str, start: Callable[[], "Logger"], config: Mapping[str, Any], place: Path) -> None:
        self.name = name
        self.start = start
        self.config = config
        self.place = place
        self.events: list[str] = []
        self._logger: Logger | None = None

    def log(self, series: str, step: int, metrics: Mapping[str, float]) -> None:
        """Points of curves, as ``series/metric`` over ``step``."""
        place = re.sub(r"[^\w./-]+", "_", series)  # as both allow it
        points = {f"{place}/{name}": value for name, value in metrics.items() if name != "epoch"}
        self._try("curves", lambda: self._started().log_metrics(points, step))

    def publish(self, result: Result) -> list[str]:
        """The configuration, the final metrics and the verdict; returns what went wrong."""
        final = dict(_final(result))
        verdict = {"status": result.status, "verdict": redacted(result.verdict or result.error)}

        def send() -> None:
            logger = self._started()
            if self.name == "tensorboard":
                logger.log_hyperparams(dict(self.config), final)  # in its table of runs
                for name, text in verdict.items():
                    logger.experiment.add_text(name, text)  # type: ignore[attr-defined]
            else:
                logger.log_hyperparams(dict(self.config))
                logger.log_metrics(final)
                for name, text in verdict.items():
                    logger.experiment.set_tag(logger.version, name, text)  # type: ignore[attr-defined]
            logger.finalize("success" if result.status == "ok" else "failed")
            for path in self.place.rglob("meta.yaml"):  # MLflow's say where this machine has its folders
                write_atomically(path, redacted(path.read_text(encoding="utf-8")))

        self._try("metrics", send)
        return self.events

    def _started(self) -> "Logger":
        if self._logger is None:
            # it warns of an experiment that it creates
            logging.getLogger("pytorch_lightning.loggers.mlflow").setLevel(logging.ERROR)
            shutil.rmtree(self.place, ignore_errors=True)
            self._logger = self.start()
        return self._logger

    def _try(self, what: str, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            event = f"{self.name}: {what} could not be logged ({said}); the result on disk is complete"
            if event not in self.events:
                self.events.append(event)


def views_of(running: Running, config: Mapping[str, Any], folder: Path) -> list[LightningView]:
    """The loggers that a job's configuration names.

    Args:
        config: of the job; what decides nothing that it finds is not shown.
        folder: the job's.
    """
    board, flow = running.logger.tensorboard, running.logger.mlflow
    deciding = {key: value for key, value in redacted(config).items() if key not in PROVENANCE}
    starts: dict[str, Callable[[], Logger]] = {}
    if board is not None:
        starts["tensorboard"] = partial(_tensorboard, board, folder)
    if flow is not None:
        starts["mlflow"] = partial(_mlflow, flow, running.name, folder)
    return [LightningView(name, start, deciding, folder / name) for name, start in starts.items()]


def _tensorboard(options: TensorBoard, folder: Path) -> "Logger":
    from pytorch_lightning.loggers import TensorBoardLogger

    return TensorBoardLogger(
        folder, name="", version="tensorboard", default_hp_metric=False, flush_secs=options.flush_secs
    )


def _mlflow(options: MLflow, experiment: str, folder: Path) -> "Logger":
    # read when it is imported: nothing is reported to its makers, and folders are still allowed as a store
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient
    from pytorch_lightning.loggers import MLFlowLogger

    job = digest_of([experiment, folder.name])[:16]
    where = options.tracking_uri or (folder / "mlflow").resolve().as_uri()
    if not options.tracking_uri:  # a process that runs the job again has MLflow's old view of the folder
        (folder / "mlflow" / ".trash").mkdir(parents=True)
    client = MlflowClient(where)
    if there := client.get_experiment_by_name(experiment):  # on a server: a job that was killed or is run again
        for run in client.search_runs([there.experiment_id], f"tags.job = '{job}'"):
            client.delete_run(run.info.run_id)
    tags = {**options.tags, "job": job, "mlflow.source.name": "src.run"}
    return MLFlowLogger(experiment_name=experiment, run_name=folder.name, tracking_uri=where, tags=tags)


def _final(result: Result) -> Iterator[tuple[str, float]]:
    for name, estimate in result.metrics.items():
        for key, value in estimate.columns(name).items():
            if math.isfinite(value):
                yield key, float(value)
