"""Which jobs of a grid are meant: those that an expression over the swept keys allows, and of these a balanced sample.

Both look at the keys that the command line sweeps over, before anything is composed.
"""

import ast
import operator
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from math import lcm, prod
from typing import Any

from src.core.errors import UserError, close_to
from src.core.running import Sweep

Row = Mapping[str, Any]  # swept key -> its value in one job
Expression = Callable[[Row], Any]

COMPARED: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.In: ("in", lambda left, right: left in right),
    ast.NotIn: ("not in", lambda left, right: left not in right),
}
#: As in Python the parts of ``model@strong.model`` or ``data/files`` are operands.
JOINED: dict[type[ast.operator], str] = {ast.MatMult: "@", ast.Div: "/"}
WORDS = {"true": True, "false": False, "null": None}  # as a configuration has them
EXAMPLE = "write comparisons of swept keys, such as sweep.where='variant != 7 and seed in [0, 1]'"


def chosen(rows: Sequence[Row], settings: Sweep) -> tuple[list[int], int]:
    """The jobs that are meant.

    Args:
        rows: of the whole grid, all with the same keys.
        settings: ``where`` and ``sample``.

    Returns:
        Their numbers in ascending order; and how many the sample leaves open.

    Raises:
        UserError: the expression cannot be read, is more than comparisons, names no swept key, or leaves nothing.
    """
    numbers = list(range(len(rows)))
    if settings.where is not None:
        meant = expression(settings.where, rows[0].keys() if rows else ())
        numbers = [number for number in numbers if meant(rows[number])]
        if not numbers:
            raise UserError(f"sweep.where={settings.where}: leaves none of the {len(rows)} jobs", "sweep.where")
    if settings.sample is None or settings.sample >= len(numbers):
        return numbers, 0
    parts = balanced([rows[number] for number in numbers], settings.sample)
    return sorted(numbers[part] for part in parts), len(numbers) - settings.sample


def expression(text: str, keys: Collection[str]) -> Expression:
    """What ``sweep.where`` says of a job: comparisons, ``and``, ``or``, ``not``, ``in``, keys and constants.

    Raises:
        UserError: it is something else, or names a key that is not one of ``keys``; and, from what is returned, two
            values cannot be compared.
    """
    try:
        return _Reader(text, keys).read(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, UserError):
            raise
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise UserError(f"sweep.where={text}: cannot be read ({reason}); {EXAMPLE}", "sweep.where") from None


class _Reader:
    """Turns the nodes of a syntax tree that are allowed into functions of a job; nothing else is ever run."""

    def __init__(self, text: str, keys: Collection[str]) -> None:
        self.text, self.keys = text, keys

    def read(self, node: ast.expr) -> Expression:
        if isinstance(node, ast.BoolOp):
            parts, decide = [self.read(value) for value in node.values], all if isinstance(node.op, ast.And) else any
            return lambda row: decide(part(row) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            part = self.read(node.operand)
            return lambda row: not part(row)
        if isinstance(node, ast.Compare) and all(type(each) in COMPARED for each in node.ops):
            return self._comparison(node)
        if name := _name(node):
            return self._key(name)
        try:
            constant = ast.literal_eval(node)
        except ValueError:
            raise self._refusal(f"'{ast.unparse(node)}' is not allowed; {EXAMPLE}") from None
        return lambda row: constant

    def _comparison(self, node: ast.Compare) -> Expression:
        operands = list(pairwise([self.read(each) for each in (node.left, *node.comparators)]))
        compared = [COMPARED[type(each)] for each in node.ops]

        def holds(row: Row) -> bool:
            return all(
                self._compare(sign, compare, left(row), right(row))
                for (sign, compare), (left, right) in zip(compared, operands, strict=True)
            )

        return holds

    def _compare(self, sign: str, compare: Callable[[Any, Any], Any], left: Any, right: Any) -> bool:
        try:
            return bool(compare(left, right))
        except TypeError:
            said = f"{left!r} {sign} {right!r} cannot be compared; rule such values out first, by == and or"
            raise self._refusal(said) from None

    def _key(self, name: str) -> Expression:
        if name in self.keys:
            return lambda row: row[name]
        if name in WORDS:
            return lambda row: WORDS[name]
        near = f"did you mean '{word}'? " if (word := close_to(name, self.keys)) else ""
        swept = ", ".join(self.keys) or "none"
        raise self._refusal(f"no swept key '{name}'; {near}swept: {swept}; a word stands in quotes")

    def _refusal(self, said: str) -> UserError:
        return UserError(f"sweep.where={self.text}: {said}", "sweep.where")


def _name(node: ast.expr) -> str:
    """A key as the command line writes it, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        above = _name(node.value)
        return f"{above}.{node.attr}" if above else ""
    if isinstance(node, ast.BinOp) and type(node.op) in JOINED:
        sides = _name(node.left), _name(node.right)
        return JOINED[type(node.op)].join(sides) if all(sides) else ""
    return ""


def balanced(rows: Sequence[Row], count: int) -> list[int]:
    """Numbers of ``count`` rows in which every value of every key occurs as evenly as possible.

    Of a whole grid no two values of a key differ by more than one in how often they occur. The same rows are taken
    every time, and a larger sample holds a smaller one.
    """
    codes = list(zip(*(_codes([row[key] for row in rows], key) for key in rows[0]), strict=True))
    sizes = [max(column) + 1 for column in zip(*codes, strict=True)]
    walk = _diagonals(codes, sizes)
    return walk[:count] if len(rows) == prod(sizes) else _evenest(walk, codes, sizes, count)


def _codes(values: Sequence[Any], key: str) -> list[int]:
    """Numbers of the values in an order that was drawn for this key."""
    words = [repr(value) for value in values]
    order = list(dict.fromkeys(words))
    random.Random(key).shuffle(order)
    number = {word: place for place, word in enumerate(order)}
    return [number[word] for word in words]


def _diagonals(codes: Sequence[tuple[int, ...]], sizes: Sequence[int]) -> list[int]:
    """All rows, one diagonal of the grid after the other: a step changes every key, each goes round and round."""
    place = {code: number for number, code in enumerate(codes)}
    walk: dict[int, None] = {}
    for start in random.Random(len(codes)).sample(codes, len(codes)):
        if place[start] in walk:
            continue
        for step in range(lcm(*sizes)):
            here = tuple((value + step) % size for value, size in zip(start, sizes, strict=True))
            if here in place:  # some are excluded
                walk[place[here]] = None
    return list(walk)


def _evenest(walk: Sequence[int], codes: Sequence[tuple[int, ...]], sizes: Sequence[int], count: int) -> list[int]:
    """Of a grid with holes: one row after the other whose values have been taken least."""
    import numpy as np

    values = np.array([codes[number] for number in walk])
    cost = np.zeros(len(walk))  # how often the values of each row have been taken, in shares of their keys
    taken = []
    for _ in range(count):
        row = int(cost.argmin())
        taken.append(walk[row])
        cost += ((values == values[row]) * np.array(sizes)).sum(1)
        cost[row] = np.inf
    return taken
