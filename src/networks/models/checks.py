"""Checks of options that several networks have."""

from __future__ import annotations

from src.core.errors import UserError


def whole_number(key: str, value: object) -> int:
    """``value``, where it is a whole number from 1.

    Raises:
        UserError: it is not; names ``model.KEY``.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"model.{key}={value}: allowed are whole numbers from 1")
    return value
