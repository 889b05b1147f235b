"""One answer to everything is noticed."""

import torch

from src.methods.hierarchy.collapse import shares


def test_shares_count_classes_that_are_never_predicted():
    assert shares(torch.tensor([0, 0, 1, 1]), 2) == (0.5, 0.5)
    assert shares(torch.tensor([0, 0, 1, 1]), 3) == (0.0, 0.5)
