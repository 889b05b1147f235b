"""A search over a real tiny network, to be killed: ``python -m tests.methods.modularity.real_search WAY FOLDER JOURNAL
NUMBER SECONDS`` ends before file operation NUMBER below FOLDER (0: none), and sleeps SECONDS in every generation."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.methods.modularity.evaluation import Evaluator
from src.methods.modularity.genome import GenomeLayout
from src.methods.modularity.judges import judge_for
from src.methods.modularity.search import search
from src.methods.modularity.search_settings import SearchSettings
from src.methods.modularity.search_state import SearchState
from src.networks.slicing import plan_for
from tests.end_to_end.boundaries import watch
from tests.networks.slicing.nets import tiny

IMAGE = (3, 16, 16)
SETTINGS = SearchSettings(
    generations=5, population=6, parents=4, keep_parents=2, min_ensembles=4, max_ensembles=8, patience=None, seed=1,
    sensitive_ratios=(0.8,), other_ratios=(0.5, 0.8),
)  # fmt: skip


def real_search(way: Any, checkpoint: Path, seconds: float = 0.0) -> SearchState:
    """The search's last state."""
    torch.set_num_threads(1)
    model = tiny("rescnn")
    plan = plan_for(model, IMAGE)
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(40, *IMAGE, generator=generator)
    judge, _ = judge_for(way, "fp32", model, plan, images, workers=2)
    evaluator = Evaluator(judge)

    def evaluate(keep: Tensor, _: int) -> Tensor:
        time.sleep(seconds)
        of_row = [c for c in range(len(keep)) for _ in range(keep.shape[1])]
        return evaluator.logits(keep.flatten(0, 1), of_row).unflatten(0, keep.shape[:2])

    parts = [torch.randperm(size, generator=generator) + first
             for size, first in zip(plan.sizes, plan.offsets, strict=False)]  # fmt: skip
    order = torch.cat(parts).expand(4, -1)
    sensitive = torch.zeros(len(plan.sizes), dtype=torch.bool)
    labels = torch.arange(40) % 4
    layout = GenomeLayout.paper(plan.sizes)
    return search(evaluate, layout, order, sensitive, labels, plan.multiplicity, SETTINGS, checkpoint=checkpoint)


if __name__ == "__main__":
    way, folder, journal, number, seconds = sys.argv[1:]
    watch(folder, journal, int(number), half=False)
    real_search(way, Path(folder) / "search.safetensors", float(seconds))
