"""The arrows between the rooms point down only, and heavy packages stay out of where they do not belong."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

STUDIES = {"modularity", "widths", "hierarchy", "invariance", "locality", "robustness"}
SHARED = {
    "activations",
    "slicing",
    "imageops",
    "statistics",
    "calibration",
    "cost",
    "memory",
    "claims",
    "weights",
    "seeds",
    "errors",
}
FRAME = {"configuration", "resolvers", "result", "store", "sweep", "errors"}

#: room -> rooms it may import; a room not listed here fails the test, so a new one states its place
ALLOWED = {
    "errors": set(),
    "weights": {"errors"},
    "seeds": set(),
    "statistics": {"errors"},
    "calibration": {"errors", "statistics"},
    "activations": {"errors"},
    "models": {"errors"},
    "imageops": {"errors", "seeds"},
    "cost": {"errors", "models"},
    "memory": {"errors", "models"},
    "claims": {"errors", "statistics"},
    "slicing": {"errors", "models", "activations"},
    "data": {"errors", "seeds", "imageops"},
    "result": {"errors", "statistics"},
    "store": {"errors", "result"},
    "resolvers": {"configuration", "errors", "widths"},
    "allowed_values": {"errors"},
    "configuration": {"errors", "allowed_values", "resolvers", "store"},
    "command_line": {"errors", "allowed_values", "configuration"},
    "training": {"errors", "weights", "result", "orphans"},
    "learners": {"errors", "training", "models", "data"},
    "subjects": {"errors", "models", "store", "result", "weights", "slicing", "imageops", "modularity", "hierarchy"},
    "report": {"errors", "result"},
    "sweep": {"errors", "result", "store", "configuration", "report"},
    "plugins": {"sweep", "tasks", "job", "errors", "configuration"},
    "tasks": {"report", "subjects", "learners", "data", "training", "models"} | FRAME | STUDIES | SHARED,
    "environment": {"resolvers"},
    "orphans": set(),
    "job": {"tasks", "report", "training", "environment"} | FRAME,
    "launched": {"job", "tasks", "orphans"} | FRAME,
    "run": {"job", "launched", "command_line", "errors", "resolvers", "sweep", "report"},
    **{study: SHARED | {"models"} for study in STUDIES},
}
#: room -> packages it must not import
FORBIDDEN = {
    **{room: {"hydra", "omegaconf", "pytorch_lightning", "wandb"} for room in STUDIES | SHARED | {"models"}},
    "data": {"hydra", "omegaconf", "wandb"},
    "learners": {"hydra", "omegaconf", "wandb"},
    "training": {"hydra", "omegaconf", "wandb"},
    "tasks": {"hydra", "omegaconf", "wandb"},
    "report": {"hydra", "omegaconf", "torch", "pytorch_lightning"},
}


def room_of(path: Path) -> str:
    """The first folder or file below src; what is started by `python -m` is an entry like `run`."""
    if path.name == "__main__.py":
        return "run"
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> set[str]:
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
            names |= {f"src.{alias.name}" for alias in node.names} if node.module == "src" else {node.module}
    return names


FILES = [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_arrows_point_down(path):
    room = room_of(path)
    assert room in ALLOWED, f"{room} is a new room: state in ALLOWED what it may import"
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("src.")} - {room}
    assert rooms <= ALLOWED[room], f"{room} must not import {sorted(rooms - ALLOWED[room])}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_rooms_stay_free_of_frameworks(path):
    packages = {name.split(".")[0] for name in imports(path)}
    assert not packages & FORBIDDEN.get(room_of(path), set())


def test_nothing_imports_run_or_tasks():
    for path in FILES:
        if room_of(path) in (
            "run",
            "job",
            "launched",
            "tasks",
            "plugins",
        ):  # Hydra enters through its sweeper as users do by run
            continue
        assert not {name for name in imports(path) if name.startswith(("src.run", "src.tasks", "src.job"))}, path


def test_no_utils():
    assert not [path for path in FILES if "util" in path.stem or "helper" in path.stem or "misc" in path.stem]
