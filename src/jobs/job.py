"""One job from its composed configuration to its result folder, alone or in a sweep, in whatever process."""

import importlib
import os
import shlex
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core import files
from src.core import result as results
from src.core.claims import alone
from src.core.configuration import identity
from src.core.errors import UserError, full_disk
from src.core.paths import ROOT
from src.core.redaction import hide_folders, redacted
from src.core.result import Result
from src.core.running import Running
from src.jobs import resolvers  # noqa: F401  (a worker of a launcher needs them known)
from src.jobs.border import plain, running_of
from src.jobs.callbacks import callbacks_of
from src.jobs.environment import device_used, environment
from src.jobs.needs import check_needs
from src.jobs.shares import device_of, jobs_at_once_of, workers_of
from src.jobs.sweep.jobs import is_done
from src.jobs.sweep.outcomes import Outcomes, outcome, refused
from src.report.over.over_seeds import read_job
from src.tasks.options import task_options
from src.tasks.versions import version_of
from src.training.loggers import views_of

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run_alone(values: Mapping[str, Any]) -> dict[str, Any]:
    """Run the job that a command line names; its result is on disk and told before this returns.

    Args:
        values: its configuration as :func:`src.jobs.border.plain` gives it.
    """
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    config = {**values, **_shared(values, hydra.launcher)}
    try:
        with alone(folder, say=True):
            return execute(config, folder, command=_command(hydra.overrides.task))
    except OSError as error:  # not even a claim or a result can be written
        return refused(full_disk(error, folder) or str(error), folder)


def run_in_sweep(composed: "DictConfig") -> dict[str, Any]:
    """Run a job as a launcher asks for it, whatever comes, and leave its outcome to the sweep.

    Returns:
        The outcome for :mod:`src.jobs.sweep.outcomes`: ``status``, ``label``, ``verdict``, ``folder``, ``seconds``.
    """
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    try:
        values = plain(composed)
    except UserError as error:
        return refused(str(error), folder)
    running = running_of(values)
    config = {**values, **_shared(values, hydra.launcher)}
    config["device"] = device_of(running, hydra.launcher, hydra.job.num)
    config["sweep"] = {**values["sweep"], "id": None, "ends": None}  # which sweep ran it is nothing that a job finds
    outcomes = Outcomes(folder.parent, running.sweep.id) if running.sweep.id else None
    try:
        with alone(folder):
            ended = _not_needed(outcomes, running, config, folder)
            if outcomes and not ended:
                outcomes.begin(folder)
            if not ended:
                check_needs(config)
                ended = execute(config, folder, command=_command(hydra.overrides.task), quiet=True)
    except (OSError, UserError) as error:
        ended = refused(full_disk(error, folder) or str(error), folder)
    if outcomes:
        with suppress(OSError):  # not even an outcome can be written
            outcomes.record(ended)
    return ended


def _shared(values: Mapping[str, Any], launcher: Mapping[str, Any]) -> dict[str, int]:
    """The job's share of cores and memory as numbers."""
    return {
        "workers": workers_of(values["workers"], launcher),
        "jobs_at_once": jobs_at_once_of(values["jobs_at_once"], launcher),
    }


def _not_needed(
    outcomes: Outcomes | None, running: Running, config: Mapping[str, Any], folder: Path
) -> dict[str, Any] | None:
    """The outcome of a job that another sweep has done meanwhile, or that is not to be started any more."""
    sweep = running.sweep
    if outcomes and not sweep.rerun and is_done(folder, identity(config), version_of(config)):
        return outcome("ok", running.label, "done by another sweep", folder)
    if sweep.ends is not None and time.time() >= sweep.ends:  # also of what several jobs share
        return outcome("not started", running.label, "the time is over (sweep.max_hours)", folder)
    if outcomes and sweep.max_failures is not None and outcomes.failures() >= sweep.max_failures:
        return outcome("not started", running.label, "too many have failed (sweep.max_failures)", folder)
    return None


def _command(overrides: Sequence[str]) -> str:
    """What runs this very job alone."""
    return shlex.join(["python", "-m", "src.run", *(line for line in overrides if not line.startswith("sweep."))])


