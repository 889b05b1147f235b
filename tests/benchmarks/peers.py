"""Packages that ours is measured against, each in an environment of its own, made once in the temporary folder."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def environment(label: str, needs: Sequence[str], bare: Sequence[str] = (), *, wheels_only: bool = False) -> Path:
    """The Python of an environment with these packages.

    Args:
        needs: requirements.
        bare: requirements whose own needs are not installed.
        wheels_only: build nothing.
    """
    digest = hashlib.sha256(repr((tuple(bare), tuple(needs), sys.version_info[:2])).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"{label}-peer-{digest}"
    python, done = folder / "bin" / "python", folder / "complete"
    if done.exists():
        return python
    own = Path(__file__).parents[2] / ".uv" / "bin" / "uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    if uv is None:
        raise SystemExit("uv: not found; install it, or put it into .uv/bin")
    print(f"making the package's environment in {folder}", flush=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", version, str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    elsewhere = folder.parent  # out of the project, whose constraints on versions would count
    if bare:
        subprocess.run([*install, "--no-deps", *bare], check=True, cwd=elsewhere)
    only = ["--only-binary", ":all:"] if wheels_only else []
    subprocess.run([*install, *only, *needs], check=True, cwd=elsewhere)
    done.touch()
    return python
