"""A chain is the logistic regression that it claims to be, and can do what gating cannot."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from src.methods.hierarchy.chaining import fit_chain
from src.methods.hierarchy.composition import Composition, compose
from tests.methods.hierarchy.trees import THREE, TWO, answers_of


def labelled(images: int = 300) -> tuple[list[torch.Tensor], torch.Tensor]:
    answers = answers_of(TWO, images)
    logits = torch.cat(answers, dim=1).double() @ torch.randn(7, 5, generator=torch.Generator().manual_seed(1)).double()
    return answers, torch.multinomial(logits.softmax(1), 1, generator=torch.Generator().manual_seed(2))[:, 0]


@pytest.mark.parametrize("l2", [1.0, 20.0])
def test_it_equals_sklearn(l2: float):
    answers, labels = labelled()
    read = torch.cat([answer.double().log_softmax(1) for answer in answers], dim=1)
    x = ((read - read.mean(0)) / read.std(0, correction=0)).numpy()
    model = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=5000).fit(x, labels)
    found = fit_chain(TWO, answers, labels, l2=l2)(answers)
    assert torch.allclose(found.exp(), torch.from_numpy(model.predict_proba(x)), atol=1e-5)


def test_it_learns_what_the_modules_lack():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (600,), generator=generator)
    answers = [0.1 * torch.randn(600, len(node.children), generator=generator) for node in TWO.nodes]
    # experts that are right, and a router that has its two superclasses the wrong way round
    for node, more in ((0, -3.0), (1, 3.0), (2, 3.0)):
        right = torch.tensor(TWO.nodes[node].targets)[labels]
        rows = (right >= 0).nonzero()[:, 0]
        answers[node][rows, right[rows]] += more
    train, test = slice(0, 400), slice(400, 600)
    chain = fit_chain(TWO, [answer[train] for answer in answers], labels[train])
    held_out = [answer[test] for answer in answers]
    chained = (chain(held_out).argmax(1) == labels[test]).double().mean()
    gated = (compose(TWO, held_out, Composition("soft")).argmax(1) == labels[test]).double().mean()
    assert chained > 0.95 and gated < 0.05


def test_classes_without_images_and_sure_modules_stay_finite():
    answers = [1e5 * answer for answer in answers_of(THREE)]
    chain = fit_chain(THREE, answers, torch.arange(40) % 3)
    found = chain(answers)
    assert found.isfinite().all() and torch.allclose(found.exp().sum(1), torch.ones(40, dtype=torch.float64))
    assert (found.argmax(1) < 3).all()


def test_crops_are_averaged():
    answers, labels = labelled(60)
    crops = [torch.stack([answer, answer], dim=1) for answer in answers]
    assert torch.allclose(fit_chain(TWO, crops, labels)(crops), fit_chain(TWO, answers, labels)(answers), atol=1e-5)
