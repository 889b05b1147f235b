"""A process that has imported everything heavy, and forks for each command line: a job in a process of its own, fast.

Reads one JSON request per line (``argv``, ``environment``, ``strike``, ``watch``, ``copies``, ``largest_file``,
``boundary``, ``imports``, ``fakes``), and answers with one JSON line. Here is imported only what every job needs, and
``imports``: which packages of ``watch`` a command line has imported is told in its last line.
"""

from __future__ import annotations

import glob
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from typing import IO, Any

from tests.end_to_end import boundaries
from tests.end_to_end.kills import processes


def answer(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one command line, or ``copies`` of it at once, to its end or until its ``strike``: signal, when, at whom.

    When: the pattern of a file that must exist first, or seconds after the start. At whom: the ``command`` itself, one
    ``worker`` of its launcher, or ``all`` its processes, as a terminal does at Ctrl-C.
    """
    outputs: list[IO[bytes]] = [tempfile.TemporaryFile() for _ in range(request.get("copies") or 1)]  # noqa: SIM115
    start = time.monotonic()
    children = [_start(request, output) for output in outputs]
    number, when, whom = [*(request.get("strike") or (0, "")), "command"][:3]
    struck = not number
    codes: dict[int, int] = {}
    while len(codes) < len(children):
        for child in set(children) - set(codes):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                codes[child] = os.waitstatus_to_exitcode(status)
        late = time.monotonic() - start >= when if isinstance(when, int | float) else glob.glob(when, recursive=True)
        if number and late and len(codes) < len(children) and _strike(children[0], number, whom):
            number, struck = 0, True
        time.sleep(0.001)
    seconds = time.monotonic() - start
    return [
        {"code": codes[child], "text": _text(output), "seconds": seconds, "session": child, "struck": struck}
        for child, output in zip(children, outputs, strict=True)
    ]


def _start(request: dict[str, Any], output: IO[bytes]) -> int:
    child = os.fork()
    if child == 0:
        if request.get("strike"):
            os.nice(10)  # who waits for a moment to strike must not miss it on a busy machine
        os.setsid()  # so that whatever it starts can be told from what others started
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(request["environment"])
        if request.get("largest_file"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"],) * 2)
        if request.get("fakes"):
            importlib.import_module(request["fakes"]).install()
        if request.get("boundary"):
            boundaries.watch(os.environ["CNN_ANATOMY_OUTPUTS"], **request["boundary"])
        _work(request["argv"], request.get("watch") or [])
    return child


def _strike(child: int, number: int, whom: str) -> bool:
    """Whether there was one to strike."""
    if whom == "worker":
        workers = [pid for pid, line in processes(child).items() if "popen_loky" in line]
        for worker in workers[:1]:
            os.kill(worker, number)
        return bool(workers)
    (os.killpg if whom == "all" else os.kill)(child, number)
    return True


def _text(output: IO[bytes]) -> str:
    with output:
        output.seek(0)
        return output.read().decode(errors="replace")


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
    import src.jobs.job
    import src.jobs.launching
    import src.report.screen
    import src.report.session
    import src.run
    import src.tasks.patch  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        for name in request.get("imports") or []:
            importlib.import_module(name)
        print(json.dumps(answer(request)), flush=True)


if __name__ == "__main__":
    main()
