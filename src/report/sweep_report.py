"""The report of a sweep in words and tables, made of its overview: Markdown, and the same through Weights & Biases."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from src.core.result import Result
from src.report.described import Described
from src.report.words import pretty

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

TABLES = {"claims": "What is claimed", "over_seeds": "Means over seeds"}  # of the overview, in this order
JOBS = 200  # rows that a table has


def sweep_report(experiment: Described, overview: Result) -> str:
    """What was asked, what came out, the claims, the means over seeds, the jobs; as Markdown."""
    said = overview.opening
    parts = [f"# {said.title if said else overview.name}", experiment.question, f"**{overview.verdict}**"]
    if said:
        parts.append(said.text)
    for name, heading in TABLES.items():
        if name in overview.tables:
            parts += [f"## {heading}", *_table(overview, name)]
    parts += ["## Jobs", *_table(overview, "jobs")]
    if overview.events:
        parts += ["## What was reduced or left out", "\n".join(f"- {event}" for event in overview.events)]
    parts += [f"Again: `uv run python -m src.run -m experiment={experiment.name} ...`"]
    return "\n\n".join(parts) + "\n"


def publish_report(name: str, text: str, view: "Workspace") -> str:
    """The same as a report of W&B, with the panels of the workspace below; returns its address. Needs a network."""
    from wandb_workspaces.reports import v2 as wr

    panels = [panel for section in view.sections for panel in section.panels]
    grid = wr.PanelGrid(runsets=[wr.Runset(project=view.project, entity=view.entity)], panels=panels)
    blocks: list[Any] = [wr.MarkdownBlock(text=text), grid]
    report = wr.Report(project=view.project, entity=view.entity, title=f"cnn-anatomy: {name}", blocks=blocks)
    report.save()
    return str(report.url)


def _table(overview: Result, name: str) -> Iterator[str]:
    table: Mapping[str, Sequence[Any]] = overview.tables[name]
    columns = list(table)
    rows = list(zip(*(values[:JOBS] for values in table.values()), strict=True))
    lines = [f"| {' | '.join(map(pretty, columns))} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    yield "\n".join(lines)
    if more := len(next(iter(table.values()), [])) - len(rows):
        yield f"... and {more} more."
    if caption := overview.captions.get(name):
        yield caption


def _cell(value: Any) -> str:
    said = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return said.replace("|", "\\|").replace("\n", " ")
