"""The presets of conf/model as architectures, without Hydra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[3] / "conf" / "model"


def architecture(preset: str, input_shape: list[int], classes: int = 10, **options: Any) -> dict[str, Any]:
    """The preset with what it builds upon, for these images, and with some options changed."""
    return {**_merged(preset), "classes": classes, "input_shape": input_shape, **options}


def _merged(preset: str) -> dict[str, Any]:
    own = yaml.safe_load((FOLDER / f"{preset}.yaml").read_text())
    below = [name for name in own.pop("defaults", []) if name != "_self_"]
    return {key: value for name in below for key, value in _merged(name).items()} | own
