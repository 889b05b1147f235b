"""Runs and extracts sub-networks: the tensors are cut, the code is the network's own."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from src.networks.slicing.cutting import slice_tensors
from src.networks.slicing.plan import SlicePlan
from src.networks.slicing.recalibration import recalibrating
from src.networks.weights import skeleton


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name (state_dict would leave out the buffers that are not saved).

    A layer that stands under two names has its first; a tensor that two layers share has both, since they may be cut
    differently.
    """
    layers = [(f"{name}." if name else "", module) for name, module in model.named_modules()]
    parameters = {prefix + key: value for prefix, module in layers for key, value in module._parameters.items()}
    buffers = {prefix + key: value for prefix, module in layers for key, value in module._buffers.items()}
    return {name: tensor for name, tensor in {**parameters, **buffers}.items() if tensor is not None}


State = tuple[Tensor, Tensor]
"""What a network hands from step to step: the present map and the remembered one."""


class Runner(Protocol):
    """Runs sub-networks of one network without building them; calls of several threads do not disturb each other.

    Attributes:
        name: of its kind.
        batch: images that are best run together; None: all.
        boundaries: for each of the plan's groups the first step that its kernels have a part in, in rising order.
            Sub-networks that keep the same kernels of the groups before share the state before that step.
    """

    @property
    def name(self) -> str: ...
    @property
    def batch(self) -> int | None: ...
    @property
    def boundaries(self) -> Sequence[int]: ...

    def cut(self, keep: Tensor, outputs: Sequence[int] | None = None) -> Any:
        """What the other calls need of the sub-network with the kernels ``keep`` bool (K,); until the thread's next."""

    def start(self, images: Tensor) -> State:
        """The state before step 0 of normalised images float (n, C, H, W)."""

    def run(self, weights: Any, state: State, start: int = 0, stop: int | None = None) -> State:
        """The state after the steps from ``start`` to before ``stop``; both are 0 or boundaries."""

    def finish(self, weights: Any, state: State, start: int = 0) -> Tensor:
        """Logits float32 (n, outputs) from the state before step ``start``."""


