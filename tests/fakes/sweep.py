"""A result over many jobs as a sweep of widths leaves it, made up but plausible, with the values that break pages."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from src.core.result import Explorer, Result, table_of
from src.report.cells import Link

HOSTILE = '<img src=x onerror="alert(1)"> $x_{ %{y}, "quoted"'
FORMULA = '=HYPERLINK("https://example.org")'


def sweep_result(variants: int = 40, seeds: int = 2, epochs: int = 12, layers: int = 15) -> Result:
    """``variants`` and a baseline, each with ``seeds``; variant 1 has a hostile name, variant 2 was never measured,
    and one job left nothing at all."""
    random = np.random.default_rng(0)
    records: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for number in range(-1, variants):
        xi, omega, alpha = number % 16, 2 + 0.5 * (number % 8), float(-40 + 4 * (number * 7 % 21))
        shape = np.exp(-((np.arange(layers) - (xi if number >= 0 else 11)) ** 2) / (2 * (omega + 1.5) ** 2))
        widths = [max(2, int(width)) for width in 5248 * shape / shape.sum()]
        parameters = 9 * sum(a * b for a, b in pairwise(widths))
        flops = 1e6 * sum(w * v * 4.0 ** (5 - i // 3) for i, (w, v) in enumerate(pairwise(widths)))
        good = 0.58 + 0.03 * math.log10(flops / 1e9) - 0.004 * abs(xi - 6)
        for seed in range(seeds):
            accuracy = None if number == 2 else float(good + random.normal(0, 0.006))
            name = "VGG-D baseline" if number < 0 else HOSTILE if number == 1 else f"variant {number}"
            job = f"{number},{seed}"
            inside = number >= 0
            records.append(
                {
                    "job": Link(job, f"./{job}/page.html"), "variant": name,
                    "xi": xi if inside else None, "omega": omega if inside else None,
                    "alpha": alpha if inside else None,
                    "data": "glyphs" if number % 3 else "digits", "seed": seed, "lone": FORMULA, "widths": widths,
                    "parameters": parameters, "flops": flops / 1e13, "activation_memory": 40.0 + parameters / 4e5,
                    "outcome": "finished",
                    "accuracy": accuracy,
                    "accuracy_low": None if accuracy is None else accuracy - 0.02,
                    "accuracy_high": None if accuracy is None else accuracy + 0.02,
                    "generalisation_gap": None if accuracy is None else 0.05 + 0.002 * xi,
                }
            )  # fmt: skip
            for epoch in range(epochs if accuracy is not None else 1):
                for split, bonus in (("train", 0.03), ("validation", 0.0)):
                    reached = (accuracy or 0.1) * (1 - math.exp(-(epoch + 1) / 3)) + bonus * epoch / epochs
                    noisy = reached + float(random.normal(0, 0.008))
                    curves.append({"job": job, "network": "network", "split": split, "epoch": epoch, "accuracy": noisy})
    records.append(dict.fromkeys(records[0]) | {"job": Link("lost", "./lost/result.json"), "outcome": "failed"})
    result = Result("compare", "layer_widths/all <b>", verdict="undecided", verdict_kind="no verdict")
    result.tables = {
        "claims": {"claim": ["Larger early layers give better accuracy"], "verdict": ["no verdict"], "slope": [-0.02]},
        "jobs": table_of(records),
        "curves": table_of(curves),
    }
    result.screen = ["claims"]
    result.units = {"accuracy": "%", "generalisation_gap": "points", "flops": "MFLOPs", "activation_memory": "MiB"}
    result.captions = {"jobs": "One row per job."}
    result.explorer = Explorer(
        "jobs", "variant", ("accuracy", "generalisation_gap"), ("xi", "omega", "alpha"),
        ("flops", "parameters", "activation_memory"), "widths", "curves", ("data", "seed", "lone"),
    )  # fmt: skip
    return result
