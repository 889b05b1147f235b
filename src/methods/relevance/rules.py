"""Which rule of LRP each layer has, as hooks of zennit (Anders et al. 2021, arXiv:2106.13200).

zennit is imported inside the functions: it brings torchvision, and most jobs need neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from src.core.errors import UserError
from src.methods.relevance.methods import Method
from src.methods.relevance.rewriting import Rewritten

if TYPE_CHECKING:
    from zennit.core import BasicHook, Hook

Bounds = tuple[Tensor, Tensor]
"""The least and the largest value of each input channel, (1, C, 1, 1) each or broadcast to it."""


def hooks_of(network: Rewritten, method: Method, bounds: Bounds | None) -> dict[str, Hook]:
    """Module -> its rule.

    With relevance R_j of a layer's outputs, inputs x_i, weights w_ij and biases b_j each rule gives the inputs
    R_i = sum_j (share_ij / sum_i share_ij) R_j, where the share is x_i w_ij (epsilon), its positive or negative part
    (alpha-beta), x_i (w_ij + gamma w_ij+) (gamma), w_ij^2 (w-square), 1 (flat), x_i w_ij - l_i w_ij+ - h_i w_ij-
    (z-box, for inputs from l to h); b_j is one more share where biases are kept
    or shared (:mod:`src.methods.relevance.sharing`). Sums, average pools and affine layers
    share out in proportion; activations and gates pass relevance on; of a max-pool the winner takes all.

    Raises:
        UserError: the z-box rule without bounds, or for a network whose first convolution does not see the image.
    """
    from zennit.rules import Epsilon, Norm, Pass

    hooks: dict[str, Hook] = {}
    for name, role in network.roles.items():
        module = network.module.get_submodule(name)
        if role == "linear":
            special = name in network.first and method.input_rule != "none"
            hooks[name] = _input_rule(network, method, bounds) if special else _rule(module, method)
        elif role in ("average", "sum"):
            hooks[name] = Norm()
        elif role == "activation":
            hooks[name] = Pass()
        elif role == "norm":
            # without its bias each output of an affine layer has one share, also where the input is 0
            hooks[name] = Epsilon() if method.biases == "keep" else Pass()
    return hooks


def _rule(module: nn.Module, method: Method) -> Hook:
    from zennit.rules import AlphaBeta, Epsilon, Gamma, ZPlus

    zeroed = ["bias"] if method.biases == "zero" else None
    rule: BasicHook
    signs: tuple[float, ...]
    if isinstance(module, nn.Linear) or method.name == "lrp_epsilon":
        rule, signs = Epsilon(method.epsilon, zero_params=zeroed), (1.0,)
    elif method.name == "lrp_z_plus":
        rule, signs = ZPlus(zero_params=zeroed), (1.0, 1.0)
    elif method.name == "lrp_alpha2_beta1":
        rule, signs = AlphaBeta(2.0, 1.0, zero_params=zeroed), (2.0, 2.0, -1.0, -1.0)
    else:
        rule, signs = Gamma(method.gamma, zero_params=zeroed), (1.0, 1.0, 1.0, 1.0, 0.0)
    if method.biases != "share":
        return rule
    from src.methods.relevance.sharing import Sharing

    return Sharing(rule, signs)


def _input_rule(network: Rewritten, method: Method, bounds: Bounds | None) -> Hook:
    """These share out without biases unless they are kept: their denominators are sums of what is not negative."""
    from zennit.rules import Flat, WSquare, ZBox

    zeroed = None if method.biases == "keep" else ["bias"]
    if method.input_rule == "flat":
        return Flat(zero_params=zeroed)
    if method.input_rule == "w_square":
        return WSquare(zero_params=zeroed)
    if bounds is None:
        raise UserError("method.input_rule=z_box: the values of these inputs have no known bounds; take flat")
    if not network.on_image:
        raise UserError("method.input_rule=z_box: the network changes the image before its first layer; take flat")
    return ZBox(*bounds, zero_params=zeroed)
