"""Options as frozen dataclasses: where a configuration enters, every key, type and bound of a section is checked once.

``conf`` is the one place of defaults, so the dataclasses have none. What is wrong is said in one line: the key, its
value, what is allowed, and the nearest right word.
"""

import dataclasses
import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
)
from typing import get_type_hints as hints

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen

from src.core.errors import UserError, close_to, in_quotes, suggestion

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")

#: Counts and shares that many sections have.
Count = Annotated[int, Ge(1)]
Whole = Annotated[int, Ge(0)]
Seed = Annotated[int, Ge(0), Le(2**63 - 1)]  # of random numbers; what is larger fits into no table
Share = Annotated[float, Ge(0), Le(1)]


@dataclasses.dataclass(frozen=True)
class Words:
    """Beside a type: what is allowed, in words, where the type itself says it badly.

    Attributes:
        meant: what else some call it -> what it is called here.
    """

    words: str
    meant: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)


@dataclass_transform(frozen_default=True)
def options(cls: type[T]) -> type[T]:
    """A class of options: a frozen dataclass that knows no other key, no other type, and no infinite number."""
    made = dataclasses.dataclass(frozen=True)(cls)
    made.__pydantic_config__ = {"extra": "forbid", "strict": True, "allow_inf_nan": False}  # type: ignore[attr-defined]
    return made


def options_of(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """``values`` as the options ``cls``.

    Args:
        values: plain containers.
        where: the key of this section, for messages.

    Raises:
        UserError: a key is unknown or missing, or a value is not allowed.
    """
    from pydantic import ValidationError

    try:
        # strictly typed values are what JSON has; it also turns lists into tuples
        adapter: TypeAdapter[T] = _adapter(cast(Any, cls))
        return adapter.validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise _refusal(cls, values, where, error.errors(include_url=False)) from None


def check_value(annotation: Any, value: Any, key: str) -> None:
    """Refuse a single value.

    Raises:
        UserError: it is not what the type allows.
    """
    if not _takes(annotation, value):
        raise UserError(f"{key}={_shown(value)}: allowed is {allowed(annotation)}", key)


def _takes(annotation: Any, value: Any) -> bool:
    from pydantic import ValidationError

    try:
        _adapter(annotation).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError:
        return False
    return True


@cache
def _adapter(cls: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _refusal(cls: Any, values: Any, where: str, errors: "Sequence[ErrorDetails]") -> UserError:
    """The first error in our words; of a list, the whole list is shown."""
    first = next((error for error in errors if error["type"] == "unexpected_keyword_argument"), errors[0])
    key, annotation, value = where, cls, values
    for part in first["loc"]:
        section = next((arm for arm in _arms(annotation) if dataclasses.is_dataclass(arm)), None)
        if section is None or not isinstance(value, Mapping) or not isinstance(part, str):
            break
        fields = hints(section, include_extras=True)
        key = f"{key}.{part}" if key else part
        if part not in fields:
            return UserError(f"{key} is not a setting; {suggestion(part, list(fields))}", key)
        if part not in value:
            return UserError(f"{key}: missing; allowed is {allowed(fields[part])}", key)
        annotation, value = fields[part], value[part]
    if first["type"] == "value_error":  # what the options themselves check
        of_list = any(isinstance(part, int) for part in first["loc"])  # its elements do not know where they stand
        said = str(first["ctx"]["error"])
        return UserError(f"{key}: {said}" if of_list else said, key)
    words, wrong = allowed(annotation), value
    if isinstance(value, list):  # the element that is wrong has a nearest right word too
        place = next((part for part in first["loc"] if isinstance(part, int)), None)
        wrong = value[place] if place is not None and place < len(value) else None
    choices = list(_words(annotation))
    several = len(choices) > 1 and " " not in "".join(choices)  # all are said already, a single one also with its like
    nearest = close_to(wrong, choices) if isinstance(wrong, str) and several else ""
    near = f"; did you mean '{nearest}'?" if nearest else ""
    if meant := _meant(annotation).get(str(wrong)):
        near = f"; did you mean '{meant}'?"
    if isinstance(value, int | float) and int not in _arms(annotation) and _takes(annotation, _shown(value)):
        near = f"; as a word it is typed {in_quotes(key, _shown(value))}"
    return UserError(f"{key}={_shown(value)}: allowed is {words}{near}", key)


def _meant(annotation: Any) -> Mapping[str, str]:
    notes = get_args(annotation) if get_origin(annotation) is Annotated else ()
    return next((note.meant for note in notes if isinstance(note, Words)), {})


def _words(annotation: Any) -> Iterator[str]:
    """The words that a type, or an element of it, can be."""
    for arm in _arms(annotation):
        if get_origin(arm) is Literal:
            yield from map(str, get_args(arm))
        elif get_origin(arm) in (tuple, list) or get_origin(arm) is Annotated:
            yield from _words(get_args(arm)[0])


def types_of(cls: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and type of all options, of sections before what is in them."""
    for name, annotation in hints(cls, include_extras=True).items():
        yield f"{prefix}{name}", annotation
        for arm in _arms(annotation):
            if dataclasses.is_dataclass(arm):
                yield from types_of(arm, f"{prefix}{name}.")


def described(cls: Any) -> Iterator[str]:
    """Dotted keys of all options that take certain words or several kinds of values."""
    for key, annotation in types_of(cls):
        arms = _arms(annotation)
        words = get_origin(annotation) is Annotated and any(isinstance(note, Words) for note in get_args(annotation))
        if words or len(arms) > 1 or get_origin(arms[0]) is Literal:
            yield key


def _shown(value: Any) -> str:
    """As it stands in YAML."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _arms(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; of any other type itself."""
    if get_origin(annotation) is Annotated:
        return _arms(get_args(annotation)[0])
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def allowed(annotation: Any) -> str:
    """What a type allows, in words."""
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        return next((note.words for note in notes if isinstance(note, Words)), _bounded(inner, notes))
    if get_origin(annotation) in (Union, types.UnionType):
        arms = [allowed(arm) for arm in get_args(annotation) if arm is not type(None)]
        null = ["null"] if type(None) in get_args(annotation) else []
        return " or ".join([*null, *arms])
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) in (tuple, list):
        one = allowed(get_args(annotation)[0])
        several = re.sub(r"^a (word|whole number|number|list)", r"\1s", one)
        return f"a list of {several}"
    if dataclasses.is_dataclass(annotation):
        return f"a group with {', '.join(field.name for field in dataclasses.fields(annotation))}"
    names = {bool: "true, false", int: "a whole number", float: "a number", str: "a word"}
    return names.get(annotation, "a group of keys")


def _bounded(inner: Any, notes: Sequence[Any]) -> str:
    """A number or a list with its bounds."""
    words = allowed(inner)
    low = next((f"from {note.ge}" for note in notes if isinstance(note, Ge)), "")
    low = next((f"above {note.gt}" for note in notes if isinstance(note, Gt)), low)
    high = next((f"to {note.le}" for note in notes if isinstance(note, Le)), "")
    high = next((f"below {note.lt}" for note in notes if isinstance(note, Lt)), high)
    filled = any(isinstance(note, MinLen | Len) for note in notes)
    return " ".join(part for part in (words, low, high, "that is not empty" if filled else "") if part)
