"""The choice of how sub-networks are run, folding, and racing."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from src.core.errors import UserError
from src.methods.modularity import judges
from src.methods.modularity.folded import Folded
from src.methods.modularity.judges import judge_for, runner_for
from src.methods.modularity.search import check_memory, image_rungs
from src.networks.slicing import extract, native, plan_for
from src.networks.slicing.native import BuildFailed, NoCompiler
from tests.methods.modularity.toy_search import CLASSES, SETTINGS, Toy
from tests.networks.slicing.nets import at_least_one, tiny

IMAGE = (3, 16, 16)
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["simcnn", "rescnn"])
@pytest.mark.parametrize("way", ["auto", "functional", "fused", "native", "folded"])
def test_every_way_gives_the_same_logits(name: str, way: str) -> None:
    model = tiny(name)
    plan = plan_for(model, IMAGE)
    images = torch.randn(30, *IMAGE)
    keep = at_least_one(plan, torch.rand(5, plan.kernels, generator=torch.Generator().manual_seed(1)) < 0.6)
    try:
        judge, event = judge_for(way, "fp32", model, plan, images, workers=2)
    except NoCompiler:
        pytest.skip("no C++ compiler")
    assert not event
    expected = torch.stack([extract(model, plan, row)(images) for row in keep]).detach()
    assert torch.allclose(judge.judged(keep, [None] * 5), expected, atol=2e-5 * expected.abs().max())
    one = judge.judged(keep, [[c % 4] for c in range(5)])[..., 0]
    of_class = torch.stack([row[:, c % 4] for c, row in enumerate(expected)])
    assert torch.allclose(one, of_class, atol=2e-5 * expected.abs().max())


def test_folding_looks_at_all_sub_networks_of_a_block_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("rescnn")
    plan = plan_for(model, IMAGE)
    images = torch.randn(10, *IMAGE)
    keep = at_least_one(plan, torch.rand(7, plan.kernels, generator=torch.Generator().manual_seed(1)) < 0.6)
    whole = Folded(model, plan, images).judged(keep, [[1]] * 7)
    monkeypatch.setattr("src.methods.modularity.folded.FOLDED", 12)
    assert torch.allclose(Folded(model, plan, images, batch=4).judged(keep, [[1]] * 7), whole, atol=1e-6)


def test_auto_takes_the_fastest_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(error: type[Exception]):
        def refuse() -> None:
            raise error("search.evaluator=native: the reason")

        return refuse

    chain, norm = tiny("simcnn"), tiny("simcnn", batch_norm=True)
    plan = plan_for(chain, IMAGE)
    monkeypatch.setattr(native, "library", refusing(NoCompiler))
    runner, event = runner_for("auto", "fp32", chain, plan, CPU)
    assert runner is not None and runner.name == "fused" and not event, "not a word where nobody has a compiler"
    monkeypatch.setattr(native, "library", refusing(BuildFailed))
    runner, event = runner_for("auto", "fp32", chain, plan, CPU)
    assert runner is not None and runner.name == "fused" and "the reason" in event
    with pytest.raises(BuildFailed):
        runner_for("native", "fp32", chain, plan, CPU)
    runner, event = runner_for("auto", "fp32", norm, plan_for(norm, IMAGE), CPU)
    assert runner is not None and runner.name == "functional" and not event
    assert runner_for("auto", "fp32", chain, plan, torch.device("cuda"))[0] is None, "on a GPU they are folded"
    with pytest.raises(UserError, match=r"search\.evaluator=folded.*batch norm"):
        runner_for("folded", "fp32", norm, plan_for(norm, IMAGE), CPU)


def test_precision_is_asked_of_what_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("simcnn")
    plan = plan_for(model, IMAGE)
    monkeypatch.setattr(judges, "processor_has_bf16", lambda: False)
    with pytest.raises(UserError, match=r"search\.precision=bf16: this processor.*search\.precision=fp32"):
        runner_for("auto", "bf16", model, plan, CPU)
    with pytest.raises(UserError, match=r"search\.precision=tf32: this processor"):
        runner_for("auto", "tf32", model, plan, CPU)
    with pytest.raises(UserError, match=r"search\.precision=bf16: search\.evaluator=native"):
        runner_for("native", "bf16", model, plan, CPU)
    monkeypatch.setattr(judges, "processor_has_bf16", lambda: True)
    images = torch.randn(8, *IMAGE)
    keep = torch.ones(1, plan.kernels, dtype=torch.bool)
    judge, _ = judge_for("auto", "bf16", model, plan, images, workers=1)
    assert judge.name == "fused"
    expected = model(images).detach()
    logits = judge.judged(keep, [None])[0]
    assert logits.dtype == torch.float32 and not torch.equal(logits, expected)
    assert torch.allclose(logits, expected, atol=0.1 * float(expected.std()))


def test_a_race_asks_for_less_and_ends_as_well() -> None:
    whole, raced = Toy(), Toy()
    everything = whole.search()
    settings = replace(SETTINGS, racing=(0.3, 0.6))
    order, raced.parts = image_rungs(raced.labels, settings.racing, settings.seed)
    raced.labels, raced.noise = raced.labels[order], raced.noise[:, :, order]
    outcome = raced.search(settings=settings)
    assert raced.judged < 0.8 * whole.judged
    assert outcome.accuracy > everything.accuracy - 0.05
    assert len(outcome.history) == settings.generations + 1
    again = Toy()
    again.labels, again.noise, again.parts = raced.labels, raced.noise, raced.parts
    assert torch.equal(again.search(settings=settings).keep, outcome.keep)


def test_the_best_ensemble_is_never_lost_in_a_race() -> None:
    toy = Toy()
    settings = replace(SETTINGS, racing=(0.3,))
    order, toy.parts = image_rungs(toy.labels, settings.racing, settings.seed)
    toy.labels, toy.noise = toy.labels[order], toy.noise[:, :, order]
    history = toy.search(settings=replace(settings, gamma=0.0, alpha=0.9)).history
    values = [0.9 * row.accuracy + 0.1 * row.difference for row in history]
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(values))


def test_parts_hold_all_classes_alike_or_are_refused() -> None:
    labels = torch.arange(100) % CLASSES
    order, parts = image_rungs(labels, (0.25, 0.5), 0)
    assert sorted(order.tolist()) == list(range(100)) and [part.stop for part in parts] == [25, 50, 100]
    for part in parts:
        counts = torch.bincount(labels[order[part]], minlength=CLASSES)
        assert counts.max() - counts.min() <= 1
    assert torch.equal(image_rungs(labels, (), 0)[0], torch.arange(100))
    with pytest.raises(UserError, match=r"search\.racing=\[0\.01\]: no image of class \d among the first 1"):
        image_rungs(labels, (0.01,), 0)
    with pytest.raises(UserError, match=r"search\.racing=\[0\.5, 0\.2\]: must rise"):
        replace(SETTINGS, racing=(0.5, 0.2))


def test_a_population_that_memory_does_not_hold_is_refused() -> None:
    paper = replace(SETTINGS, population=100, parents=50, max_ensembles=500)
    check_memory(paper, classes=10, kernels=4224, images=5000)
    with pytest.raises(
        UserError, match=r"search\.memory_gb=2: 100 classes of 100 candidates on 10000 images need .*raise it"
    ):
        check_memory(paper, classes=100, kernels=4224, images=10_000)
    check_memory(replace(paper, memory_gb=16.0), classes=100, kernels=4224, images=10_000)
