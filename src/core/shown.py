"""How what holds tensors and tables is shown in a notebook: in a line instead of a page, and its numbers as a frame."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from src.core.estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 60  # characters of a value
FEW = 4  # plain values that are shown of a list


class Shown:
    """Base of a dataclass that holds more than a line can show."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "__repr__" not in vars(cls):  # a dataclass leaves one alone that stands in the class itself
            cls.__repr__ = Shown.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        names = [field.name for field in fields(self) if field.repr]  # type: ignore[arg-type]
        inner = ", ".join(f"{name}={in_short(getattr(self, name))}" for name in names)
        return f"{type(self).__name__}({inner})"

    def to_frame(self) -> "pd.DataFrame":
        """A row per number within, at whatever depth: ``name`` (dotted), ``value``, ``low``, ``high``, ``n``, ``of``.

        Tensors of more than one number have no row.
        """
        import pandas as pd

        columns = ("name", *(name if name != "unit" else "of" for name in Estimate._fields))
        return pd.DataFrame([(name, *estimate) for name, estimate in _numbers(self, "")], columns=list(columns))


def in_short(value: Any) -> str:
    """A value within a line: of a tensor its type and shape, of many things how many there are."""
    if isinstance(value, Estimate):
        return f"{value.value:.4g} [{value.low:.4g}, {value.high:.4g}]"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        size = "x".join(map(str, value.shape))
        return f"<{value.dtype} {size}>" if size else f"{value.item():.4g}"
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}(...)"
    if isinstance(value, Mapping | Set | Sequence) and not isinstance(value, str | bytes):
        plain = all(isinstance(item, str | int | float | None) for item in value) and not isinstance(value, Mapping)
        if len(value) > FEW or not plain:
            inner = list(value.values()) if isinstance(value, Mapping) else list(value)
            kinds = {type(item).__name__ for item in inner}
            return f"<{len(value)} {kinds.pop() if len(kinds) == 1 else 'values'}>"
    said = " ".join(repr(value).split())
    if hasattr(value, "named_parameters"):  # a network
        return f"<{type(value).__name__}>"
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."


def _numbers(value: Any, name: str) -> Iterator[tuple[str, Estimate]]:
    """Name and number of everything within that is one."""
    if isinstance(value, Estimate):
        yield name, value
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        if not tuple(value.shape):
            yield name, Estimate(float(value.item()))
    elif isinstance(value, int | float):
        if not isinstance(value, bool):
            yield name, Estimate(float(value))
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _numbers(getattr(value, field.name), f"{name}.{field.name}".lstrip("."))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for place, item in enumerate(value):
            yield from _numbers(item, f"{name}.{getattr(item, 'name', place)}".lstrip("."))
