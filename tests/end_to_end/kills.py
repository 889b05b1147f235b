"""What a fault test needs: moments drawn from a run's own time, what must be equal afterwards, and who is alive."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    from tests.end_to_end.conftest import Ran, Run

TINY = ("debug=tiny", "traceback=false", "logger=csv", "report=none")
VARIANTS = ("experiment=layer_widths", "variant=192,150,baseline", "shrink.at_most.epochs=3", *TINY)
#: name -> a command line that a kill programme breaks
COMMANDS = {
    "sweep": VARIANTS,
    "cores": (*VARIANTS, "hydra/launcher=cores"),
    "job": ("experiment=patch_weak", *TINY),
    "patches": ("-m", "experiment=patch_weak", "target_class=0,1", *TINY),
}
#: in a result, but nothing that it found
APART = ("seconds", "environment", "files", "checksum", "folder", "config")  # its identity says what it was made of
RESUMED = re.compile("damaged|began anew|goes on|resumed")


def killed(run: Run, folder: Path, argv: tuple[str, ...], whole: float, random: Random) -> bool:
    """Run ``argv`` in ``folder`` and kill it at a moment drawn from ``whole``, its seconds; False where it was done."""
    moment = random.uniform(0.02, 0.98) * whole
    ran = run(folder, *argv, strike=(signal.SIGKILL, moment))
    print(f"killed after {moment:.2f} of {whole:.2f} s, code {ran.code}")
    assert ran.code in (-signal.SIGKILL, 0), ran.text
    return ran.code != 0


def numbers(ran: Ran) -> dict[str, Any]:
    """Every number of every result and every weight of the store, by file; what tells of time and place left out."""
    found: dict[str, Any] = {}
    for result in ran.results:
        job = result["folder"].relative_to(ran.outputs)
        found[str(job)] = _of_result(result)
    if list(ran.outputs.rglob("overview/result.json")):
        found["overview"] = _of_result(ran.overview)
    for path in sorted(ran.outputs.glob("store/[!q]*/**/*.safetensors")):
        assert ".work" not in str(path), f"{path} was left by a build that never ended"
        found[str(path.relative_to(ran.outputs))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _of_result(result: dict[str, Any]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    found = {key: _timeless(value) for key, value in result.items() if key not in APART}
    found["events"] = [event for event in result["events"] if not RESUMED.search(event)]
    for name in result["tables"]:
        table = pq.read_table(result["folder"] / "tables" / f"{name}.parquet").to_pydict()
        found[f"table {name}"] = repr({key: value for key, value in table.items() if "seconds" not in key})
    for name in result["images"]:
        found[f"image {name}"] = hashlib.sha256((result["folder"] / "figures" / f"{name}.png").read_bytes()).hexdigest()
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if "seconds" not in key}
    return value


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Where two of :func:`numbers` differ."""
    named = [f"only in one of them: {name}" for name in sorted(first.keys() ^ second.keys())]
    for name in sorted(first.keys() & second.keys()):
        one, two = (json.dumps(found[name], sort_keys=True, default=str) for found in (first, second))
        if one != two:
            at = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
            named.append(f"{name}: ...{one[max(0, at - 60) : at + 60]} | {two[max(0, at - 60) : at + 60]}")
    return named


def processes(session: int) -> dict[int, str]:
    """The living processes of a session: id -> command line."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, own = (place / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state != "Z":
                found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended as we looked
            continue
    return found


def gone(session: int, seconds: float = 20.0) -> bool:
    """Whether all processes of a session end within so many seconds."""
    end = time.monotonic() + seconds
    while processes(session) and time.monotonic() < end:
        time.sleep(0.05)
    return not processes(session)
