"""The methods that say which pixels speak for a class, and their parameters, as data.

Imports no torch: the parent of a sweep reads it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from src.core.errors import UserError, suggestion

Name = Literal[
    "lrp_epsilon",
    "lrp_z_plus",
    "lrp_alpha2_beta1",
    "lrp_gamma",
    "gradient",
    "gradient_x_input",
    "integrated_gradients",
    "grad_cam",
    "occlusion",
]
InputRule = Literal["none", "flat", "w_square", "z_box"]
Biases = Literal["share", "zero", "keep"]


@dataclass(frozen=True)
class Method:
    """A method with its parameters; each concerns the methods named beside it.

    Attributes:
        name: of the method. ``lrp_epsilon``: the epsilon rule in all layers (Bach et al., PLOS ONE 2015,
            doi 10.1371/journal.pone.0130140). ``lrp_z_plus``: alpha 1, beta 0 in convolutions (Montavon et al., Pattern
            Recognition 2017, arXiv:1512.02479). ``lrp_alpha2_beta1``: alpha 2, beta 1 in convolutions. ``lrp_gamma``:
            the gamma rule in convolutions (Montavon et al. 2019, doi 10.1007/978-3-030-28954-6_10). Dense layers have
            the epsilon rule under all four.
        input_rule: LRP: of the first layer, in the place of the method's own.
        biases: LRP: with "keep" they keep their share, and the map sums to less (or more) than the logit. "share" hands
            their share to the layer's inputs: the map sums to the logit. "zero" leaves them out where relevance is
            shared out: conserved where each output has inputs that speak for it (not in grouped and depthwise
            convolutions), and unstable under the epsilon and gamma rules in networks with batch norm. Where values
            cross zero without a ReLU behind them (ELU, linear bottlenecks), the epsilon rule is stable with "keep" or
            a large epsilon alone.
        epsilon: LRP: what the epsilon rule adds to its denominators.
        gamma: ``lrp_gamma``: how much more positive weights count.
        steps: ``integrated_gradients``: points on the way from the baseline.
        window: ``occlusion``: side of the square as a share of the image's; it moves by half its side.

    Raises:
        UserError: a value is not allowed.
    """

    name: Name
    input_rule: InputRule = "none"
    biases: Biases = "share"
    epsilon: float = 1e-6
    gamma: float = 0.25
    steps: int = 32
    window: float = 0.125

    def __post_init__(self) -> None:
        for key, allowed in (("name", Name), ("input_rule", InputRule), ("biases", Biases)):
            value = getattr(self, key)
            if value not in get_args(allowed):
                raise UserError(f"method.{key}={value}: {suggestion(str(value), get_args(allowed))}")
        if self.input_rule != "none" and not self.layer_wise:
            raise UserError(f"method.input_rule={self.input_rule}: {self.name} has no rules of layers; set it to none")
        bounds = {"epsilon": math.inf, "gamma": math.inf, "steps": math.inf, "window": 1.0}
        for key, most in bounds.items():
            if not 0 < (value := getattr(self, key)) <= most or value == math.inf:
                words = "a number above 0" if most == math.inf else f"a number above 0, at most {most:g}"
                raise UserError(f"method.{key}={value}: has to be {words}")

    @property
    def layer_wise(self) -> bool:
        """Whether it hands relevance back layer by layer (LRP), which not every network allows."""
        return self.name.startswith("lrp_")
