"""A network in two parts: a trunk that several networks can share, and a head."""

from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models.layout import ConvolutionalNetwork, run_steps
from src.networks.models.maxout import MaxoutNetwork


class Section(nn.Module):
    """Consecutive steps of a `ConvolutionalNetwork`, with its modules under their names."""

    relu_may_overwrite = True

    def __init__(self, model: ConvolutionalNetwork, start: int, stop: int | None) -> None:
        super().__init__()
        self._steps = model._steps[start:stop]
        for _, name in self._steps:
            if name:
                self.add_module(name, getattr(model, name))

    def forward(self, x: Tensor) -> Tensor:
        return run_steps(self, self._steps, (x, x))[0]


def trunk_and_head(model: nn.Module, until: str = "flatten") -> tuple[nn.Module, nn.Module]:
    """What comes before the module ``until``, and that module with all that follows; ``head(trunk(x))`` is the model.

    Both hold the model's own modules: their weights are shared with it. By default the trunk makes maps
    (n, C, H, W), and the head begins with flatten.

    Raises:
        UserError: the network is none of ours, it has no such module, nothing would come before it, or a sum of the
            head needs a map of the trunk.
    """
    if isinstance(model, ConvolutionalNetwork):
        place = _place([name for _, name in model._steps], until)
        steps = [what for what, _ in model._steps[:place]]
        while steps and steps[-1] == "keep":  # what the head adds later is its own input
            steps.pop()
        if steps.count("keep") > steps.count("add"):
            raise UserError(
                f"trunk.until={until}: lies within a residual pair, whose sum would need a map of both; "
                "take a module before or after it"
            )
        return Section(model, 0, len(steps)), Section(model, len(steps), None)
    if isinstance(model, MaxoutNetwork):
        place = _place(list(model._modules), until)
        return model[:place], model[place:]
    raise UserError(
        f"model: {type(model).__name__} cannot be split into trunk and head; take one of our own (maxout, vgg19, "
        "simcnn ...), or train modules that share no trunk"
    )


def _place(names: list[str], until: str) -> int:
    known = [name for name in names if name]
    if until not in known:
        raise UserError(f"trunk.until={until}: the network has no such module; it has {', '.join(known)}")
    place = names.index(until)
    if place == 0:
        raise UserError(f"trunk.until={until}: nothing comes before it; take a later module")
    return place
