"""Outputs of named modules, evaluation mode for a while, and batched prediction."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from src.core.errors import UserError, suggestion


@contextmanager
def capture(
    model: nn.Module,
    names: Iterable[str],
    side: Literal["output", "input"] = "output",
    reduce: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[dict[str, Tensor]]:
    """While open, every forward pass of ``model`` leaves the named modules' outputs (or inputs) in the dictionary.

    ``reduce`` is applied at once, before a later in-place step can change the map; without it the map itself is
    kept, not a copy. A module called several times in a pass leaves its last map. The hooks are always removed,
    also after an error. UserError for an unknown name.
    """
    maps: dict[str, Tensor] = {}
    modules = dict(model.named_modules())

    def record(name: str, _: nn.Module, inputs: tuple[Any, ...], output: Any = None) -> None:
        tensor = output if side == "output" else inputs[0]
        maps[name] = tensor if reduce is None else reduce(tensor)

    with ExitStack() as hooks:
        for name in names:
            if name not in modules:
                raise UserError(
                    f"module '{name}': the network has none of this name; {suggestion(name, modules)[:300]}"
                )
            module = modules[name]
            register = module.register_forward_hook if side == "output" else module.register_forward_pre_hook
            hooks.enter_context(register(partial(record, name)))
        yield maps


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """While open, ``model`` is in evaluation mode; afterwards every module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield model.eval()
    finally:
        for module, training in modes:
            module.training = training


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, batch: int = 128) -> Tensor:
    """Logits (n, outputs) of ``model`` for normalised ``images`` float (n, C, H, W), in evaluation mode.

    Batches go to the model's device one by one; the logits come back on the images' device. Modes are restored.
    """
    reference = next(model.parameters(), images)
    with evaluating(model):
        # an empty set still makes one (empty) pass, which gives the right number of outputs
        parts = [model(part.to(reference.device)).to(images.device) for part in images.split(batch)]
    return torch.cat(parts)
