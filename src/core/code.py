"""The source of a user's own code as a digest: what was made by other code is not taken for what this code makes."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

PREFIX = "python:"  # of a model's name, before package.module:callable


def own_code(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted key -> digest, of every ``name`` in the configuration that stands for a user's own code."""
    digests: dict[str, str] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        if isinstance(value, list):
            value = {str(number): item for number, item in enumerate(value)}
        if isinstance(value, Mapping):
            digests |= own_code(value, f"{key}.")
        elif name == "name" and isinstance(value, str) and (digest := code_digest(value)):
            digests[key] = digest
    return digests


@cache
def code_digest(name: str) -> str:
    """16 hexadecimal digits of the source behind ``python:package.module:callable`` and of what it imports of ours.

    That is every module of the same package or, for a module that stands alone, of the same folder. Nothing is
    imported. Empty for any other name, and where there is no such source. Each process looks once: it will go on with
    the code that it has imported.
    """
    if not name.startswith(PREFIX):
        return ""
    first = name.removeprefix(PREFIX).partition(":")[0]
    start = _file_of(first)
    if start is None:
        return ""
    files: dict[str, Path] = {}
    queue = [(first, start)]
    while queue:
        module, file = queue.pop()
        if module in files:
            continue
        files[module] = file
        parts = module.split(".")  # Python runs the packages above it first
        above = [".".join(parts[:size]) for size in range(1, len(parts))]
        for imported in (*above, *_imports(file, module)):
            near = imported.partition(".")[0] == first.partition(".")[0]
            path = _file_of(imported)
            if path is not None and (near or _same_folder(path, imported, start, first)):
                queue.append((imported, path))
    return digest_of_files(files)


def digest_of_files(files: Mapping[str, Path]) -> str:
    """16 hexadecimal digits of the names and contents of files."""
    whole = hashlib.sha256()
    for module, file in sorted(files.items()):
        whole.update(f"{module}\n".encode() + file.read_bytes())
    return whole.hexdigest()[:16]


def _file_of(module: str) -> Path | None:
    """As Python would find it, without importing a package on the way."""
    for entry in sys.path:
        place = Path(entry or ".").joinpath(*module.split("."))
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file():
                return path
    return None


def _same_folder(path: Path, module: str, start: Path, first: str) -> bool:
    """Whether two modules stand below one entry of Python's path that is a user's own."""
    home, place = (
        file.parents[name.count(".") + (file.name == "__init__.py")] for file, name in ((start, first), (path, module))
    )
    return home == place and "site-packages" not in home.parts


def _imports(file: Path, module: str) -> Iterator[str]:
    """Dotted names that a file imports, relative ones made absolute; names of functions among them find no file."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # told when it is imported
        return
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *(node.module.split(".") if node.module else [])])
            yield from ([base] if base else [])
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
