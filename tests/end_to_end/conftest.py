"""Command lines as a user gives them, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = ("debug=tiny", "traceback=false", "logger=csv", "report=none")


@dataclass
class Ran:
    """What a command line left: its exit code, all it printed, and the results below its outputs folder."""

    code: int
    text: str
    outputs: Path
    seconds: float = 0.0
    session: int = 0  # of its processes, see `man setsid`
    struck: bool = True  # False: it ended before the moment came
    twins: list[Ran] = field(default_factory=list)

    @property
    def results(self) -> list[dict[str, Any]]:
        """Every job's result.json, oldest first; a sweep leaves several, and beside them its stages and its page."""
        files = sorted(self.outputs.rglob("result.json"), key=lambda path: path.stat().st_mtime_ns)
        found = [{**json.loads(path.read_text()), "folder": path.parent} for path in files]
        return [plain for plain in found if plain["task"] != "compare" and not plain["config"]["until"]]

    @property
    def overview(self) -> dict[str, Any]:
        """The result of the one comparison that a sweep ended in."""
        (path,) = self.outputs.rglob("overview/result.json")
        return {**json.loads(path.read_text()), "folder": path.parent}

    @property
    def result(self) -> dict[str, Any]:
        (only,) = self.results
        return only

    @property
    def store(self) -> list[dict[str, Any]]:
        """The manifests of all entries that were built, each with its ``folder``."""
        paths = sorted(self.outputs.glob("store/[!q]*/*/manifest.json"))
        return [{**json.loads(path.read_text()), "folder": path.parent} for path in paths]


Run = Callable[..., Ran]
Strike = tuple[int, str | float] | tuple[int, str | float, str]


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """``run(outputs, *argv, strike=(signal, when, at whom), watch=[...], copies=1, largest_file=None, boundary={...},
    imports=[...], fakes=None, **environment)``.

    ``strike``: see :func:`tests.end_to_end.warm.answer`. ``watch`` names packages; the last line of the text then says
    which of them were imported. ``copies`` of the command run at once, the others are the first one's ``twins``.
    ``largest_file``: bytes that no file can outgrow. ``boundary``: see :func:`tests.end_to_end.boundaries.watch`.
    ``imports``: modules that this command line and all later ones need not import any more. ``fakes``: a module whose
    ``install`` puts fakes in the place of something.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "COLUMNS": "1000"}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.end_to_end.warm"],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def run_one(
        outputs: Path,
        *argv: str,
        strike: Strike | None = None,
        watch: Sequence[str] = (),
        copies: int = 1,
        largest_file: int | None = None,
        boundary: dict[str, Any] | None = None,
        imports: Sequence[str] = (),
        fakes: str | None = None,
        **more: str,
    ) -> Ran:
        moment = strike is not None and isinstance(strike[1], str)  # that a file is there for, which may be short
        before = tempfile.TemporaryDirectory() if moment else None
        if before:
            shutil.copytree(outputs, before.name, dirs_exist_ok=True)
        for _ in range(5):
            wishes = {"strike": strike, "watch": list(watch), "copies": copies, "largest_file": largest_file}
            wishes |= {"boundary": boundary, "imports": list(imports), "fakes": fakes}
            ran = run_once(outputs, *argv, wishes=wishes, **more)
            if ran.struck or not before:
                break
            shutil.rmtree(outputs)
            shutil.copytree(before.name, outputs)
        if before:
            before.cleanup()
        return ran

    def run_once(outputs: Path, *argv: str, wishes: dict[str, Any], **more: str) -> Ran:
        assert server.stdin and server.stdout
        settings = {"CNN_ANATOMY_OUTPUTS": str(outputs), **more}
        print(json.dumps({"argv": argv, "environment": settings, **wishes}), file=server.stdin, flush=True)
        first, *twins = [Ran(outputs=outputs, **answer) for answer in json.loads(server.stdout.readline())]
        first.twins = twins
        return first

    yield run_one
    server.communicate()


@pytest.fixture(scope="session")
def tiny(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The main job, tiny, in a folder and store of its own; look at it, do not touch it."""
    ran = run(tmp_path_factory.mktemp("tiny"), "experiment=patch_weak", *TINY, watch=["wandb", "plotly", "torch"])
    assert ran.code == 0, ran.text
    return ran
