"""A job's view on Weights & Biases: one run per job, offline unless someone is logged in.

W&B is only a view. Whatever fails here is told as an event and never costs a result or waits for a keyboard.
A run that is begun again under the same id takes the place of the earlier one, here and at the server: a job tells all
that it knows each time, also what it had told before a kill.
"""

import math
import netrc
import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from src.report.wandb_run import WandbRun, short

PATIENCE = 20.0  # seconds to wait for the server at the start
FINISH = 120.0  # and at the end; what was not sent by then stays in the run's folder for `wandb sync`
GIVEN_UP = 600.0  # seconds after a server did not answer, in which it is not asked again
STAGE = "stage"  # job type of what several jobs share
#: Where W&B puts what it has not sent yet, and its service its log.
STAGING = ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR")


_silent_since = -math.inf  # when a server did not answer this process


def logged_in() -> bool:
    """Whether a key is at hand, in the environment or in the netrc file; asks nobody and imports nothing."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    for path in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        try:
            if path and netrc.netrc(os.path.expanduser(path)).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def choose_mode(wish: str = "auto") -> tuple[str, str]:
    """(mode, event): WANDB_MODE if set, else the wish; ``auto`` is online when logged in and offline otherwise."""
    mode = os.environ.get("WANDB_MODE") or wish
    if mode == "dryrun":  # W&B's old name
        mode = "offline"
    if mode in ("offline", "disabled"):
        return mode, ""
    if logged_in():
        return "online", ""
    # W&B would ask for a key and wait
    event = "W&B: not logged in, so the run was kept offline (log in with: wandb login)" if mode == "online" else ""
    return "offline", event


@contextmanager
def staged_in(folder: Path) -> Iterator[None]:
    """What W&B puts aside while a run is open lies in ``folder`` and goes at the end; where a user chose, it is his."""
    chosen = [name for name in STAGING if name not in os.environ]
    os.environ.update(dict.fromkeys(chosen, str(folder)))
    try:
        yield
    finally:
        for name in chosen:
            os.environ.pop(name, None)
        shutil.rmtree(folder, ignore_errors=True)


def start(
    folder: Path,
    *,
    project: str,
    entity: str | None = None,
    run_id: str = "",
    group: str = "",
    job_type: str = "",
    tags: Sequence[str] = (),
    name: str = "",
    notes: str | None = None,
    mode: str = "auto",
    commit: str = "",
    system_metrics: bool = False,
    config: Mapping[str, Any] | None = None,
) -> WandbRun:
    """Begin a run in ``folder/wandb``; the variable WANDB_MODE is stronger than ``mode``.

    Never raises, prompts or waits for long; see ``WandbRun.events``. A run of the same id takes the place of the one
    before it, there as at the server.
    """
    chosen, event = choose_mode(mode)
    events = [event] if event else []
    if chosen == "disabled":
        return WandbRun(events=events)
    os.environ.setdefault("WANDB_SILENT", "true")  # read when wandb is imported
    fields = {
        "project": project,
        "entity": entity,
        "id": run_id or None,
        "group": group or None,
        "job_type": job_type or None,
        "tags": [tag[:64] for tag in dict.fromkeys(tags) if tag],  # longer ones are refused
        "name": name or None,
        "notes": notes,
        "config": dict(config or {}),
        "settings": {"git_commit": commit or None, "x_disable_stats": not system_metrics},
    }
    global _silent_since
    if chosen == "online" and time.monotonic() - _silent_since < GIVEN_UP:
        events.append("W&B: the server did not answer a while ago; the run was kept offline")
        chosen = "offline"
    begun = time.monotonic()
    for attempt in dict.fromkeys((chosen, "offline")):
        try:
            run = _init(folder, attempt, fields)
            place = Path(run.dir).parent
            _remove_earlier(place, f"*run-*-{run_id}" if job_type == STAGE else "*run-*")
            sync = f"offline, send it with: wandb sync {shlex.quote(str(place))}"
            return WandbRun(run, events, str(run.url) if attempt == "online" else sync, attempt)
        except Exception as error:
            if attempt == "online" and (isinstance(error, TimeoutError) or time.monotonic() - begun > PATIENCE / 2):
                _silent_since = time.monotonic()  # and not where it refused this one run
            kept = "; the run was kept offline" if attempt == "online" else "; there is no W&B run"
            events.append(f"W&B: {attempt} run could not be started ({short(error)}){kept}")
    return WandbRun(events=events)


def _init(folder: Path, mode: Any, fields: Mapping[str, Any]) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "silent": True,
        "console": "off",  # our screen is not W&B's to copy
        "symlink": False,
        "init_timeout": PATIENCE,
        "finish_timeout": FINISH,
        "disable_git": True,  # what is known of code and machine is sent by us, without names and places
        "disable_code": True,
        "host": "",
        "program": "src.run",
        "x_disable_meta": True,
        "x_transaction_log_flush_interval": 1.0,  # `wandb sync` gives up on all runs where one of a killed job is empty
        "x_save_requirements": False,
        **fields["settings"],
    }
    fields = {key: value for key, value in fields.items() if key != "settings"}
    with _unset("WANDB_RESUME", "WANDB_RUN_ID") as variables:
        import wandb

        if os.environ.get("WANDB_SWEEP_ID") and fields["job_type"] != STAGE:  # W&B's agent waits for the run it named
            fields["id"] = variables["WANDB_RUN_ID"] or fields["id"]
        known = {key: value for key, value in settings.items() if key in wandb.Settings.model_fields}
        # create_new: a run that an earlier job of this process left open is not reused silently
        return wandb.init(dir=folder, mode=mode, reinit="create_new", settings=wandb.Settings(**known), **fields)


@contextmanager
def _unset(*names: str) -> Iterator[dict[str, str | None]]:
    """Without these variables, which would make one run of all that a process starts."""
    before = {name: os.environ.pop(name, None) for name in names}
    try:
        yield before
    finally:
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _remove_earlier(place: Path, pattern: str) -> None:
    """What an earlier process kept of the same run: it is told anew, and whole. A job's folder has one run."""
    for earlier in place.parent.glob(pattern):
        if earlier != place:
            shutil.rmtree(earlier, ignore_errors=True)
