"""Several networks on the same corrupted images."""

from __future__ import annotations

import pytest
import torch

from src.core.errors import UserError
from src.core.options import options_of
from src.studies.composition.options import Shift
from src.studies.robustness import shifted as module
from src.studies.robustness.shifted import Shifted, predictor, under_corruption
from tests.fakes.study import FakeSession, network, pictures
from tests.studies.robustness.answers import CORRUPTIONS, SEVERITIES, log_probabilities


def measured(predictors, count=10, **options) -> Shifted:
    how = {"corruptions": CORRUPTIONS, "severities": SEVERITIES, "seed": 0, "batch": 4, "session": FakeSession()}
    return under_corruption(predictors, pictures(count), torch.arange(count) % 3, **{**how, **options})


def test_every_image_is_corrupted_once_and_seen_by_all(monkeypatch):
    calls, seen = [], {"a": [], "b": []}
    corrupted = module.corrupted

    def counted(images, name, severity, **options):
        for part in corrupted(images, name, severity, **options):
            calls.append((name, severity, len(part)))
            yield part

    def answering(name):
        def answer(part):
            seen[name].append(part.clone())
            return log_probabilities(len(part))

        return answer

    monkeypatch.setattr(module, "corrupted", counted)
    found = measured({"a": answering("a"), "b": answering("b")})
    assert calls == [(name, s, n) for name in CORRUPTIONS for s in SEVERITIES for n in (4, 4, 2)]
    assert all(torch.equal(x, y) for x, y in zip(seen["a"], seen["b"], strict=True))
    assert torch.equal(torch.cat(seen["a"][:3]), pictures(10)), "the clean images come first, as they are"
    assert found.scores["correct"].shape == (2, 2, 2, 10) and found.images == 10


def test_scores_are_those_of_the_same_images_predicted_by_hand():
    found = measured({"network": predictor(network())})
    seen = torch.cat([*module.corrupted(pictures(10), CORRUPTIONS[1], SEVERITIES[1], seed=0, batch=4)])
    with torch.no_grad():
        own = network().model(network().normalise(seen)).double().log_softmax(1)
    labels = torch.arange(10) % 3
    assert torch.equal(found.scores["correct"][0, 1, 1], (own.argmax(1) == labels).float())
    expected = -own.gather(1, labels[:, None])[:, 0]
    assert torch.allclose(found.scores["nll"][0, 1, 1], expected.float(), atol=1e-5)
    assert torch.allclose(found.scores["confidence"][0, 1, 1], own.exp().amax(1).float(), atol=1e-6)


def test_the_seed_decides_and_nothing_else():
    first, same, other = (
        measured({"network": predictor(network())}, seed=seed, corruptions=["gaussian_noise"]) for seed in (0, 0, 1)
    )
    assert torch.equal(first.scores["nll"], same.scores["nll"])
    assert not torch.equal(first.scores["nll"], other.scores["nll"])
    assert torch.equal(first.clean["nll"], other.clean["nll"])


def test_published_images_take_the_place_of_ours():
    dark = torch.zeros_like(pictures(10))
    found = measured({"network": predictor(network())}, read=lambda name, severity: (dark + severity).split(3))
    with torch.no_grad():
        own = network().model(network().normalise(dark[:1] + 5)).double().softmax(1).max()
    assert torch.allclose(found.scores["confidence"][0, :, 1], own.float(), atol=1e-6)


def test_a_temperature_divides_the_logits():
    own, raw = network(), pictures(5)
    with torch.no_grad():
        logits = own.model(own.normalise(raw)).double()
    assert torch.allclose(predictor(own, 2.0)(raw), (logits / 2).log_softmax(1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"corruptions": ["gaussian_nois"]}, "no 'gaussian_nois'; did you mean 'gaussian_noise'"),
        ({"corruptions": []}, "name at least one"),
        ({"corruptions": ["fog", "fog"]}, "each only once"),
        ({"severities": [2, 2]}, r"severities=\[2, 2\]: allowed are different ones of 1, 2, 3, 4, 5"),
    ],
)
def test_what_is_no_corruption_or_severity_is_refused(options, said):
    with pytest.raises(UserError, match=said):
        measured({}, **options)


@pytest.mark.parametrize("severities", [[0], [6], []])
def test_what_is_no_severity_is_refused_by_its_type(severities):
    shift = {"corruptions": "all", "severities": severities, "images": None, "batch": 4}
    with pytest.raises(UserError, match=r"shift.severities=.*: allowed is a list of different ones of 1, 2, 3, 4, 5"):
        options_of(Shift, shift, "shift")
