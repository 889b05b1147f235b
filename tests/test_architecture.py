"""Twelve wings on ten floors: an import goes down or stays in its wing, and none runs in a circle.

`run.py` and every `__main__.py` stand above all; `plugins` holds what Hydra looks for by name.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

#: from the ground up; wings of one floor do not know each other
FLOORS = (
    ("core",),
    ("imageops", "statistics"),
    ("data", "networks"),
    ("methods",),
    ("report", "training"),
    ("artifacts",),
    ("studies",),
    ("tasks",),
    ("jobs",),
    ("run", "plugins"),
)
FLOOR = {wing: number for number, wings in enumerate(FLOORS) for wing in wings}

#: (wings, packages that they must not load, by themselves or by what they import: measured in a process of its own)
FREE_OF = (
    (("core", "imageops", "statistics", "networks", "methods"), {"hydra", "omegaconf", "pytorch_lightning", "wandb"}),
    (("report",), {"hydra", "omegaconf", "torch", "pytorch_lightning"}),
)
#: wing -> packages that its own files must not name
UNNAMED = {wing: {"hydra", "omegaconf", "wandb"} for wing in ("data", "training", "artifacts", "studies", "tasks")}

FILES = [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]


def wing_of(path: Path) -> str:
    """The first folder or file below src; what `python -m` starts is an entry like `run`."""
    return "run" if path.name == "__main__.py" else path.relative_to(SOURCE).parts[0].removesuffix(".py")


def file_of(name: str) -> Path | None:
    """The file of a dotted name of ours, None where it names something within a file."""
    place = SOURCE.parent.joinpath(*name.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names of everything the file imports, also inside functions; not what only type checkers see."""
    tree = ast.parse(path.read_text())
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            of_files = {name for alias in node.names if file_of(name := f"{node.module}.{alias.name}")}
            names |= of_files if len(of_files) == len(node.names) else {node.module, *of_files}
    return frozenset(names)


def test_the_house_has_twelve_wings():
    wings = {path.name.removesuffix(".py") for path in SOURCE.iterdir() if path.name[0] not in "._"}
    assert wings == set(FLOOR)
    assert len(wings - {"run", "plugins"}) == 12


def test_arrows_point_down():
    wrong = [
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in FILES
        for name in sorted(imports(path))
        if name.startswith("src.")
        and (wing := name.split(".")[1]) != wing_of(path)
        and FLOOR[wing] >= FLOOR[wing_of(path)]
    ]
    assert not wrong


def test_no_import_runs_in_a_circle():
    arrows = {path: {file for name in imports(path) if (file := file_of(name)) and file != path} for path in FILES}
    done: set[Path] = set()

    def circles(path: Path, trail: tuple[Path, ...]) -> Iterator[str]:
        if path in trail:
            yield " -> ".join(str(p.relative_to(SOURCE)) for p in (*trail[trail.index(path) :], path))
        elif path not in done:
            for other in sorted(arrows.get(path, ())):
                yield from circles(other, (*trail, path))
            done.add(path)

    assert not [circle for path in FILES for circle in circles(path, ())]


@pytest.mark.parametrize(("wings", "packages"), FREE_OF, ids=lambda value: "")
def test_wings_stay_free_of_frameworks(wings, packages):
    modules = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
               for path in FILES if wing_of(path) in wings]  # fmt: skip
    script = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        f"print(sorted(set({sorted(packages)!r}) & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=SOURCE.parent, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]", f"{wings} load {ran.stdout}"


def test_files_name_no_framework_of_another_floor():
    named = {path: {name.split(".")[0] for name in imports(path)} & UNNAMED.get(wing_of(path), set()) for path in FILES}
    assert not {str(path.relative_to(SOURCE)): packages for path, packages in named.items() if packages}


def test_a_task_is_short():
    """A verb says what is done in which order; what it does it with stands below."""
    long = {path.name: lines for path in (SOURCE / "tasks").glob("*.py")
            if (lines := len(path.read_text().splitlines())) > 150}  # fmt: skip
    assert not long


def test_no_utils():
    assert not [path for path in FILES if "util" in path.stem or "helper" in path.stem or "misc" in path.stem]