def execute(config: Mapping[str, Any], folder: Path, *, command: str = "", quiet: bool = False) -> dict[str, Any]:
    """Run the task that ``config`` names and write everything it leaves to ``folder``."""
    from src.report.session import Session

    running = running_of(config)
    places = {"~": "~", "project": str(ROOT), "own": running.own}
    hide_folders({**places, "outputs": running.outputs, "data_root": running.data_root})
    start = time.time()
    ran_on = {**environment(running), "command": command}
    views = views_of(running, config, folder)
    session = Session(config, running, folder, quiet=quiet, environment=ran_on, views=views)
    result = Result(task=config["task"], name=f"{running.name}/{running.label}")
    version = version_of(config)  # of the code that will run, whatever is edited meanwhile
    _tell_damage(session, folder)
    results.remove_partial(folder)
    try:
        result = _run_task(config, running, session)
    except Exception as error:
        result.status = "failed"  # at once: to say why may fail as well, and then it must not be taken for a success
        result.error = _one_line(error, folder)
        if running.traceback is True or (running.traceback and not isinstance(error, UserError)):
            print(redacted(traceback.format_exc(), folders=False), end="", file=sys.stderr)
    except BaseException as end:  # Ctrl-C, or whoever ends the process: never to be taken for a result
        result.status, result.error = "interrupted", "the same command goes on from here"
        if isinstance(end.__cause__, SystemExit) and end.__cause__.code != 1:
            raise end.__cause__ from None  # a scheduler's: by this code it knows that it has to run the job again
        raise
    finally:
        result.name = f"{running.name}/{running.label}"
        result.config = dict(config)
        result.identity = identity(config)
        result.version = version
        result.environment = {**ran_on, "device": device_used(running)}
        result.seconds = {**session.seconds, "all": round(time.time() - start, 2)}
        result.events = list(dict.fromkeys([*session.events, *result.events]))
        _finish(session, result, folder)
    return outcome(result.status, running.label, result.error or result.verdict, folder, result.seconds["all"])


def _tell_damage(session: Any, folder: Path) -> None:
    """An event where an earlier result of this job is about to be thrown away because it cannot be believed."""
    try:
        damage = results.damage(folder)
    except FileNotFoundError:
        return
    if damage:
        session.event(f"the result in this folder was damaged ({damage}): made again")


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
    chosen = _comparison(folders)
    folder = sweep / "overview"
    try:
        with alone(folder):  # another sweep in this folder may end at the same time
            return execute({**config, **chosen}, folder)
    except OSError as error:
        return refused(full_disk(error, folder) or str(error), folder)


def compare_again(folders: Sequence[Path], place: Path) -> None:
    """The same at will: as the newest of the jobs says that jobs like it are compared.

    Raises:
        UserError: the comparison failed, or no result is whole.
    """
    newest_first = sorted(folders, key=lambda folder: -(folder / results.FILE).stat().st_mtime_ns)
    config = next((plain["config"] for plain in map(read_job, newest_first) if plain.get("config")), None)
    if config is None:
        raise UserError(f"{place.parent}: none of its results can be read; run the same command again")
    chosen = _comparison(folders)
    if left := read_job(place).get("config", {}).get("sweep", {}).get("open"):  # no job's result tells of these
        chosen["sweep"] = {**config["sweep"], "open": left}
    # a result does not say where it was made, and may lie elsewhere by now
    sweep = Path(os.path.abspath(place)).parent
    outputs = next((above for above in sweep.parents if (above / "store").is_dir()), sweep.parent)
    where = {"outputs": str(outputs), "data_root": str(outputs / "data"), "own": None}
    where["name"] = str(sweep.relative_to(outputs))
    views = {"report": {"name": "page"}, "logger": {"name": "csv"}}
    ended = execute({**config, **chosen, **where, **views}, place)
    if ended["status"] != "ok":
        raise UserError(ended["verdict"])


def _comparison(folders: Sequence[Path]) -> dict[str, Any]:
    """What differs from the jobs; the seed of none of them, so that the page made again has the same intervals."""
    return {"task": "compare", "label": "overview", "folders": [str(folder) for folder in folders], "seed": 0}


def _one_line(error: Exception, folder: Path) -> str:
    """What the user has to know; the traceback of an error that is ours is kept in a file."""
    if isinstance(error, UserError):
        return str(error)
    full = full_disk(error, folder)
    if full:
        return full
    said, trace = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", folder / "traceback.txt"
    try:
        files.write_atomically(trace, redacted(traceback.format_exc()))
    except OSError:
        return said
    return f"{said} (the whole traceback is in {trace})"


def _run_task(config: Mapping[str, Any], running: Running, session: Any) -> Result:
    from src.artifacts.artifacts import Artifacts
    from src.core.store import Store
    from src.training.determinism import prepare

    name = config["task"]
    prepare(threads=running.threads, seed=config["seed"])
    task = getattr(importlib.import_module(f"src.tasks.{name}"), name)
    store = Store(Path(running.outputs) / "store", session.event, session.making)
    result: Result = task(*task_options(config), Artifacts(running, store, session, callbacks_of(config)))
    return result
