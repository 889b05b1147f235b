"""One job from its composed configuration to its result folder."""

from __future__ import annotations

import importlib
import os
import platform
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import result as results
from src.configuration import identity, options, plain
from src.errors import UserError, full_disk, suggestion
from src.resolvers import ROOT, register
from src.result import Result
from src.sweep.jobs import is_done
from src.tasks.planning import version_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn")


def run_job(composed: DictConfig) -> dict[str, Any]:
    """Run the job, whatever comes: its result is on disk and told before this returns.

    Returns:
        The outcome for :mod:`src.sweep.outcomes`: ``status``, ``label``, ``verdict``, ``folder``, ``seconds``.
    """
    from hydra.core.hydra_config import HydraConfig

    from src.sweep.orphans import end_with_parent
    from src.sweep.running import record_single

    register()
    end_with_parent()
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    overrides = [line for line in hydra_config.overrides.task if not line.startswith("sweep.id=")]
    try:
        config = plain(composed)
        config["workers"] = _workers(config["workers"], hydra_config.launcher)
    except UserError as error:
        outcome = _refuse(str(error), folder)
        record_single(outcome)
        return outcome
    single = config["sweep"]["id"] is None and not str(hydra_config.mode).endswith("MULTIRUN")
    if not single:
        config["device"] = _device(config, hydra_config.launcher, hydra_config.job.num)
    try:
        outcome = _run_single(config, folder, overrides) if single else _run_in_sweep(config, folder, overrides)
    except OSError as error:  # not even a lock or a result can be written
        outcome = _refuse(full_disk(error, folder) or str(error), folder)
    if single:
        record_single(outcome)
    return outcome


def _run_single(config: Mapping[str, Any], folder: Path, overrides: list[str]) -> dict[str, Any]:
    with _alone(folder, say=True):
        return execute(config, folder, command=_command(overrides))


def _run_in_sweep(config: Mapping[str, Any], folder: Path, overrides: list[str]) -> dict[str, Any]:
    from src.sweep.outcomes import Outcomes

    settings = config["sweep"]
    outcomes = Outcomes(folder.parent, settings["id"]) if settings["id"] else None
    with _alone(folder):
        if outcomes and not settings["rerun"] and is_done(folder, identity(config), version_of(config["task"])):
            outcome = _outcome("ok", config["label"], "done by another sweep", folder)
        elif outcomes and _too_many(outcomes, settings["max_failures"]):
            outcome = _outcome("not started", config["label"], "too many have failed (sweep.max_failures)", folder)
        else:
            # which sweep ran it is nothing that a job found
            own = {**config, "sweep": {**settings, "id": None}}
            outcome = execute(own, folder, command=_command(overrides), quiet=True)
    if outcomes:
        outcomes.record(outcome)
    return outcome


