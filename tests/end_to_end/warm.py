"""A process that has imported everything heavy, and forks for each command line: a job in a process of its own, fast.

Reads one JSON request per line (``argv``, ``environment``, ``strike``, ``watch``), answers with one JSON line. Here is
imported only what every job needs: which packages of ``watch`` a command line has imported is told in its last line.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import sys
import tempfile
import time
from typing import Any


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command line to its end, or until its ``strike`` (signal, pattern of a file that says when)."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.environ.update(request["environment"])
            _work(request["argv"], request.get("watch") or [])
        number, pattern = request.get("strike") or (0, "")
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if number and glob.glob(pattern, recursive=True):
                os.kill(child, number)
                number = 0
            time.sleep(0.001)
        output.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "text": output.read().decode(errors="replace")}


def _work(argv: list[str], watch: list[str]) -> None:
    from src import run

    sys.argv = ["run.py", *argv]
    code: Any = 1
    try:
        code = run.main(argv)
    except SystemExit as error:
        code = error.code
    except KeyboardInterrupt:
        code = 130
        print("KeyboardInterrupt")
    except BaseException:
        import traceback

        traceback.print_exc()
    if watch:
        print("imported:", sorted(set(watch) & set(sys.modules)))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(bool(code)))


def main() -> None:
    import hydra  # noqa: F401
    import torch

    torch.set_num_threads(1)
    import src.job
    import src.report.screen
    import src.report.session
    import src.run
    import src.tasks.patch  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
