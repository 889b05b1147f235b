"""The one kind of error that is the user's to mend: shown as one line, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Names the key, its value, what is allowed, and what to do; the command line prints nothing else."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` where a known word is close, else the known words."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(words)}"