@contextmanager
def _alone(folder: Path, say: bool = False) -> Iterator[None]:
    """Holds the job's folder: another sweep, or the worker of one that was killed, may be at this very job."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        if say:
            print(f"another process is at this job; waiting until it has ended ({folder})", flush=True)
        held = lock.acquire()
    with held:
        yield


def _workers(wanted: int | str, launcher: Mapping[str, Any]) -> int:
    """Threads of one job, where ``auto`` is its share of the cores under this launcher."""
    if wanted != "auto":
        return int(wanted)
    given = launcher.get("cpus_per_task") or launcher.get("ray", {}).get("remote", {}).get("num_cpus")
    if given:
        return max(1, int(given))
    cores = os.cpu_count() or 1
    jobs_at_once = launcher.get("n_jobs", 1)
    return max(1, cores // (cores if jobs_at_once < 0 else jobs_at_once))


def _device(config: Mapping[str, Any], launcher: Mapping[str, Any], number: int) -> str:
    """Where a job of a sweep runs: ``auto`` deals the GPUs that its process sees out to jobs that run at once."""
    alone = launcher["_target_"].endswith("BasicLauncher") or config.get("trainer", {}).get("devices", 1) > 1
    if config["device"] != "auto" or alone:
        return str(config["device"])
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{number % count}" if count > 1 else "auto"


def _too_many(outcomes: Any, most: int | None) -> bool:
    return most is not None and outcomes.failures() >= most


def _outcome(status: str, label: str, verdict: str, folder: Path, seconds: float = 0.0) -> dict[str, Any]:
    return {"status": status, "label": label, "verdict": verdict, "folder": str(folder), "seconds": seconds}


def execute(config: Mapping[str, Any], folder: Path, *, command: str = "", quiet: bool = False) -> dict[str, Any]:
    """Run the task that ``config`` names and write everything it leaves to ``folder``."""
    from src.report.session import Session

    session = Session(config, folder, quiet=quiet)
    start = time.time()
    result = Result(task=config["task"], name=f"{config['name']}/{config['label']}")
    _tell_damage(session, folder)
    try:
        result = _run_task(config, session)
    except Exception as error:
        result.status = "failed"  # at once: to say why may fail as well, and then it must not be taken for a success
        result.error = _one_line(error, folder)
        if config["traceback"]:
            traceback.print_exc()
    except BaseException as end:  # Ctrl-C, or whoever ends the process: never to be taken for a result
        result.status, result.error = "interrupted", "interrupted; the same command goes on from here"
        if isinstance(end.__cause__, SystemExit) and end.__cause__.code != 1:
            raise end.__cause__ from None  # a scheduler's: by this code it knows that it has to run the job again
        raise
    finally:
        result.name = f"{config['name']}/{config['label']}"
        result.config = dict(config)
        result.identity = identity(config)
        result.version = version_of(config["task"])
        result.environment = {**environment(config), "command": command}
        result.seconds = {**session.seconds, "all": round(time.time() - start, 2)}
        result.events = list(dict.fromkeys([*session.events, *result.events]))
        _finish(session, result, folder)
    return _outcome(result.status, config["label"], result.error or result.verdict, folder, result.seconds["all"])


def _tell_damage(session: Any, folder: Path) -> None:
    """An event where an earlier result of this job is about to be thrown away because it cannot be believed."""
    try:
        found = results.damage(folder)
    except FileNotFoundError:
        return
    if found:
        session.event(f"the result in this folder was damaged ({found}): made again")


def _finish(session: Any, result: Result, folder: Path) -> None:
    """Write the result. What says nothing of the job itself (Ctrl-C, a full disk) does not replace a finished one."""
    finished = is_done(folder, result.identity, result.version)
    try:
        if not (finished and result.status == "interrupted"):
            session.finish(result)
    except Exception as error:
        result.status, result.error = "failed", _one_line(error, folder)
        if not session.quiet:
            print(f"error: {result.error}", file=sys.stderr)
        bare = ("task", "name", "status", "error", "config", "identity", "version", "environment", "seconds", "events")
        if not finished:
            with suppress(Exception):
                results.save(Result(**{name: getattr(result, name) for name in bare}), folder)


def compare(config: Mapping[str, Any], folders: Sequence[Path], sweep: Path) -> dict[str, Any]:
    """The page over the jobs of a sweep, itself a result: ``<sweep>/overview/``."""
    chosen = {"task": "compare", "label": "overview", "folders": [str(folder) for folder in folders]}
    folder = sweep / "overview"
    try:
        with _alone(folder):  # another sweep in this folder may end at the same time
            return execute({**config, **chosen}, folder)
    except OSError as error:
        return _refuse(full_disk(error, folder) or str(error), folder)


def compare_again(folders: Sequence[Path], place: Path) -> None:
    """The same at will: as the newest of the jobs says that jobs like it are compared.

    Raises:
        UserError: the comparison failed.
    """
    newest = max((folder / results.FILE for folder in folders), key=lambda path: path.stat().st_mtime_ns)
    config = results.read_json(newest)["config"]
    chosen = {"task": "compare", "label": "overview", "folders": [str(folder) for folder in folders]}
    views = {"report": {"name": "page"}, "logger": {"name": "csv"}}
    outcome = execute({**config, **chosen, **views}, place)
    if outcome["status"] != "ok":
        raise UserError(outcome["verdict"])


def _one_line(error: Exception, folder: Path) -> str:
    """What the user has to know; the traceback of an error that is ours is kept in a file."""
    if isinstance(error, UserError):
        return str(error)
    full = full_disk(error, folder)
    if full:
        return full
    said, trace = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", folder / "traceback.txt"
    try:
        results.write_atomically(trace, traceback.format_exc())
    except OSError:
        return said
    return f"{said} (the whole traceback is in {trace})"


def _run_task(config: Mapping[str, Any], session: Any) -> Result:
    from src.store import Store
    from src.training.determinism import device_of, prepare

    name = config["task"]
    if name not in (*options("task"), "compare"):
        raise UserError(f"task={name}: no such task; {suggestion(str(name), options('task'))}")
    device_of(config["device"])  # said here, for a job that finds everything in the store would not notice
    prepare(threads=config["threads"], seed=config["seed"])
    task = getattr(importlib.import_module(f"src.tasks.{name}"), name)
    found: Result = task(config, Store(Path(config["outputs"]) / "store", session.event), session)
    return found


def environment(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a job ran on: versions, machine, revision. Recorded, never part of its identity."""
    import torch

    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "CPU",
        "cores": os.cpu_count(),
        "threads": config["threads"],
        "workers": config["workers"],
        "system": f"{platform.system()} {platform.machine()}",
        "revision": _revision(),
    }


def _revision() -> str:
    """The commit of the code, with a plus where files differ from it; empty outside a checkout."""
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"], capture_output=True, text=True
    )
    return described.stdout.strip()


def _command(overrides: list[str]) -> str:
    return shlex.join(["python", "-m", "src.run", *overrides])


def _refuse(message: str, folder: Path) -> dict[str, Any]:
    """The outcome of a job that was not run, or could not leave a word of it."""
    print(f"error: {message}", file=sys.stderr)
    return _outcome("failed", folder.name, message, folder)
