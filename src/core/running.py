"""Where and how a job runs: recorded with its result, and never part of what decides it."""

import re
from dataclasses import fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Predicate

from src.core.options import Count, Whole, Words, options


def _is_device(word: str) -> bool:
    return bool(re.fullmatch(r"auto|cpu|cuda(:\d+)?", word))


def _is_place(path: str) -> bool:
    return bool(path) and "${" not in path and "\0" not in path  # Hydra takes a folder's name for an interpolation


def _is_project(name: str) -> bool:
    return 0 < len(name) <= 128 and not set(name) & set("/\\#?%:")


def _is_folder(name: str) -> bool:
    return _is_place(name) and not name.startswith("/") and ".." not in name.split("/")


Place = Annotated[str, Predicate(_is_place), Words("the name of a folder, without ${")]
FolderName = Annotated[str, Predicate(_is_folder), Words("words without .. and ${")]
Share = Literal["auto"] | Count
Project = Annotated[str, Predicate(_is_project), Words("1 to 128 characters without / \\ # ? % :")]


@options
class TensorBoard:
    """Lightning's logger of event files, in ``tensorboard/`` of the job's folder."""

    flush_secs: Count


@options
class MLflow:
    """Lightning's logger of MLflow.

    Attributes:
        tracking_uri: of a server; None: files in ``mlflow/`` of the job's folder.
        tags: of the run.
    """

    tracking_uri: str | None
    tags: dict[str, str]


@options
class Logger:
    """Where curves and results are sent to, beside the job's folder.

    Attributes:
        entity: a user or a team, None for the account's own. tags: beside those of data, model and study.
        artifacts: what is sent of networks: nothing, what is known of them, or their files.
        save_code: the source, in each run. system_metrics: use of processors and memory while a job runs.
    """

    name: Literal["csv", "wandb"] = "csv"  # what logger=tensorboard and logger=mlflow say nothing of
    project: Project = "cnn-anatomy"
    entity: str | None = None
    mode: Literal["auto", "online", "offline", "disabled"] = "disabled"
    tags: tuple[str, ...] = ()
    notes: str | None = None
    artifacts: Literal["none", "metadata", "weights"] = "metadata"
    save_code: bool = False
    system_metrics: bool = False
    tensorboard: TensorBoard | None = None
    mlflow: MLflow | None = None


@options
class Report:
    """What is made of a result."""

    name: Literal["page", "none"]


@options
class Sweep:
    """Which jobs of a sweep are run, and how.

    Attributes:
        where: over the swept keys, see :func:`src.jobs.sweep.grid.chosen`. sample: jobs of a balanced part of the grid.
        max_hours: after which no job is started. max_failures: the same.
        confirm_above: jobs that are started without asking.
        id, ends, open: set by the sweep itself: its name, when it ends (seconds since 1970), jobs left out by a sample.
    """

    max_failures: Count | None
    rerun: bool
    id: str | None
    dry_run: bool = False  # results of before know only the three above
    where: str | None = None
    sample: Count | None = None
    confirm_above: Count | None = None
    max_hours: Annotated[float, Gt(0)] | None = None
    ends: float | None = None
    open: Whole | None = None


@options
class Trainer:
    """Processes that train one network together."""

    devices: Annotated[int, Ge(1)]


@options
class Running:
    """Everything of a configuration that decides nothing that a job finds.

    Attributes:
        name: folder of the results. label: of the job; the readable part of its folder, cut where it is long.
        threads: of one operation. workers: threads that evaluate candidates side by side.
        jobs_at_once: jobs that share this machine's memory, or that of one of its GPUs.
        traceback: shown of a failure; ``faults``: only where it is not the user's to mend.
        resume_every: seconds between checkpoints of a training.
        until: stage after which the job stops.
        comparison: how the page over a sweep compares its jobs.
        own: a user's own folder.
    """

    name: FolderName
    label: FolderName
    device: Annotated[str, Predicate(_is_device), Words("auto, cpu, cuda, cuda:1", {"gpu": "cuda", "gpu:0": "cuda:0"})]
    threads: Count
    workers: Share
    jobs_at_once: Share
    outputs: Place
    data_root: Place
    logger: Logger
    report: Report
    traceback: Annotated[bool | Literal["faults"], Words("true, false, faults")]
    resume_every: Whole
    until: Annotated[Literal["strong", "modules"] | None, Words("null, or a stage of the task: strong, modules")]
    comparison: dict[str, Any] | None
    sweep: Sweep
    trainer: Trainer | None = None  # of the tasks that can use several GPUs
    own: str | None = None


#: Recorded with a result, but another value makes no other result.
PROVENANCE = tuple(field.name for field in fields(Running))
