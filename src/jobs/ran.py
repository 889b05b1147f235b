"""A job or a sweep from Python: the same command line, checked and run the same way, and what it left as an object."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.errors import UserError
from src.core.own import named_on
from src.core.result import FILE, Result, load
from src.jobs.command_line import check_command_line, read_flags
from src.jobs.launching import check_launcher, launch
from src.report.rebuild import OVERVIEW
from src.report.screen import PAGE

if TYPE_CHECKING:
    import pandas as pd

    from src.report.frames import Results


@dataclass(frozen=True)
class Ran:
    """What ran.

    Attributes:
        folder: of the job, or of the sweep.
        sweep: whether there were several.
    """

    folder: Path
    sweep: bool

    @property
    def page(self) -> Path:
        """The page that explains it, one HTML file."""
        return self.folder / (OVERVIEW if self.sweep else PAGE)

    @cached_property
    def result(self) -> Result:
        """All that the job found, of a sweep the comparison of its jobs."""
        return load(self.page.parent)

    @property
    def findings(self) -> Mapping[str, "pd.DataFrame"]:
        """The tables of the result by name, as pandas frames."""
        import pandas as pd

        return {name: pd.DataFrame(table) for name, table in self.result.tables.items()}

    @property
    def frame(self) -> "Results":
        """A row per job and metric; see :func:`src.report.frames.load`."""
        from src.report import frames

        return frames.load(self.folder)

    def __repr__(self) -> str:
        verdict = self.result.verdict if (self.page.parent / FILE).exists() else "nothing ran"
        return f"{verdict}\npage    {self.page}"


def run(*overrides: str) -> Ran:
    """Run a command line as ``python -m src.run`` does; ``-m`` comes first.

    Raises:
        UserError: it is refused, or the job failed. The jobs of a sweep fail by themselves; its frame says so.
    """
    argv = named_on(list(overrides))
    flags = read_flags(argv)
    if flags.help or flags.cfg or flags.info or flags.hydra_help or flags.shell_completion:
        raise UserError(f"run({', '.join(argv)}): runs jobs; what can be asked is asked by python -m src.run")
    check_launcher(flags.overrides)
    line = check_command_line(argv)
    outcomes = launch(line)
    if line.multirun:
        return Ran(Path(line.composed.hydra.sweep.dir), True)
    (ended,) = outcomes
    if ended["status"] != "ok":
        raise UserError(ended["verdict"])
    return Ran(Path(ended["folder"]), False)
