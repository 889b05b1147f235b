"""A user's own folder: ``conf/``, ``studies/``, ``methods/`` and networks, named by ``own=FOLDER``.

The folder joins Python's path, so that ``python:nets:Net`` is ``FOLDER/nets.py``, and Hydra's (see src/plugins). Every
process of a job learns of it: the parent from its command line, a launcher's worker from the configuration.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from src.core.errors import UserError
from src.core.paths import CONF

VARIABLE = "CNN_ANATOMY_OWN"
KEY = "own="


def named_on(arguments: Sequence[str]) -> list[str]:
    """The command line with the folder's whole path; the environment names it to the processes that this one starts.

    Raises:
        UserError: there is no such folder.
    """
    lines = list(arguments)
    for number, line in enumerate(lines):
        named = line.removeprefix(KEY)
        if not line.startswith(KEY):
            continue
        if named in ("", "null"):
            os.environ.pop(VARIABLE, None)
            continue
        if named[0] in "'\"" and named[-1] == named[0]:
            named = named[1:-1]
        folder = _folder(named)
        os.environ[VARIABLE] = str(folder)
        escaped = str(folder).replace("'", "\\'").replace("${", "\\${")
        lines[number] = f"{KEY}'{escaped}'"
    return lines


def own_folder() -> Path | None:
    """The user's own folder.

    Raises:
        UserError: the environment names one that is not there.
    """
    return _folder(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def groups() -> list[Path]:
    """The folders that hold configuration groups: the project's, and the user's own if there is one."""
    mine = own_folder()
    return [CONF, mine / "conf"] if mine and (mine / "conf").is_dir() else [CONF]


def use(folder: str | None) -> None:
    """Let Python find the modules of the folder that a job's configuration names."""
    if folder:
        os.environ[VARIABLE] = str(_folder(folder))
    if (place := own_folder()) and str(place) not in sys.path:
        sys.path.insert(0, str(place))


def _folder(named: str) -> Path:
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise UserError(f"{KEY}{named}: no such folder; name one that holds conf/, studies/ or modules of yours")
    return folder
