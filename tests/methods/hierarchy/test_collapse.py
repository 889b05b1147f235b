"""One answer to everything is noticed."""

import pytest
import torch

from src.methods.hierarchy.collapse import collapsed, shares


@pytest.mark.parametrize(("often", "alarm"), [(90, False), (91, True), (100, True), (50, False)])
def test_the_alarm(often: int, alarm: bool):
    predicted = torch.tensor([2] * often + [0, 1] * ((100 - often) // 2) + [0] * ((100 - often) % 2))
    assert collapsed(predicted, 3) is alarm
    assert shares(predicted, 3)[1] == often / 100


def test_shares_count_classes_that_are_never_predicted():
    assert shares(torch.tensor([0, 0, 1, 1]), 2) == (0.5, 0.5)
    assert shares(torch.tensor([0, 0, 1, 1]), 3) == (0.0, 0.5)
