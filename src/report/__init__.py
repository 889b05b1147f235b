"""Views of a result: screen, page, pictures, dashboard. They know `src.core.result` and nothing about any study.

>>> from src.report import load
>>> load("outputs/patch_weak").query("metric == 'f1_gain'").groupby("target_class").value.mean()
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from src.report.frames import Holes, Results


def load(folder: Path | str, holes: "Holes" = "refuse") -> "Results":
    """All jobs below ``folder`` as a tidy pandas frame; see :func:`src.report.frames.load`."""
    from src.report import frames  # late: it imports pandas

    return frames.load(folder, holes)
