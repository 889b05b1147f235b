"""LRP's rules by hand, on a network of two pixels, two kernels and one class."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.methods.relevance.attribution import relevance_of
from src.methods.relevance.methods import Biases, InputRule, Method, Name

# pixels 1 and 2; z = (3 - 2 + 1, -1 + 4 - 1) = (2, 2); logit = 2 + 2 * 2 + 0.5
PIXELS = torch.tensor([[[[1.0, 2.0]]]], dtype=torch.float64)
BOUNDS = (torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), 3.0))
ABOVE = {"keep": (2.0, 4.0), "zero": (13 / 6, 13 / 3), "share": (2.25, 4.25)}  # relevance of the two kernels


def tiny() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(1, 2, (1, 2)), nn.ReLU(), nn.Flatten(), nn.Linear(2, 1)).double()
    state = {
        "0.weight": torch.tensor([[3.0, -1.0], [-1.0, 2.0]]).view(2, 1, 1, 2), "0.bias": torch.tensor([1.0, -1.0]),
        "3.weight": torch.tensor([[1.0, 2.0]]), "3.bias": torch.tensor([0.5]),
    }  # fmt: skip
    model.load_state_dict(state)
    return model


#: method, input rule, biases -> shares of the pixels in each of the two kernels
BY_HAND: dict[tuple[Name, InputRule, Biases], tuple[tuple[float, float], tuple[float, float]]] = {
    ("lrp_epsilon", "none", "keep"): ((3 / 2, -2 / 2), (-1 / 2, 4 / 2)),
    ("lrp_epsilon", "none", "zero"): ((3 / 1, -2 / 1), (-1 / 3, 4 / 3)),
    # what the biases leave, 1/2 and -1/2, goes to the pixels as 1 to 2
    ("lrp_epsilon", "none", "share"): ((3 / 2 + 1 / 6, -1 + 1 / 3), (-1 / 2 - 1 / 6, 2 - 1 / 3)),
    ("lrp_z_plus", "none", "keep"): ((3 / 4, 0), (0, 4 / 4)),
    ("lrp_z_plus", "none", "zero"): ((3 / 3, 0), (0, 4 / 4)),
    ("lrp_z_plus", "none", "share"): ((3 / 4 + 1 / 12, 2 / 12), (0, 1)),
    ("lrp_alpha2_beta1", "none", "keep"): ((2 * 3 / 4, -1), (-1 / 2, 2)),
    ("lrp_alpha2_beta1", "none", "zero"): ((2, -1), (-1, 2)),
    ("lrp_alpha2_beta1", "none", "share"): ((3 / 2 + 1 / 6, -1 + 1 / 3), (-1 / 2 - 1 / 6, 2 - 1 / 3)),
    ("lrp_gamma", "none", "keep"): ((3.75 / 3, -2 / 3), (-1 / 3, 5 / 3)),
    ("lrp_gamma", "none", "zero"): ((3.75 / 1.75, -2 / 1.75), (-1 / 4, 5 / 4)),
    ("lrp_z_plus", "flat", "keep"): ((1 / 2, 1 / 2), (1 / 2, 1 / 2)),
    ("lrp_gamma", "w_square", "share"): ((9 / 10, 1 / 10), (1 / 5, 4 / 5)),
    ("lrp_epsilon", "w_square", "keep"): ((9 / 11, 1 / 11), (1 / 6, 4 / 6)),
    ("lrp_epsilon", "z_box", "zero"): ((3 / 4, 1 / 4), (2 / 6, 4 / 6)),
}


@pytest.mark.parametrize("case", BY_HAND, ids="-".join)
def test_a_rule_by_hand(case: tuple[Name, InputRule, Biases]) -> None:
    name, input_rule, biases = case
    above, shares = torch.tensor(ABOVE[biases]), torch.tensor(BY_HAND[case], dtype=torch.float32)
    found = relevance_of(tiny(), PIXELS, torch.tensor([0]), Method(name, input_rule, biases), bounds=BOUNDS)
    assert found.maps.flatten().tolist() == pytest.approx((above @ shares).tolist(), rel=1e-5, abs=1e-5)
    assert float(found.start) == 6.5 and float(found.total) == pytest.approx(float(found.maps.sum()))
    if biases != "keep":
        assert float(found.total) == pytest.approx(6.5, rel=1e-5)


def test_epsilon_takes_its_share() -> None:
    found = relevance_of(tiny(), PIXELS, torch.tensor([0]), Method("lrp_epsilon", biases="keep", epsilon=0.5))
    above = [6.5 * 2 / 7, 6.5 * 4 / 7]
    assert found.maps.flatten().tolist() == pytest.approx(
        [3 / 2.5 * above[0] - 1 / 2.5 * above[1], -2 / 2.5 * above[0] + 4 / 2.5 * above[1]]
    )


def test_an_output_without_inputs_shares_out_evenly() -> None:
    found = relevance_of(tiny(), PIXELS * 0, torch.tensor([0]), Method("lrp_z_plus"))
    assert found.maps.flatten().tolist() == pytest.approx([0.75, 0.75])  # logit 1.5 by the biases alone


def test_the_box_is_refused_without_bounds() -> None:
    with pytest.raises(UserError, match="bounds"):
        relevance_of(tiny(), PIXELS, torch.tensor([0]), Method("lrp_z_plus", "z_box"))


def test_methods_refuse_what_is_not_allowed() -> None:
    for values in ({"name": "lrp"}, {"name": "gradient", "input_rule": "flat"}, {"name": "lrp_gamma", "gamma": 0.0},
                   {"name": "occlusion", "window": 1.5}, {"name": "lrp_gamma", "biases": "none"}):  # fmt: skip
        with pytest.raises(UserError, match="method"):
            Method(**values)


def test_the_methods_load_no_torch() -> None:
    script = "import sys, src.methods.relevance.methods; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
