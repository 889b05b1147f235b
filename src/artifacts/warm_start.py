"""A training that begins with another network's weights instead of random ones."""

from collections.abc import Sequence

import torch
from torch import nn

from src.core.errors import UserError
from src.networks.subjects import Subject


@torch.no_grad()
def warm_start(model: nn.Module, classes: Sequence[str], source: Subject) -> None:
    """Copy the weights of ``source`` into ``model``; the last linear layer's rows go to the classes of equal name.

    A class that the source does not know keeps its random row.

    Raises:
        UserError: another tensor has another name or shape.
    """
    own, given = model.state_dict(), source.model.state_dict()
    if tuple(classes) == tuple(source.classes) and {k: v.shape for k, v in own.items()} == {
        k: v.shape for k, v in given.items()
    }:
        model.load_state_dict(given)
        return
    last = _last_linear(model)
    rows = [(new, source.classes.index(name)) for new, name in enumerate(classes) if name in source.classes]
    for name, tensor in own.items():
        if name not in given or given[name].shape[1:] != tensor.shape[1:]:
            raise UserError(f"warm start: the source has no weights of shape {tuple(tensor.shape)} for {name}")
        if name.rpartition(".")[0] == last:
            for new, old in rows:
                tensor[new].copy_(given[name][old])
        elif given[name].shape == tensor.shape:
            tensor.copy_(given[name])
        else:
            raise UserError(
                f"warm start: {name} has shape {tuple(tensor.shape)}, the source {tuple(given[name].shape)}"
            )


def _last_linear(model: nn.Module) -> str:
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise UserError("warm start: the network has no linear layer whose rows are its classes")
    return names[-1]
