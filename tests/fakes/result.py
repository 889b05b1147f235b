"""A result as a patch job leaves it, made up but plausible: what the report's tests draw, and what to look at."""

from __future__ import annotations

import math

import numpy as np

from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of

METHODS = {
    "weak": (0.712, 0.671, 0.691, 0.884),
    "patched": (0.871, 0.853, 0.862, 0.881),
    "weak, tuned bias": (0.694, 0.803, 0.745, 0.872),
    "weak, retrained": (0.802, 0.761, 0.781, 0.886),
    "strong model as patch": (0.903, 0.887, 0.895, 0.883),
    "random kernels": (0.598, 0.702, 0.646, 0.861),
    "module of another class": (0.402, 0.212, 0.278, 0.858),
}
HOSTILE = '<img src=x onerror="alert(1)"> [red]$x_{'


def patch_result(classes: int = 10, generations: int = 40, hostile: bool = False) -> Result:
    """A finished ``patch`` job over ``classes`` classes; with ``hostile`` one class has a name that attacks views."""
    random = np.random.default_rng(0)
    names = ["circle", "triangle", "star", "cross", "ring", "arrow", "heart", "moon", "bolt", "leaf"]
    names = [names[i] if i < 10 else f"class {i}" for i in range(classes)]
    if hostile:
        names[1] = HOSTILE
    result = Result("patch", "patch_weak/target0_seed0", verdict_kind="success")
    result.verdict = (
        f"The patch raises the F1 of '{names[0]}' by 11.7 points over the tuned bias (interval 7.9 to 15.6), "
        "and the other classes lose 0.3 points."
    )
    result.metrics = {
        "f1/patched": Estimate(0.862, 0.831, 0.890, 240, "images"),
        "f1/weak": Estimate(0.691, 0.648, 0.733, 240, "images"),
        "f1_gain": Estimate(0.117, 0.079, 0.156, 240, "images"),
        "other_accuracy_gain": Estimate(-0.003, -0.007, 0.001, 2160, "images"),
        "retained_kernels": Estimate(0.412),
        "candidates": Estimate(4120),
    }
    result.units = {
        **dict.fromkeys(("precision", "recall", "f1", "f1/patched", "f1/weak", "other_accuracy"), "%"),
        **dict.fromkeys(("retained_kernels", "accuracy", "rate", "jaccard"), "%"),
        **dict.fromkeys(("f1_gain", "other_accuracy_gain", "gain"), "points"),
        "flops": "M",
    }
    result.tables["methods"] = _methods()
    result.tables["gains"] = _gains()
    result.tables["modules"] = table_of(
        [
            {
                "class": name,
                "kernels": int(kernels := random.integers(1100, 2400)),
                "retained_kernels": kernels / 4224,
                "flops": 0.0021 * kernels**1.4,
                "auc": (auc := 0.98 - 0.04 * random.random()),
                "auc_low": auc - 0.012,
                "auc_high": min(1.0, auc + 0.009),
                "threshold": 0.5 + 0.1 * random.standard_normal(),
                "target": i == 0,
            }
            for i, name in enumerate(names)
        ]
    )
    result.tables["search"] = table_of(
        [
            {
                "generation": g,
                "module": name,
                "accuracy": 0.5 + 0.45 * (1 - math.exp(-g / (6 + 2 * i))) + 0.01 * random.random(),
                "jaccard": 0.3 + 0.5 * (1 - math.exp(-g / 15)) + 0.02 * random.random(),
            }
            for i, name in enumerate(names[:5])
            for g in range(generations)
        ]
    )
    result.tables["sensitivity"] = table_of(
        [
            {
                "rate": rate / 10,
                "layer": f"conv_{layer}",
                "accuracy": (accuracy := 0.96 - 0.86 * (rate / 10) ** (1 + layer / 3)),
                "accuracy_low": accuracy - 0.02,
                "accuracy_high": accuracy + 0.02,
            }
            for layer in range(13)
            for rate in range(10)
        ]
    )
    result.tables["confusion"] = table_of(
        [
            {"class": true, "predicted": said, "count": 200 if true == said else int(random.integers(0, 25))}
            for true in names
            for said in names
        ]
    )
    result.captions = {
        "methods": "Target class and other classes on 240 + 2,160 test images; brackets are 95% bootstrap intervals, "
        "paired over images. Every method may use the same 12 labelled target images.",
        "gains": "Differences to the weak model with a tuned bias, paired over images.",
        "modules": "One module per class: kept kernels of 4,224, cost of one image, one-vs-rest AUC.",
        "search": "Best candidate of each generation on validation images.",
    }
    result.screen = ["methods", "modules"]
    result.images["examples"] = _contact_sheet(random)
    result.figures = [
        Figure("bars", "methods", "F1 of the target class", "Whiskers are 95% intervals.", x="method", y="f1"),
        Figure("bars", "gains", "Gain over a tuned bias", "Losses left, gains right.", x="method", y="gain",
               group="measure"),
        Figure("lines", "search", "Search", "Accuracy of the best candidate.", x="generation", y="accuracy",
               group="module"),
        Figure("lines", "sensitivity", "Layer sensitivity", "Accuracy while a layer loses its least important kernels.",
               x="rate", y="accuracy", group="layer"),
        Figure("points", "modules", "Cost and quality of the modules", "One point per class.", x="retained_kernels",
               y="auc"),
        Figure("heatmap", "confusion", "Confusions of the weak model", "Test images.", x="predicted", y="class",
               value="count"),
        Figure("image", "examples", "Test images of the target class", "Missed before, found after patching."),
    ]  # fmt: skip
    result.events = [
        "the search stopped after 41 of 100 generations: the best accuracy had not risen for 20",
        "torch-pruning is not installed: the hand-written slice plan was used, unchecked against it",
    ]
    result.uses = ["checkpoint-3f9c2ab81d", "checkpoint-a81d07cc42", "modules-77be10f3aa"]
    result.config = {"task": "patch", "seed": 0, "target_class": 0, "search": {"generations": 100, "population": 24}}
    result.identity = "b7d41e0c93aa"
    result.environment = {"command": "python -m src.run experiment=patch_weak", "python": "3.11.7", "torch": "2.15.0",
                          "device": "CPU", "threads": 1, "revision": "fd3f8a9"}  # fmt: skip
    result.seconds = {"strong: training": 41.2, "weak: training": 6.4, "importance": 1.9, "search": 74.0, "all": 127.9}
    return result


