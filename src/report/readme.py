"""The verdicts of sweeps in a README: computed, never typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.core.errors import UserError
from src.core.files import write_atomically

BEGIN, END = "<!-- claims: written by python -m src.report FOLDER --readme README.md -->", "<!-- end of claims -->"
CLAIMS = "overview/claims.md"  # below a sweep's folder


def insert_claims(readme: Path, sweeps: Sequence[Path]) -> None:
    """Replace what stands between the marks by the verdicts of these sweeps, a table with one head.

    Raises:
        UserError: the file has no marks, or a sweep has no claims.
    """
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise UserError(f"{readme}: has no marks for the claims; write {BEGIN} and {END} on lines of their own")
    rows: list[str] = []
    for sweep in sweeps:
        if not (sweep / CLAIMS).exists():
            raise UserError(f"{sweep}: holds no {CLAIMS}; its experiment judges no claims")
        head, rule, *found = (sweep / CLAIMS).read_text(encoding="utf-8").splitlines()
        rows += found if rows else [head, rule, *found]
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    write_atomically(readme, f"{before}{BEGIN}\n\n" + "\n".join(rows) + f"\n\n{END}{after}")
