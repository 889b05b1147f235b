"""A worker ends with the process that started it, whatever it was at."""

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: A sweep whose launcher starts joblib's workers for jobs that are none of ours, and then waits.
SWEEP = """
import os, sys, time
sys.path.insert(0, "src/plugins")
from hydra_plugins.anatomy_sweeper import AnatomySweeper
from joblib import Parallel, delayed

class Launcher:
    joblib = {"n_jobs": 2, "backend": "loky"}
    def launch(self, lines, initial_job_idx):
        print(*set(Parallel(**self.joblib)(delayed(wait)() for _ in lines)), flush=True)
        time.sleep(60)

def wait():
    time.sleep(0.2)
    return os.getpid()

sweeper = AnatomySweeper()
sweeper.launcher = Launcher()
sweeper._launch(["a", "b"])
"""


def test_a_worker_that_waits_for_a_job_ends_when_its_sweep_was_killed():
    with subprocess.Popen([sys.executable, "-c", SWEEP], cwd=ROOT, stdout=subprocess.PIPE, text=True) as sweep:
        assert sweep.stdout
        workers = [int(word) for word in sweep.stdout.readline().split()]
        assert workers and all(map(is_there, workers))
        sweep.send_signal(signal.SIGKILL)
        end = time.monotonic() + 10
        while any(map(is_there, workers)) and time.monotonic() < end:
            time.sleep(0.05)
    assert not any(map(is_there, workers))


def is_there(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
