"""What the parts of a composition cost and are worth, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from src.artifacts.composed import composed_of, tree_in
from src.artifacts.trained import images_of, trained
from src.artifacts.tree_training import parts_of, trained_together
from src.studies.composition.cost import cost_of, costs_of
from src.studies.composition.panels import cost_panels
from tests.tasks.composing import asked

CLASSES = "monolith.data.classes=[star5,disc,star6,ring,star4,ellipse]"


@pytest.mark.parametrize("way", ["together", "trunk"])
def test_modules_trained_together_are_judged_one_by_one(tmp_path: Path, way: str) -> None:
    options, artifacts = asked(tmp_path, "task=compose", CLASSES, f"modules={way}", "match=data")
    data = images_of(options.monolith, artifacts.session, "monolith")
    tree = tree_in(options, data, artifacts)
    whole = trained_together(options, tree, data, artifacts)
    modules = parts_of(whole, options, tree)
    monolith = trained(options.monolith, artifacts, role="monolith", data=data)
    subject, _, _ = composed_of(options, artifacts)
    networks = (monolith.subject, subject, subject)
    costs = costs_of(modules, monolith, *networks, data.sets["test"].images[:2])
    first, *parts = costs.parts
    assert first.part == "monolith"
    assert first.validation_accuracy == pytest.approx(monolith.accuracy)
    assert first.validation_loss == pytest.approx(monolith.history[monolith.epoch]["val/loss"], rel=1e-4)
    assert len(parts) == len(tree.nodes) == 3
    held_out = data.sets["validation"]
    for part, node, module in zip(parts, tree.nodes, modules.modules, strict=True):
        targets = torch.tensor(node.targets)[held_out.labels]
        below = targets >= 0
        with torch.no_grad():
            logits = module.subject.model(module.subject.normalise(held_out.images[below])).double()
        right = logits.argmax(1) == targets[below]
        assert part.validation_accuracy == pytest.approx(right.double().mean().item())
        assert part.validation_loss == pytest.approx(cross_entropy(logits, targets[below]).item(), rel=1e-5)
    assert len({part.validation_loss for part in parts}) == 3
    assert costs.together and costs.networks[0].network == "monolith"
    assert costs.stored_parameters_ratio == cost_of(modules).stored_parameters / first.parameters
    captions = {panel.name: panel.caption for panel in cost_panels(costs)}
    assert "Of modules trained together epochs and seconds are those of their one training" in captions["parts"]
    assert "match=macs makes the monolith as large as the hard route" in captions["cost"]
