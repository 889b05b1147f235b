"""Thinning one layer at a time shows which layers matter."""

import pytest
import torch

from src.core.errors import UserError
from src.methods.modularity.sensitivity import SensitivityCurves, chosen_layers, sensitive_layers, sensitivity_curves

SIZES = (4, 10, 6)
ORDER = torch.stack([torch.cat([torch.arange(4), torch.arange(13, 3, -1), torch.arange(14, 20)])] * 3)


def test_only_the_asked_layer_is_thinned_and_its_best_kernels_stay() -> None:
    seen = []

    def compose(keep: torch.Tensor) -> float:
        seen.append(keep)
        return keep.double().mean().item()

    curves = sensitivity_curves(compose, ORDER, SIZES, [0.1, 0.5, 1.0])
    assert curves.full_accuracy == 1.0 and curves.accuracy.shape == (3, 3)
    assert torch.equal(curves.accuracy[:, 2], torch.ones(3, dtype=torch.float64))
    dropped = [(~keep[0]).nonzero().flatten().tolist() for keep in seen[1:]]
    assert dropped == [
        [1, 2, 3], [2, 3],  # layer 0: 1 and 2 of 4 kept
        list(range(4, 13)), list(range(4, 9)),  # layer 1 is ranked backwards
        [15, 16, 17, 18, 19], [17, 18, 19],
    ]  # fmt: skip
    assert all((keep == keep[0]).all() for keep in seen)


def test_equal_counts_are_judged_once() -> None:
    calls = []
    sensitivity_curves(lambda keep: calls.append(keep) or 0.5, ORDER[:, :4], (4,), [0.25, 0.3, 0.4, 0.5])
    assert len(calls) == 1 + 2


def test_rule_interpolates_and_compares_with_the_full_accuracy() -> None:
    accuracy = torch.tensor([[0.5, 0.79], [0.78, 0.8], [0.7, 0.9]], dtype=torch.float64)
    curves = SensitivityCurves(accuracy, (0.4, 0.6), 0.8)
    sensitive, note = sensitive_layers(curves, kept=0.5, tolerance=0.05)
    assert sensitive.tolist() == [True, False, False]
    assert note.startswith("1 of 3 layers are sensitive")
    # 0.8: halfway from 0.6 to the full network
    for kept, losses in ((0.5, [1 - 0.645 / 0.8, 1 - 0.79 / 0.8]), (0.8, [1 - 0.795 / 0.8])):
        for layer, loss in enumerate(losses):
            for tolerance in (loss - 1e-6, loss + 1e-6):
                assert sensitive_layers(curves, kept=kept, tolerance=tolerance)[0][layer] == (tolerance < loss)


def test_no_or_all_layers_are_said() -> None:
    curves = SensitivityCurves(torch.tensor([[0.5], [0.6]], dtype=torch.float64), (0.5,), 0.8)
    assert sensitive_layers(curves)[1].startswith("all layers are sensitive")
    assert sensitive_layers(curves, tolerance=0.9)[1].startswith("no layer is sensitive")


def test_mistakes_are_named() -> None:
    curves = SensitivityCurves(torch.ones(1, 1, dtype=torch.float64), (0.5,), 1.0)
    with pytest.raises(UserError, match=r"sensitivity.kept=0.3: .* 0.5 and 1"):
        sensitive_layers(curves, kept=0.3)
    with pytest.raises(UserError, match=r"sensitive layers \[13\]: the network has 13 layers, 0 to 12"):
        chosen_layers([0, 13], 13)
    assert chosen_layers([0, 2], 4).tolist() == [True, False, True, False]
    assert not chosen_layers([], 2).any()
