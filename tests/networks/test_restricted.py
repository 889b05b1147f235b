"""A network that answers with some of its classes: the same logits, fewer of them, and it is built anew from data."""

from __future__ import annotations

import torch

from src.networks.restricted import restricted
from src.networks.subjects import load_subject, rebuild, save_subject
from tests.fakes.networks import images, subject


def test_logits_are_those_of_the_chosen_classes(tmp_path) -> None:
    whole = subject()
    few = restricted(whole, [2, 0])
    shown = whole.normalise(images(4))
    with torch.no_grad():
        assert torch.equal(few.model(shown), whole.model(shown)[:, [2, 0]])
    assert few.classes == (whole.classes[2], whole.classes[0]) and few.input_shape == whole.input_shape
    again = load_subject(save_subject(few, tmp_path))
    with torch.no_grad():
        assert torch.equal(again.model(shown), few.model(shown)) and again.classes == few.classes
        assert rebuild(few.architecture)(shown).shape == (4, 2), "with random weights, as a control"
