from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from src.core.errors import UserError
from src.core.running import Sweep
from src.jobs.sweep.grid import balanced, chosen, expression

SETTINGS = Sweep(max_failures=None, rerun=False, id=None)
GRID = [
    {"variant": variant, "seed": seed, "model@strong.model": model, "strong.optim.lr": lr}
    for variant, seed, model, lr in product(["baseline", 7, 8], [0, 1], ["simcnn", "rescnn"], [None, 0.1])
]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("variant != 7", lambda row: row["variant"] != 7),
        ("not (variant == 7 and seed == 0)", lambda row: not (row["variant"] == 7 and row["seed"] == 0)),
        ("variant == 'baseline' or variant > 7", lambda row: row["variant"] in ("baseline", 8)),
        ("variant in ['baseline', 8] and 0 <= seed < 1", lambda row: row["variant"] != 7 and row["seed"] == 0),
        ("model@strong.model not in ('rescnn',)", lambda row: row["model@strong.model"] == "simcnn"),
        ("strong.optim.lr == null", lambda row: row["strong.optim.lr"] is None),
        ("not seed", lambda row: row["seed"] == 0),
        ("seed > -1", lambda row: True),
    ],
)
def test_an_expression_chooses_jobs(text, meant):
    assert chosen(GRID, replace(SETTINGS, where=text)) == ([n for n, row in enumerate(GRID) if meant(row)], 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("varaint != 7", "no swept key 'varaint'; did you mean 'variant'? swept: variant, seed"),
        ("variant != baseline", "a word stands in quotes"),
        ("variant <", "cannot be read"),
        ("", "cannot be read"),
        ("variant < 7", "'baseline' < 7 cannot be compared"),
        ("seed in 1", "cannot be compared"),
        ("seed == 99", "leaves none of the 24 jobs"),
        ("__import__('os').system('echo')", "is not allowed"),
        ("seed.__class__", "no swept key 'seed.__class__'"),
        ("[seed for seed in [1]]", "is not allowed"),
        ("seed + 1 == 2", "is not allowed"),
        ("seed / 2 == 1", "is not allowed"),
        ("(lambda: seed)()", "is not allowed"),
        ("f'{seed}' == '0'", "is not allowed"),
        ("seed is None", "is not allowed"),
        ("(" * 300 + "seed" + ")" * 300, "cannot be read"),
        ("seed == 0; seed", "cannot be read"),
        ("(seed := 0)", "is not allowed"),
    ],
)
def test_what_is_no_comparison_of_swept_keys_is_refused_in_one_line(text, said):
    with pytest.raises(UserError) as refusal:
        chosen(GRID, replace(SETTINGS, where=text))
    assert str(refusal.value).startswith(f"sweep.where={text}: ") and said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_of_a_sweep_over_nothing_no_key_is_known():
    with pytest.raises(UserError, match="swept: none"):
        expression("seed == 0", ())


@pytest.mark.parametrize("sizes", [(10, 3), (3, 3), (4, 2, 6), (5,), (2, 2, 2, 2), (7, 1, 3)])
def test_every_value_of_a_whole_grid_occurs_equally_often(sizes):
    rows = [dict(zip("abcd", values, strict=False)) for values in product(*map(range, sizes))]
    before: set[int] = set()
    for count in range(1, len(rows) + 1):
        taken = balanced(rows, count)
        assert len(set(taken)) == count and before <= set(taken), "a larger sample holds the smaller one"
        before = set(taken)
        for key, size in zip("abcd", sizes, strict=False):
            times = Counter(rows[number][key] for number in taken)
            assert max(times.values()) - min(times[value] for value in range(size)) <= 1


def test_a_grid_with_holes_is_sampled_nearly_as_evenly():
    rows = [{"a": a, "b": b} for a in range(10) for b in range(6) if (a + b) % 4]
    taken = [rows[number] for number in balanced(rows, 20)]
    assert {tuple(row.values()) for row in taken} <= {tuple(row.values()) for row in rows}
    for key in "ab":
        times = Counter(row[key] for row in taken)
        assert max(times.values()) - min(times.values()) <= 1 and len(times) == len({row[key] for row in rows})


def test_a_sample_is_drawn_of_what_the_expression_leaves():
    numbers, left = chosen(GRID, replace(SETTINGS, where="seed == 0", sample=5))
    assert len(numbers) == 5 and left == 7 and numbers == sorted(numbers)
    assert {GRID[number]["seed"] for number in numbers} == {0}
    assert chosen(GRID, replace(SETTINGS, where="seed == 0", sample=5)) == (numbers, left), "the same every time"
    assert chosen(GRID, replace(SETTINGS, sample=99)) == (list(range(24)), 0)