class SlicedNetwork:
    """Runs sub-networks of any ``model``, by its own code; see ``Runner``.

    The cut tensors are put into a skeleton that has no weights of its own. Every thread gets its own skeleton: with
    a shared one, calls of two threads exchange their tensors without any error. The model itself is never changed;
    the skeletons run in evaluation mode. Networks with methods ``run`` and ``step_of`` (as ours have) can also be
    run in parts, so that what sub-networks have in common is computed once. ``channels_last``: how weights and images
    lie; it is quicker on most devices, and not every network of others can be run so.
    """

    name = "functional"
    batch: int | None = 128

    def __init__(self, model: nn.Module, plan: SlicePlan, channels_last: bool = False) -> None:
        plan.check(model)
        self.plan = plan
        self.base = tensors_of(model)
        self._laid_out = _channels_last if channels_last else _as_it_is
        self._model = model
        self._local = threading.local()
        self._has_steps = hasattr(model, "run") and hasattr(model, "step_of")
        self.boundaries = [0] * len(plan.groups)
        if self._has_steps:
            step_of: Any = model.step_of
            self.boundaries = [min(step_of(member) for member in group.members) for group in plan.groups]

    def cut(self, keep: Tensor, outputs: Sequence[int] | None = None) -> dict[str, Tensor]:
        """The tensors of the sub-network with the kernels ``keep`` bool (K,); see ``slice_tensors``."""
        tensors = slice_tensors(self.plan, self.base, keep, outputs)
        return {name: self._laid_out(tensor) for name, tensor in tensors.items()}

    def __call__(self, tensors: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """Logits (n, outputs) of the cut tensors for images float (n, C, H, W); one pass, no batches."""
        return self._loaded(tensors)(images)

    def start(self, images: Tensor) -> State:
        """The state before step 0 of normalised images (n, C, H, W)."""
        reference = next(iter(self.base.values()))
        images = self._laid_out(images.to(reference.device, reference.dtype))
        return images, images

    def run(self, weights: Mapping[str, Tensor], state: State, start: int = 0, stop: int | None = None) -> State:
        """The state after the steps from ``start`` to before ``stop``; a ReLU at ``start`` overwrites ``state``."""
        network = self._loaded(weights)
        return (network(state[0]), state[1]) if not self._has_steps else network.run(state, start, stop)

    def finish(self, weights: Mapping[str, Tensor], state: State, start: int = 0) -> Tensor:
        """Logits float32 (n, outputs) from the state before step ``start``."""
        return self.run(weights, state, start)[0].float()

    def recalibrated(
        self, tensors: Mapping[str, Tensor], states: Iterable[State], start: int = 0, stop: int | None = None
    ) -> tuple[dict[str, Tensor], list[State]]:
        """The tensors with new batch-norm statistics, averaged over batches as ``recalibrate`` does; and the states
        of these batches before step ``stop``. ``states``: the batches' states before step ``start``, from here too.

        Only the statistics of the steps from ``start`` to before ``stop`` are of use afterwards.
        """
        fresh = dict(tensors)
        with recalibrating(self._skeleton) as norms:
            for name in norms:
                for key, value in (("running_mean", 0.0), ("running_var", 1.0), ("num_batches_tracked", 0)):
                    fresh[f"{name}.{key}"] = torch.full_like(fresh[f"{name}.{key}"], value)
            return fresh, [self.run(fresh, state, start, stop) for state in states]

    def _loaded(self, tensors: Mapping[str, Tensor]) -> Any:
        """This thread's skeleton with the tensors in place of its parameters and buffers."""
        model = self._skeleton
        for slots, key, name in self._local.slots:
            slots[key] = tensors[name]
        for layer in self._local.depthwise:
            layer.groups = len(layer.weight)
        return model

    @property
    def _skeleton(self) -> nn.Module:
        if not hasattr(self._local, "skeleton"):
            model = skeleton(self._model).eval()
            slots: list[tuple[dict[str, Any], str, str]] = []
            for prefix, module in model.named_modules():
                for tensors in (module._parameters, module._buffers):
                    names = [(key, f"{prefix}.{key}" if prefix else key) for key in tensors]
                    slots += [(tensors, key, name) for key, name in names if name in self.base]
                if isinstance(module, nn.ReLU) and getattr(model, "relu_may_overwrite", False):
                    module.inplace = True  # a tenth of the time, since no new map has to be allocated
            convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
            # the plan's checks allow no other with groups, and their number has to follow the tensors
            self._local.depthwise = [each for each in convolutions if 1 < each.groups == each.in_channels]
            self._local.skeleton, self._local.slots = model, slots
        return self._local.skeleton


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def extract(model: nn.Module, plan: SlicePlan, keep: Tensor) -> nn.Module:
    """A stand-alone network with only the kernels ``keep`` bool (K,): own copies of the weights, all outputs.

    Its layers' attributes (channels, features, groups) are those of the slim network; training mode as in ``model``.
    Batch-norm statistics are the full network's: call ``recalibrate`` before judging it.
    """
    plan.check(model)
    with torch.no_grad():
        cut = slice_tensors(plan, tensors_of(model), keep)
    slim = skeleton(model)
    for name, module in slim.named_modules():
        prefix = f"{name}." if name else ""
        for key, old in list(module.named_parameters(recurse=False)):
            weight = cut[prefix + key].detach().clone()
            setattr(module, key, nn.Parameter(weight, requires_grad=old.requires_grad))
        for key, _ in list(module.named_buffers(recurse=False)):
            setattr(module, key, cut[prefix + key].detach().clone())
        _adjust(module)
    return slim


def _adjust(module: nn.Module) -> None:
    """Sets the attributes that describe a layer's shape from its tensors."""
    if isinstance(module, nn.Conv2d):
        if module.groups > 1:  # depthwise, as the plan's checks allow no other
            module.groups = module.weight.shape[0]
        module.out_channels, module.in_channels = module.weight.shape[0], module.weight.shape[1] * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        reference = module.running_mean if module.running_mean is not None else module.weight
        module.num_features = reference.shape[0]
    elif isinstance(module, nn.PReLU):
        module.num_parameters = module.weight.shape[0]