def _methods() -> dict[str, list[object]]:
    records = []
    for method, values in METHODS.items():
        record: dict[str, object] = {"method": method}
        for name, value in zip(("precision", "recall", "f1", "other_accuracy"), values, strict=True):
            half = 0.014 if name == "other_accuracy" else 0.031 + 0.02 * (1 - value)
            record |= {name: value, f"{name}_low": value - half, f"{name}_high": min(1.0, value + half * 0.93)}
        records.append(record | {"target_images": 12})
    return table_of(records)


def _gains() -> dict[str, list[object]]:
    records = []
    for method, values in METHODS.items():
        if method != "weak, tuned bias":
            for measure, value, base in (("target F1", values[2], 0.745), ("other classes", values[3], 0.872)):
                half = 0.038 if measure == "target F1" else 0.006
                gain = value - base
                records.append(
                    {
                        "method": method,
                        "measure": measure,
                        "gain": gain,
                        "gain_low": gain - half,
                        "gain_high": gain + half,
                    }
                )
    return table_of(records)


def _contact_sheet(random: np.random.Generator) -> np.ndarray:
    """4 x 12 pictures of 32 x 32 pixels: discs of random colour and place before noise."""
    sheet = np.full((4 * 34 + 2, 12 * 34 + 2, 3), 255, np.uint8)
    y, x = np.mgrid[:32, :32]
    for row in range(4):
        for column in range(12):
            picture = random.integers(60, 120, (32, 32, 3))
            centre, radius = random.integers(10, 22, 2), random.integers(5, 10)
            picture[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2] = random.integers(80, 255, 3)
            sheet[row * 34 + 2 : row * 34 + 34, column * 34 + 2 : column * 34 + 34] = picture
    return sheet
