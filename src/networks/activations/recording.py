"""Every activation of a forward pass, handed on the moment it is computed.

Leaf modules are seen by hooks; what a network computes by functions (``relu(x)``, ``x + y``, ``torch.cat``) by a torch
function mode. Nothing is kept: whoever listens gets the map before a later step in place can change it. A module that
is called twice, or two equal functions in one module, are told apart: ``relu``, ``relu#2``.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Listener = Callable[[str, str, Tensor], None]  # name, kind, the activation

# they give another view or a copy of what was heard before
_SAME_VALUES = frozenset(
    {
        *("clone", "contiguous", "to", "float", "double", "half", "bfloat16", "type", "type_as", "cpu", "cuda"),
        *("detach", "requires_grad_", "dropout", "dropout2d", "feature_dropout", "alpha_dropout", "identity"),
        *("flatten", "unflatten", "reshape", "zeros_like", "ones_like", "empty_like", "full_like", "rand_like"),
        *("randn_like", "new_zeros", "new_ones", "new_full", "new_empty", "getitem", "index_select"),
    }
)


@contextmanager
def recording(model: nn.Module, listen: Listener, names: Collection[str] | None = None) -> Iterator[None]:
    """While open, every forward pass of ``model`` calls ``listen`` with each activation, in the order of computing.

    Args:
        model: hooks are put on its modules, and are always removed, also after an error.
        listen: is called with the activation's name, its kind (the module's class or the function) and the tensor
            itself, not a copy, which a later step may overwrite.
        names: only these (as :func:`src.networks.activations.layers_of` names them); None: all.
    """
    recorder = _Recorder(model, listen, names)
    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.enter_context(module.register_forward_pre_hook(partial(recorder.enter, name)))
            # also called after an error, or the path would stay too long
            stack.enter_context(module.register_forward_hook(partial(recorder.leave, name), always_call=True))
        if names is None or any(name.split("#")[0] not in recorder.leaves for name in names):
            stack.enter_context(recorder)
        yield


class _Recorder(TorchFunctionMode):
    """Hears leaf modules by hooks, and while entered functions that are called between them."""

    def __init__(self, model: nn.Module, listen: Listener, names: Collection[str] | None) -> None:
        super().__init__()
        self.listen = listen
        self.wanted = None if names is None else frozenset(names)
        self.leaves = {name for name, module in model.named_modules() if next(module.children(), None) is None}
        self.path: list[str] = []  # modules that are being computed, outermost first
        self.calls: Counter[str] = Counter()
        self.listening = False

    @property
    def inside_leaf(self) -> bool:
        return bool(self.path) and self.path[-1] in self.leaves

    def enter(self, name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not self.path:
            self.calls.clear()
        self.path.append(name)

    def leave(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.path.pop()
        if name in self.leaves and not self.inside_leaf and isinstance(output, Tensor):
            kind = type(module).__name__
            if kind.lower() not in _SAME_VALUES and not _is_view(output, inputs, in_place=_overwrites(module)):
                self.heard(name, kind, output)

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if self.listening or not self.path or self.inside_leaf or not isinstance(output, Tensor):
            return output
        kind = _name(func)
        in_place = kind.endswith("_") or bool((kwargs or {}).get("inplace"))
        if kind.rstrip("_") not in _SAME_VALUES and not _is_view(output, args, in_place):
            self.heard(".".join(part for part in (self.path[-1], kind.rstrip("_")) if part), kind, output)
        return output

    def heard(self, name: str, kind: str, output: Tensor) -> None:
        self.calls[name] += 1
        if self.calls[name] > 1:
            name = f"{name}#{self.calls[name]}"
        if self.wanted is None or name in self.wanted:
            self.listening = True
            try:
                self.listen(name, kind, output)
            finally:
                self.listening = False


def _name(func: Any) -> str:
    """``relu``, ``add``: of a function, a method, an operator (``__iadd__`` -> ``add_``)."""
    name = str(getattr(func, "__name__", func))
    if name.startswith("__") and name.endswith("__"):
        bare = name.strip("_")
        if bare.startswith("i") and bare[1:] in _OPERATORS:
            return f"{bare[1:]}_"
        return bare[1:] if bare.startswith("r") and bare[1:] in _OPERATORS else bare
    return name


_OPERATORS = frozenset({"add", "sub", "mul", "truediv", "matmul", "pow"})


def _overwrites(module: nn.Module) -> bool:
    passes_on = "Dropout" in type(module).__name__ and not module.training
    return bool(getattr(module, "inplace", False)) and not passes_on


def _is_view(output: Tensor, inputs: Any, in_place: bool) -> bool:
    """Whether the output only shows an input's values in another shape, or is no activation at all."""
    if not output.is_floating_point():
        return True
    return not in_place and any(_shares_memory(output, given) for given in _tensors(inputs))


def _shares_memory(one: Tensor, other: Tensor) -> bool:
    return one.numel() > 0 and one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
