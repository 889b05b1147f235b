"""Families by name, made of plain mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from src.core.errors import UserError, suggestion
from src.imageops.transformations.appearance import Blur, Brightness, Contrast, Noise
from src.imageops.transformations.composition import Composition
from src.imageops.transformations.family import Family
from src.imageops.transformations.geometric import Flips, QuarterTurns, Rotation, Scale, Shear, Translation

SINGLE: dict[str, type[Family]] = {
    cls.name: cls
    for cls in (Rotation, QuarterTurns, Flips, Scale, Translation, Shear, Brightness, Contrast, Blur, Noise)
}
WHOLE = ("corners", "fill")  # keys of a composition that its parts leave to it


def family_of(options: Mapping[str, Any], where: str = "transformation") -> Family:
    """The family that ``options`` describe: its name as ``family``, and its keys.

    Args:
        where: what messages call the options.

    Raises:
        UserError: an unknown family or key, or a value that is not allowed.
    """
    values = _values(options, where)
    name = values.pop("family", None)
    if name != Composition.name:
        return _made(SINGLE.get(name), name, values, where)
    parts = values.get("parts", [])
    if not isinstance(parts, list | tuple):
        raise UserError(f"{where}.parts={parts}: give a list of mappings, one for each family")
    values["parts"] = tuple(_part(part, f"{where}.parts.{number}") for number, part in enumerate(parts))
    return _made(Composition, name, values, where)


def _part(options: Mapping[str, Any], where: str) -> Family:
    values = _values(options, where)
    if values.get("family") == Composition.name:
        raise UserError(f"{where}.family={Composition.name}: list its parts themselves instead")
    for key in WHOLE:
        if key in values:
            raise UserError(f"{where}.{key}={values[key]}: it is one for all parts; set it beside parts")
    return family_of(values, where)


def _values(options: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise UserError(f"{where}={options}: give a mapping with a family, e.g. {where}.family=rotation")
    return {str(key): value for key, value in options.items()}


def _made(cls: type[Family] | None, name: Any, values: dict[str, Any], where: str) -> Family:
    if cls is None:
        raise UserError(f"{where}.family={name}: {suggestion(str(name), [*SINGLE, Composition.name])}")
    known = ["family", *(field.name for field in fields(cls) if field.name != "where")]
    for key in values:
        if key not in known:
            raise UserError(f"{where}.{key}: the family {name} has no such key; {suggestion(key, known)}")
    family = cls(**values, where=where)
    family.check()
    return family
