"""The one entry: ``python -m src.run experiment=patch_weak``. Alone or with ``--help`` it lists what there is.

Everything heavy is imported late: the list of experiments and a misspelt key answer at once.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Ray would copy the project into a throw-away folder, with all outputs, when it sees `uv run` (ray#50961).
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("WANDB_SILENT", "true")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src" / "plugins"))  # Hydra looks for its plugins in the package hydra_plugins

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Launchers that do not come with the project: what they are -> the package of Hydra's that its extra installs.
EXTRAS = {"ray": "hydra_ray_launcher", "slurm": "hydra_submitit_launcher"}

USAGE = """\
cnn-anatomy: take convolutional networks apart, reuse the parts, measure what they respond to

  python -m src.run experiment=NAME [key=value ...]        one job
  python -m src.run -m experiment=NAME key=a,b,c           a sweep; hydra/launcher=cores uses all cores
  python -m src.run experiment=NAME debug=tiny             the same in seconds, to see that it runs
  python -m src.run experiment=NAME --cfg job              every key and its value
"""


def overview() -> str:
    """Experiments and tasks with the first comment line of their files."""
    lines = [USAGE]
    for group, title in (("experiment", "experiments (experiment=...)"), ("task", "tasks (task=...)")):
        lines.append(title)
        for path in sorted((ROOT / "conf" / group).glob("*.yaml")):
            lines.append(f"  {path.stem:<25}{_first_comment(path)}")
        lines.append("")
    return "\n".join(lines)


def _first_comment(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        comments = (line[1:].strip() for line in file if line.startswith("#") and "@package" not in line)
        return next(comments, "")


def job(config: DictConfig) -> Mapping[str, Any]:
    """One job of Hydra's, in whatever process its launcher chose."""
    from src.jobs.launched import run_job

    return run_job(config)


def missing_extra(argv: Sequence[str]) -> str:
    """The extra of the launcher that ``argv`` names, where it is not installed."""
    chosen = [line.partition("=")[2] for line in argv if line.startswith("hydra/launcher=")]
    return next((name for name in chosen if name in EXTRAS and not find_spec(f"hydra_plugins.{EXTRAS[name]}")), "")


def main(argv: list[str]) -> int:
    """Run the command line.

    Returns:
        0: every job ended well; 1: one failed or was not started; 2: nothing could be started; 130: Ctrl-C,
        143: SIGTERM, and what was under way is marked as interrupted.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        return 0

    import hydra

    from src.core.errors import UserError
    from src.core.own import named_on
    from src.jobs.command_line import check_command_line
    from src.jobs.resolvers import register
    from src.jobs.sweep import running

    register()
    running.forget()
    # the plugin's own launcher has the same name as ours, which says all that it says and more
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/ray' is validated against ConfigStore")
    try:
        argv = named_on(argv)
        sys.argv[1:] = argv  # Hydra reads them there
        check_command_line(argv)
        if extra := missing_extra(argv):
            raise UserError(f"hydra/launcher={extra} needs more packages; install them by: uv sync --extra {extra}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    ended = []

    def terminate(number: int, frame: object) -> None:
        ended.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    try:
        hydra.main(version_base="1.3", config_path=str(ROOT / "conf"), config_name="config")(job)()
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 128 + signal.SIGTERM if ended else 130
    return running.exit_code()


if __name__ != "__main__":  # a worker of a launcher imports this module under another name
    from src.jobs.resolvers import register

    register()
elif __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
