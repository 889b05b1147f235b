"""The source of a user's own code as a digest: what was made by other code is not taken for what this code makes."""

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from src.core.errors import close_to, suggestion

PREFIX = "python:"  # of a model's name, before package.module:callable


def own_code(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted key -> digest, of every ``name`` in the configuration that stands for a user's own code."""
    return {key: digest for key, name in names_of_code(config, prefix) if (digest := code_digest(name))}


def names_of_code(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and value of every ``name`` in the configuration that stands for a user's own code."""
    for name, value in config.items():
        key = f"{prefix}{name}"
        if isinstance(value, list):
            value = {str(number): item for number, item in enumerate(value)}
        if isinstance(value, Mapping):
            yield from names_of_code(value, f"{key}.")
        elif name == "name" and isinstance(value, str) and value.startswith(PREFIX):
            yield key, value


def target_name(target: str) -> str:
    """``python:package.module:attribute`` of a dotted target such as Hydra's ``_target_``."""
    parts = target.split(".")
    for size in range(len(parts) - 1, 0, -1):  # what follows the module may be a class, or something of a class
        if _file_of(".".join(parts[:size])):
            return f"{PREFIX}{'.'.join(parts[:size])}:{parts[size]}"
    return f"{PREFIX}{'.'.join(parts[:-1])}:{parts[-1]}"


def own_callbacks(callbacks: Mapping[str, Any]) -> dict[str, str]:
    """Name -> digest, of every callback that is a user's own code; an installed library counts by its name alone."""
    names = {name: target_name(str(section["_target_"])) for name, section in callbacks.items()}
    files = {name: _file_of(target.removeprefix(PREFIX).partition(":")[0]) for name, target in names.items()}
    mine = {name for name, file in files.items() if file and "site-packages" not in file.parts}
    return {name: code_digest(target) for name, target in names.items() if name in mine}


def fault(name: str) -> str:
    """Why ``python:package.module:callable`` leads nowhere, as far as the source tells; nothing is imported."""
    module, _, attribute = name.removeprefix(PREFIX).partition(":")
    if not module or not attribute:
        return "write python:package.module:callable"
    file = _file_of(module)
    if file is None:
        near = close_to(module, _neighbours())
        hint = f"did you mean '{near}'?" if near else "is its folder on PYTHONPATH, or named by own=FOLDER?"
        return "" if _is_installed(module) else f"there is no module '{module}'; {hint}"
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        return f"{file}:{getattr(error, 'lineno', None) or 1}: {getattr(error, 'msg', error)}; mend it"
    for node in tree.body:
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported = [node.module]
        for package in (name.partition(".")[0] for name in imported):
            if not _is_installed(package):
                return f"{file}:{node.lineno} imports '{package}', which is not there"
    known = {name for node in ast.walk(tree) for name in _defined(node)}
    if attribute in known or known & {"*", "__getattr__"}:
        return ""
    return f"{file} has no '{attribute}'; {suggestion(attribute, (name for name in known if name[0] != '_'))}"


def _defined(node: ast.AST) -> Iterator[str]:
    """Names that a statement may define; those within functions are counted too, which errs on the safe side."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id


def _is_installed(module: str) -> bool:
    try:
        return module.partition(".")[0] in sys.modules or find_spec(module.partition(".")[0]) is not None
    except ValueError:  # a module without a specification of its own
        return True


def _neighbours() -> Iterator[str]:
    """Modules of the folders on Python's path that are a user's own."""
    for entry in sys.path:
        place = Path(entry or ".")
        if place.is_dir() and not place.is_relative_to(sys.base_prefix) and "site-packages" not in place.parts:
            yield from (path.stem for path in place.glob("*.py"))


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
