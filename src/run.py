"""The one entry: ``python -m src.run experiment=patch_weak``. Alone or with ``--help`` it lists what there is.

From Python: ``from src.run import run; run("experiment=patch_weak").findings``.

Everything heavy is imported late: the list of experiments and a misspelt key answer at once.
"""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from src.jobs.ran import Ran

ROOT = Path(__file__).resolve().parents[1]
# as a script, Python would look beside this file first, where `statistics` hides the standard library's
elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT / "src"]
sys.path[:] = elsewhere if str(ROOT) in elsewhere else [str(ROOT), *elsewhere]

# Ray would copy the project into a throw-away folder, with all outputs, when it sees `uv run` (ray#50961).
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("WANDB_SILENT", "true")


def main(argv: list[str]) -> int:
    """Run the command line.

    Returns:
        0: every job ended well; 1: one failed or was not started; 2: nothing could be started; 130: Ctrl-C,
        143: SIGTERM, and what was under way is marked as interrupted.
    """
    ended: list[int] = []
    try:  # the imports are in it, too: they take most of the time until a job begins
        return _answer(argv, ended)
    except (KeyboardInterrupt, Exception) as error:
        if not ended and not isinstance(error, KeyboardInterrupt):
            raise
        exec("")  # where it came within such code (dataclasses), Python remembers and would end by the signal itself
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 128 + (ended[-1] if ended else signal.SIGINT)


def run(*overrides: str) -> "Ran":
    """The same from Python: ``run("-m", "experiment=patch_weak", "seed=0,1")``; see :func:`src.jobs.ran.run`."""
    from src.jobs import ran

    return ran.run(*overrides)


def _answer(argv: list[str], ended: list[int]) -> int:
    """The exit code of a command line that nobody ends; the signals that ask for its end are noted in ``ended``."""
    if not os.environ.get("CNN_ANATOMY_OUTPUTS"):  # empty is not set; its children must not see it either
        os.environ.pop("CNN_ANATOMY_OUTPUTS", None)

    def end(number: int, frame: object) -> None:
        ended.append(number)
        raise KeyboardInterrupt

    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # it is ignored in the background
    if ours:
        signal.signal(signal.SIGINT, end)
    try:
        from src.core.errors import UserError
        from src.jobs import asking

        if not argv or argv in (["-h"], ["--help"]):
            return asking.show(asking.overview())
        if argv == ["--version"]:
            return asking.show(asking.version())

        from src.core.own import named_on
        from src.core.redaction import redacted
        from src.jobs.command_line import check_command_line, one_job, read_flags
        from src.jobs.launching import check_launcher, launch

        try:
            if argv[0] == "--completion":
                return asking.show(asking.completion(*argv[1:2]))
            argv = named_on(argv)
            flags = read_flags(argv)
            if flags.shell_completion or flags.hydra_help:
                return asking.hydra_says(argv)
            check_launcher(flags.overrides)
            line = check_command_line(argv)
            if flags.help:
                return asking.show(asking.keys_of_interest(line))
            if flags.cfg or flags.info:
                return asking.hydra_says(one_job(argv, line.composer))
            if ended:  # Python drops what is raised in a callback of its garbage collector
                raise KeyboardInterrupt
            signal.signal(signal.SIGTERM, end)
            outcomes = launch(line)
        except UserError as error:
            if ended:  # Hydra makes an error of its own of whatever stops it
                raise KeyboardInterrupt from error
            print(f"error: {redacted(str(error), folders=False)}", file=sys.stderr)
            return 2
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    return int(any(outcome["status"] != "ok" for outcome in outcomes))


if __name__ == "__main__":  # "@hydra.main" is what Hydra's script for completion looks for in this file
    sys.exit(main(sys.argv[1:]))
