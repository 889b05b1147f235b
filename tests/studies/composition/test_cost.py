"""What the parts of a composition cost and are worth, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from src.artifacts.composed import composed_of, tree_in
from src.artifacts.trained import images_of, trained
from src.artifacts.tree_training import parts_of, trained_together
from src.core.result import Result, rows
from src.core.store import Store
from src.report.session import Session
from src.studies.composition.cost import add_costs
from tests.tasks.composing import configured

CLASSES = "monolith.data.classes=[star5,disc,star6,ring,star4,ellipse]"


@pytest.mark.parametrize("way", ["together", "trunk"])
def test_modules_trained_together_are_judged_one_by_one(tmp_path: Path, way: str) -> None:
    config = configured(tmp_path, "task=compose", CLASSES, f"modules={way}", "match=data")
    store, session = Store(tmp_path / "store"), Session(config, tmp_path / "job", quiet=True)
    data = images_of(config["monolith"], session, "monolith")
    tree = tree_in(config, data, store, session)
    whole = trained_together(config, tree, data, store, session)
    modules = parts_of(whole, config, tree)
    monolith = trained(config["monolith"], store, session, role="monolith", config=config, data=data)
    subject, _, _ = composed_of(config, store, session)
    result = Result("compose", "test")
    networks = {"monolith": monolith.subject, "hard": subject, "soft": subject}
    add_costs(result, modules, monolith, networks, data.sets["test"].images[:2])
    first, *own = rows(result.tables["parts"])
    assert first["part"] == "monolith"
    assert first["validation_accuracy"] == pytest.approx(monolith.accuracy)
    assert first["validation_loss"] == pytest.approx(monolith.history[monolith.epoch]["val/loss"], rel=1e-4)
    assert len(own) == len(tree.nodes) == 3
    held_out = data.sets["validation"]
    for row, node, module in zip(own, tree.nodes, modules.modules, strict=True):
        targets = torch.tensor(node.targets)[held_out.labels]
        below = targets >= 0
        with torch.no_grad():
            logits = module.subject.model(module.subject.normalise(held_out.images[below])).double()
        right = logits.argmax(1) == targets[below]
        assert row["validation_accuracy"] == pytest.approx(right.double().mean().item())
        assert row["validation_loss"] == pytest.approx(cross_entropy(logits, targets[below]).item(), rel=1e-5)
    assert len({row["validation_loss"] for row in own}) == 3
    assert "Of modules trained together epochs and seconds are those of their one training" in result.captions["parts"]
    assert "match=macs makes the monolith as large as the hard route" in result.captions["cost"]
