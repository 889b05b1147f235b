"""Checks a slice plan before use: wrong plans often run and are silently wrong.

Static checks S look at the plan and the layers' kinds; T0 to T3 run the network in float64 with random weights and
random batch-norm statistics, so that no small or dead weight can hide a mistake of the wiring.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from src.core.configuration import first_line
from src.core.errors import UserError
from src.networks.slicing.cutting import masked
from src.networks.slicing.network import SlicedNetwork, tensors_of
from src.networks.slicing.plan import ALWAYS, SlicePlan, excluded_layers

TOLERANCE = 1e-9
"""Relative to the largest logit. Right plans stay below 1e-14 and the wrong ones seen were above 1e-2."""
DESCRIBE = "give the network a method kernel_groups"
REMEDY = f"{DESCRIBE}, or keep kernels of convolutions whole by strong.model.exclude=[NAME]"
RUN_ERRORS = (RuntimeError, ValueError, IndexError, AssertionError, TypeError)


def verify(model: nn.Module, plan: SlicePlan) -> None:
    """Raises UserError, naming test, layer and remedy, unless the plan passes every check.

    S: maps fit their tensors, no dimension is cut twice, every member is cut exactly to its group, every reader's
    input is mapped whole, every group is read, only convolutions (plain or depthwise), linear layers, batch norms
    and PReLUs are cut. T0: keeping all kernels changes nothing. T1: permuting the kernels of every group does not
    move the logits. T2: random subsets run. T3: they equal the network masked at its readers' inputs.
    """
    plan.check(model)
    check_statically(model, plan)
    _Trial(model, plan).run()


def check_statically(model: nn.Module, plan: SlicePlan) -> None:
    """The checks S of ``verify``."""
    tensors, modules, excluded = tensors_of(model), dict(model.named_modules()), excluded_layers(model)
    if not plan.groups:
        raise failure("S", "the plan has no kernel group", "give the network convolutions that can be cut")
    seen: set[tuple[str, int]] = set()
    for use in plan.uses:
        owner, _, key = use.tensor.rpartition(".")
        if use.tensor not in tensors or use.dim >= tensors[use.tensor].dim():
            raise failure("S", f"'{use.tensor}' has no dimension {use.dim}")
        if (use.tensor, use.dim) in seen:
            raise failure("S", f"dimension {use.dim} of '{use.tensor}' is cut twice")
        seen.add((use.tensor, use.dim))
        positions, length = plan.maps[use.map], tensors[use.tensor].shape[use.dim]
        if len(positions) != length or positions.min() < ALWAYS or positions.max() >= plan.kernels:
            raise failure("S", f"the map of dimension {use.dim} of '{use.tensor}' does not fit its {length} entries")
        _check_kind(plan.group_of(positions), owner, modules[owner], key, use.dim)
        free = int((positions == ALWAYS).sum())
        if use.dim == 1 and free and not excluded:
            raise failure("S", f"layer '{owner}': input dim {free} of {length} not mapped (concat with the image?)")
    read = torch.cat(list(plan.readers.values()) or [torch.tensor([ALWAYS])]).unique()
    for group, part in zip(plan.groups, plan.slices(), strict=True):
        wanted = torch.arange(part.start, part.stop)
        for member in group.members:
            rows = plan.map_of(f"{member}.weight", 0)
            if rows is None or not torch.equal(rows, wanted):
                raise failure("S", f"conv '{member}': its kernels are not those of group '{group.name}'")
        if not torch.isin(wanted, read).all():
            raise failure("S", f"group '{group.name}': no layer reads some of its kernels")
        tapped = modules.get(group.tap.module)
        if tapped is None or (group.tap.side == "input" and group.tap.module not in plan.readers):
            raise failure("S", f"group '{group.name}': there is no tap '{group.tap.module}'")


def _check_kind(convolution: str, name: str, layer: nn.Module, key: str, dim: int) -> None:
    if isinstance(layer, nn.Conv2d):
        depthwise = layer.groups == layer.in_channels == layer.out_channels
        if layer.groups > 1 and not (depthwise and dim == 0):
            raise failure("S", f"conv '{name}': {layer.groups} groups; only plain and depthwise convolutions are cut")
    elif not isinstance(layer, nn.Linear | nn.modules.batchnorm._BatchNorm | nn.PReLU):
        kind = type(layer).__name__
        what = f"conv '{convolution}': layer '{name}' ({kind}) is coupled to its kernels"
        raise failure("S", f"{what}; only convolutions, linear layers and batch norms can be cut")
    if dim > 1 or (dim == 1 and (key != "weight" or not isinstance(layer, nn.Conv2d | nn.Linear))):
        raise failure("S", f"'{name}.{key}': dimension {dim} is neither of kernels nor of inputs")


class _Trial:
    """T0 to T3 on a float64 copy of the network."""

    def __init__(self, model: nn.Module, plan: SlicePlan) -> None:
        self.plan = plan
        self.generator = torch.Generator().manual_seed(0)
        self.model = _randomised(model, self.generator)
        self.images = torch.randn(4, *plan.input_shape, dtype=torch.float64, generator=self.generator)
        self.network = SlicedNetwork(self.model, plan)
        self.tensors = tensors_of(self.model)

    @torch.inference_mode()
    def run(self) -> None:
        self.logits = self.model(self.images)
        self._t0()
        self._judge("T1", "permuting kernels moved the logits", self._permuted)
        self._judge("T2", "a random subset of kernels does not run", self._subset)
        self._judge("T3", "a random subset differs from the network masked at its readers' inputs", self._against_mask)

    def _t0(self) -> None:
        whole = self.network.cut(torch.ones(self.plan.kernels, dtype=torch.bool))
        if any(not torch.equal(whole[name], tensor) for name, tensor in self.tensors.items()):
            raise failure("T0", "keeping all kernels changes tensors")
        error = _difference(self.network(whole, self.images), self.logits)
        if error > TOLERANCE:
            raise failure("T0", f"keeping all kernels moves the logits by {error:.2g}")

    def _judge(self, test: str, what: str, difference: Callable[[list[int]], float]) -> None:
        """Runs a test on all groups at once; where it fails, on each alone, to name the one at fault."""
        everything = list(range(len(self.plan.groups)))
        error, reason = self._tried(difference, everything)
        if error <= TOLERANCE:
            return
        for group in everything:
            alone, alone_reason = self._tried(difference, [group])
            if alone > TOLERANCE:
                name = self.plan.groups[group].name
                raise failure(test, f"conv '{name}': {what} ({alone_reason or f'{alone:.2g}'})")
        raise failure(test, f"{what} ({reason or f'{error:.2g}'})")

    def _tried(self, difference: Callable[[list[int]], float], groups: list[int]) -> tuple[float, str]:
        try:
            return difference(groups), ""
        except RUN_ERRORS as error:
            return float("inf"), first_line(error)

    def _permuted(self, groups: list[int]) -> float:
        moved = torch.arange(self.plan.kernels)
        for part in (self.plan.slices()[group] for group in groups):
            moved[part] = part.start + torch.randperm(part.stop - part.start, generator=self.generator)
        cut = dict(self.tensors)
        for use in self.plan.uses:
            index = permuted_positions(self.plan.maps[use.map], moved)
            cut[use.tensor] = cut[use.tensor].index_select(use.dim, index)
        return _difference(self.network(cut, self.images), self.logits)

    def _random_subset(self, groups: list[int]) -> Tensor:
        keep = torch.ones(self.plan.kernels, dtype=torch.bool)
        for number, part in ((group, self.plan.slices()[group]) for group in groups):
            size = part.stop - part.start
            # counts that differ between groups of one size, so that a mix-up cannot fit by chance
            count = max(1, min(size, round(size * (0.35 + 0.3 * ((number * 0.618) % 1)))))
            keep[part] = False
            keep[part.start + torch.randperm(size, generator=self.generator)[:count]] = True
        return keep

    def _subset(self, groups: list[int]) -> float:
        logits = self.network(self.network.cut(self._random_subset(groups)), self.images)
        if logits.shape != self.logits.shape:
            raise ValueError(f"the output's shape becomes {tuple(logits.shape)}")
        return 0.0

    def _against_mask(self, groups: list[int]) -> float:
        keep = self._random_subset(groups)
        with masked(self.model, self.plan, keep):
            reference = self.model(self.images)
        return _difference(self.network(self.network.cut(keep), self.images), reference)


def permuted_positions(positions: Tensor, moved: Tensor) -> Tensor:
    """int64: at each position the old position of the same occurrence of the kernel that moves there.

    ``positions`` is a plan's map; ``moved`` int64 (K,) gives for each kernel the one that takes its place.
    """
    owned = (positions != ALWAYS).nonzero().flatten()
    kernels, taken = positions[owned], moved[positions[owned]]
    if not torch.equal(kernels.sort().values, taken.sort().values):
        raise ValueError("the kernels of one group have different numbers of positions in one map")
    index = torch.arange(len(positions))
    index[owned[taken.argsort(stable=True)]] = owned[kernels.argsort(stable=True)]
    return index


@torch.no_grad()
def _randomised(model: nn.Module, generator: torch.Generator) -> nn.Module:
    model = copy.deepcopy(model).cpu().double().eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.normal_(0.0, (2.0 / fan_in) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.normal_(0.0, 0.2, generator=generator)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight, module.running_var):
                if tensor is not None:
                    tensor.uniform_(0.5, 1.5, generator=generator)
            for tensor in (module.bias, module.running_mean):
                if tensor is not None:
                    tensor.normal_(0.0, 0.3, generator=generator)
    return model


def _difference(logits: Tensor, reference: Tensor) -> float:
    error = (logits - reference).abs().max() / reference.abs().max().clamp_min(1e-300)
    return float(error) if error.isfinite() else float("inf")


def failure(test: str, what: str, remedy: str = REMEDY) -> UserError:
    return UserError(f"slice plan, test {test}: {what}; {remedy}")
