"""The verdicts of sweeps in a README: computed, never typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from src.core.errors import UserError
from src.core.files import write_atomically

BEGIN, END = "<!-- claims: written by python -m src.report FOLDER --readme {} -->", "<!-- end of claims -->"
MARKS = re.compile(re.escape(BEGIN).replace(r"\{\}", r"\S+") + f"(.*?)(?={END})", re.DOTALL)
CLAIMS = "overview/claims.md"  # below a sweep's folder


def insert_claims(readme: Path, sweeps: Sequence[Path]) -> None:
    """Replace what stands between the marks by the verdicts of these sweeps, a table with one head.

    Raises:
        UserError: the file has no marks, or a sweep has no claims.
    """
    text = readme.read_text(encoding="utf-8")
    marks = MARKS.search(text)
    if marks is None:
        begin = BEGIN.format(readme)
        raise UserError(f"{readme}: has no marks for the claims; write {begin} and {END} on lines of their own")
    rows: list[str] = []
    for sweep in sweeps:
        if not (sweep / CLAIMS).exists():
            raise UserError(f"{sweep}: holds no {CLAIMS}; its experiment judges no claims")
        head, rule, *found = (sweep / CLAIMS).read_text(encoding="utf-8").splitlines()
        rows += found if rows else [head, rule, *found]
    start, end = marks.span(1)
    write_atomically(readme, f"{text[:start]}\n\n" + "\n".join(rows) + f"\n\n{text[end:]}")
