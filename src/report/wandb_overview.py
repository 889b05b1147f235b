"""What the run of a sweep's overview has beside its tables (the jobs, the claims): the page, as it lies on disk."""

from pathlib import Path
from typing import Any

from src.core.result import Result
from src.report.screen import PAGE

LARGEST = 20_000_000  # bytes of a page that is sent


def overview_page(result: Result, folder: Path) -> dict[str, Any]:
    """What is logged to the run of a comparison; nothing of other jobs, or where no page was written."""
    page = folder / PAGE
    if result.task != "compare" or not page.is_file() or page.stat().st_size > LARGEST:
        return {}
    import wandb

    return {"overview/page": wandb.Html(str(page), inject=False)}
