"""The other long programme: a kill before each operation that changes a file, outside CI.

    TRIALS=250 python -m pytest -m slow -n 0 -s tests/end_to_end/test_kill_boundaries.py

After each kill the same command runs again; ``-k training`` takes one of the programmes. ``TRIALS`` are the most of one
programme: of more operations it takes some, evenly.
"""

import os
import shutil
import signal

import pytest

from src.core.files import checksum, damaged_file, read_json
from tests.end_to_end import boundaries, kills
from tests.end_to_end.conftest import TINY

TRIALS = int(os.environ.get("TRIALS", "250"))  # of one programme, at most
IMPORTS = ("pandas", "pyarrow.parquet", "src.tasks.compare", "src.tasks.modularize", "src.tasks.train")
THREE = ("strong.data.classes=[0,1,2]", "workers=1", *TINY)
#: name -> a command line
PROGRAMMES = {
    "training": ("task=train", "recipe.training.keep_every=1", "shrink.at_most.epochs=3", *TINY),
    "search": ("task=modularize", *THREE),
    "patch": ("experiment=patch_weak", "weak.data.mix.others=[10,11]", *THREE),
    "sweep": ("-m", "task=train", "seed=0,1,2", *TINY),
}
STORED = {"search": "strong", "patch": "modules"}  # stage whose kills another programme has
FAKES = {"sweep": "tests.fakes.jobs"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("name", PROGRAMMES)
def test_killed_before_each_operation_it_ends_with_the_same_numbers(name, run, tmp_path, capsys):
    def once(folder, number=0, half=False):
        boundary = {"journal": str(tmp_path / "journal"), "number": number, "half": half}
        ran = run(folder, *PROGRAMMES[name], boundary=boundary, fakes=FAKES.get(name), imports=IMPORTS)
        return ran, boundaries.read(tmp_path / "journal")

    def begun(folder, **kill):
        shutil.copytree(tmp_path / "stage" / "store", folder / "store", dirs_exist_ok=True)
        return once(folder, **kill)

    (tmp_path / "stage" / "store").mkdir(parents=True)
    if name in STORED:
        assert run(tmp_path / "stage", *PROGRAMMES[name], f"until={STORED[name]}", imports=IMPORTS).code == 0
    whole, operations = begun(tmp_path / "whole")
    assert whole.code == 0, whole.text
    expected = left(whole)
    trials = [(number, False) for number in range(1, len(operations) + 1)]
    trials += [(number, True) for number, (_, _, unfinished) in enumerate(operations, 1) if unfinished]
    step = max(1, len(trials) / TRIALS)
    trials = [trials[int(step * number)] for number in range(int(len(trials) / step))]
    faults: dict[str, list[str]] = {"lost": [], "broken": [], "changed": []}
    for number, half in trials:
        killed, done = begun(tmp_path / "killed", number=number, half=half)
        place = f"{number}/{len(operations)} {done[-1]}{' half' if half else ''}"
        assert killed.code == -signal.SIGKILL, f"{place}\n{killed.text}"
        before = believed(killed.outputs)
        faults["broken"] += [f"{place}: {path}: {fault}" for path, (fault, _) in before.items() if fault]
        again, _ = once(tmp_path / "killed")
        if again.code:
            faults["lost"].append(f"{place}: {again.text}")
        else:
            after = believed(again.outputs)
            remade = [path for path in before if after.get(path) != before[path] and not made_always(name, path)]
            faults["lost"] += [f"{place}: {path} was made again" for path in remade]
            faults["changed"] += [f"{place}: {line}" for line in kills.differences(left(again), expected)]
        shutil.rmtree(tmp_path / "killed")
    with capsys.disabled():
        counts = ", ".join(f"{len(lines)} {kind}" for kind, lines in faults.items())
        print(f"\n{name}: {len(trials)} trials at {len(operations)} operations: {counts}")
    assert not any(faults.values()), "\n".join(f"{kind}: {line}" for kind, lines in faults.items() for line in lines)


def believed(outputs):
    """Path -> (what is broken of it, checksum), of each result and entry of the store that has its name."""
    results = [path for path in outputs.rglob("result.json") if "store" not in path.parts]
    entries = [path for path in outputs.glob("store/[!q]*/*") if path.is_dir() and path.suffix != ".work"]
    found = {}
    for path in [*results, *(entry / "manifest.json" for entry in entries)]:
        try:
            fault, digest = damaged_file(path.parent, read_json(path)["files"]), checksum(path)
        except (OSError, ValueError) as error:
            fault, digest = str(error), ""
        found[str(path.relative_to(outputs))] = fault, digest
    return found


def made_always(name, path):
    """Whether a command makes it each time: the result of a job alone, or of the page over a sweep."""
    return path.endswith("result.json") and (name != "sweep" or "/overview/" in path)


def left(ran):
    """The numbers, the names of all files, and what those hold that no time stands in."""
    found = kills.numbers(ran)
    paths = (path for path in ran.outputs.rglob("*") if path.is_file())
    for path in sorted(path for path in paths if not path.name.endswith(".claim")):  # a dead one is nobody's
        text = path.suffix in (".csv", ".md")
        weights = path.suffix == ".safetensors"
        found[f"file {path.relative_to(ran.outputs)}"] = (
            sorted(path.read_text().splitlines()) if text else checksum(path) if weights else ""
        )
    return found
