"""Curves over the layers of networks of any depth, on one page: stretched to percent of depth, means over jobs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from src.core.result import Figure, Panel, read_table, rows
from src.methods.invariance.depth import stretched
from src.report.over.over_seeds import ended_well, interval
from src.report.words import pretty

SECTION = "Over depth"
POINTS = 51


def over_depth(jobs: Sequence[tuple[Path, Mapping[str, Any]]], asked: Mapping[str, Any]) -> Iterator[Panel]:
    """A figure for each table of the jobs and each of the networks in it, a line per value of ``group``.

    The values of a curve lie evenly over the depth, the first at 0 and the last at 100%. Jobs without a verdict and
    those without a table are left out.

    Args:
        jobs: folder and result as read.
        asked: ``tables`` (name -> title) with the columns ``network``, ``depth`` and ``y``; which ``networks``; and
            ``group``, columns of the jobs' rows, such as model and data: those that tell lines apart name them.
    """
    jobs = [(folder, plain) for folder, plain in jobs if ended_well(plain)]
    names = _names([plain["row"] for _, plain in jobs], asked["group"])
    for table, title in asked["tables"].items():
        for network in asked["networks"]:
            curves: dict[str, list[Tensor]] = {}
            for (folder, plain), line in zip(jobs, names, strict=True):
                curve = _curve(folder, plain, table, network, asked["y"])
                if curve is not None:
                    curves.setdefault(line, []).append(curve)
            if curves:
                yield _panel(f"{table}_{network}".replace(" ", "_"), f"{title}: {network}", curves, asked["y"])


def _names(job_rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Of each job's line, by as few of the columns as tell all lines apart, in their order."""
    telling: list[str] = []
    for column in columns:
        finer = {tuple(str(row.get(name)) for name in (*telling, column)) for row in job_rows}
        if not telling or len(finer) > len({tuple(str(row.get(name)) for name in telling) for row in job_rows}):
            telling.append(column)
    return [", ".join(str(row.get(name)) for name in telling) for row in job_rows]


def _curve(folder: Path, plain: Mapping[str, Any], table: str, network: str, y: str) -> Tensor | None:
    """(POINTS,) of one job, if it has one."""
    read = read_table(folder, table, plain, ["network", "depth", y])
    ordered = sorted(rows(read), key=lambda row: row["depth"]) if read else ()
    values = [row[y] for row in ordered if row["network"] == network]
    return stretched(torch.tensor(values), POINTS)[1] if values else None


def _panel(name: str, title: str, curves: Mapping[str, Sequence[Tensor]], y: str) -> Panel:
    records = []
    for line, of_jobs in curves.items():
        for point, values in enumerate(torch.stack(list(of_jobs), 1).tolist()):
            low, high = interval(values)
            records.append(
                {"line": line, "depth": point / (POINTS - 1), y: mean(values), f"{y}_low": low, f"{y}_high": high,
                 "jobs": len(values)}
            )  # fmt: skip
    caption = f"{pretty(y)} from the first to the last layer; means over jobs, bands are 95% intervals over jobs."
    figure = Figure("lines", name, title, caption, x="depth", y=y, group="line")
    return Panel(SECTION, name, records, units={"depth": "%"}, figures=[figure])
