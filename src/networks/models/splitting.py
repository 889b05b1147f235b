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
        self.steps = model.steps[start:stop]
        for _, name in self.steps:
            if name:
                self.add_module(name, getattr(model, name))

    def forward(self, x: Tensor) -> Tensor:
        return run_steps(self, self.steps, (x, x))[0]


def trunk_and_head(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """What makes maps (n, C, H, W), and what follows from flatten on; ``head(trunk(x))`` is the model.

    Both hold the model's own modules: their weights are shared with it.

    Raises:
        UserError: the network is none of ours.
    """
    if isinstance(model, ConvolutionalNetwork):
        place = [name for _, name in model.steps].index("flatten")
        return Section(model, 0, place), Section(model, place, None)
    if isinstance(model, MaxoutNetwork):
        place = list(model._modules).index("flatten")
        return model[:place], model[place:]
    raise UserError(
        f"model: {type(model).__name__} cannot be split into trunk and head; take one of our own (maxout, vgg19, "
        "simcnn ...), or train modules that share no trunk"
    )
