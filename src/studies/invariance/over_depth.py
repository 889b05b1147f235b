"""Networks of many jobs on one page: as a whole, class by class, and curves over their layers, means over jobs.

The layers of networks of any depth are stretched to percent of depth.
"""

import math
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
from src.studies.invariance.findings import ACCURACIES

SECTION, NETWORKS, CLASSES = "Over depth", "Networks", "Classes"
POINTS = 51
Job = tuple[Path, Mapping[str, Any]]  # its folder, its result as read


def over_depth(jobs: Sequence[tuple[Path, Mapping[str, Any]]], asked: Mapping[str, Any]) -> Iterator[Panel]:
    """A figure for each table of the jobs and each of the networks in it, a line per value of ``group``.

    With ``stratified`` also a figure for each value of ``group``, a line per network, of all images and within classes;
    a table of all networks as a whole; and their last layer by class of the images.

    The values of a curve lie evenly over the depth, the first at 0 and the last at 100%. Jobs without a verdict and
    those without a table are left out.

    Args:
        jobs: folder and result as read.
        asked: ``tables`` (name -> title) with the columns ``network``, ``depth``, ``y`` and, if it is asked for,
            ``stratified``; which ``networks``; and ``group``, columns of the jobs' rows, such as model and data: those
            that tell lines apart name them.
    """
    jobs = [(folder, plain) for folder, plain in jobs if ended_well(plain)]
    names = _names([plain["row"] for _, plain in jobs], asked["group"])
    curves: dict[str, list[Tensor]]
    stratified = asked.get("stratified")
    if stratified:
        yield from _as_a_whole(jobs, names)
        columns = {asked["y"]: "", stratified: ", within classes"}
        for table, title in asked["tables"].items():
            for number, line in enumerate(dict.fromkeys(names), 1):
                curves = {}
                for (folder, plain), name in zip(jobs, names, strict=True):
                    for network in asked["networks"] if name == line else ():
                        for column, words in columns.items():
                            curve = _curve(folder, plain, table, network, column)
                            if curve is not None:
                                curves.setdefault(f"{network}{words}", []).append(curve)
                if curves:
                    yield _panel(f"{table}_of_{number}", f"{title}: {line}", curves, asked["y"])
        yield from _by_class(jobs, names)
    for table, title in asked["tables"].items():
        for network in asked["networks"]:
            curves = {}
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


def _as_a_whole(jobs: Sequence[Job], names: Sequence[str]) -> Iterator[Panel]:
    """Accuracy and NV of every network of every line: means over jobs, with intervals of the accuracies."""
    values: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for (folder, plain), line in zip(jobs, names, strict=True):
        for row in rows(read_table(folder, "networks", plain) or {}):
            values.setdefault((line, row["network"]), []).append(row)
    columns = dict.fromkeys(column for of_jobs in values.values() for row in of_jobs for column in row)
    accuracies = [column for column in ACCURACIES if column in columns]
    measured = [*accuracies, *(column for column in columns if column.startswith("nv_"))]
    records: list[dict[str, Any]] = []
    for (line, network), of_jobs in values.items():
        record: dict[str, Any] = {"line": line, "network": network}
        for column in measured:
            known = [row[column] for row in of_jobs if row.get(column) is not None]
            record[column] = mean(known) if known else math.nan
            if column in accuracies:
                record[f"{column}_low"], record[f"{column}_high"] = interval(known)
        records.append(record | {"jobs": len(of_jobs)})
    if not records:
        return
    caption = (
        "Means over jobs, with 95% intervals over jobs. Stratified: within classes. NV is a mean over layers; units: "
        "over all units, where wide layers dominate, as published."
    )
    figures = [
        Figure("bars", "networks_over_jobs", f"{pretty(column)} of test images", "Means and 95% intervals over jobs.",
               x="line", y=column, group="network", percent=True)
        for column in accuracies[:2]
    ]  # fmt: skip
    yield Panel(NETWORKS, "networks_over_jobs", records, caption, dict.fromkeys(accuracies, "%"), figures)


def _by_class(jobs: Sequence[Job], names: Sequence[str]) -> Iterator[Panel]:
    """NV of the last layer among the images of each class: a figure for each line."""
    for number, line in enumerate(dict.fromkeys(names), 1):
        values: dict[tuple[str, str], list[float]] = {}
        for (folder, plain), name in zip(jobs, names, strict=True):
            read = read_table(folder, "invariance_by_class", plain) if name == line else None
            for row in rows(read or {}):
                values.setdefault((row["network"], row["class"]), []).append(row["nv"])
        records = []
        for (network, label), of_jobs in values.items():
            low, high = interval(of_jobs)
            records.append({"network": network, "class": label, "nv": mean(of_jobs), "nv_low": low, "nv_high": high,
                            "jobs": len(of_jobs)})  # fmt: skip
        if records:
            table = f"by_class_of_{number}"
            caption = "Mean NV of the last layer's units among images of one class; means and 95% intervals over jobs."
            figure = Figure("bars", table, f"Last layer by class of the images: {line}", caption, x="class", y="nv",
                            group="network")  # fmt: skip
            yield Panel(CLASSES, table, records, figures=[figure])
