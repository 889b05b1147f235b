"""Runs sub-networks of a chain by code of our own, compiled where it is first used (``convolutions.cpp``)."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.core.files import replacing
from src.core.shown import Shown
from src.networks.slicing.chain import ChainLayer, chain_of, first_layers
from src.networks.slicing.fused import is_matrix
from src.networks.slicing.network import State
from src.networks.slicing.plan import SlicePlan

SOURCE = Path(__file__).parent / "convolutions.cpp"
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-Wno-psabi")
COMPILERS = ("c++", "g++", "clang++")
WINOGRAD, DIRECT, MATRIX = range(3)
EARLY_PIXELS = 256
"""Maps of at least so many pixels are computed for few images at a time."""
FEW, MANY = 8, 256
TRANSFORMED = 600_000
"""Bytes of transformed tiles that stay in the second cache; never fewer than 48 tiles nor more than 192."""


class NoCompiler(UserError):
    """No compiler is there."""


class BuildFailed(UserError):
    """The compiler failed, or what it made is wrong."""


class _Layer(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_int64) for name in (
            "kind", "height", "width", "inputs", "outputs", "side", "padding", "relu", "pool", "added",
            "margin", "row", "image", "block", "depth",
        )],
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
    ]  # fmt: skip


@cache
def library() -> ctypes.CDLL:
    """The compiled code; it lies in the user's cache, by the digest of its source, compiler and processor.

    Raises:
        NoCompiler: see there. BuildFailed: see there.
    """
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else list(COMPILERS)
    compiler = next((path for name in wanted if (path := shutil.which(name))), None)
    if compiler is None:
        raise NoCompiler(
            f"search.evaluator=native: no C++ compiler ({', '.join(wanted)}) is on the PATH; install one, "
            "or set search.evaluator=fused"
        )
    parts = [SOURCE.read_text(), compiler, *FLAGS, _processor()]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    place = _cache_folder() / f"convolutions-{digest}.so"
    if not place.exists():
        _compile(compiler, place)
    try:
        code = ctypes.CDLL(str(place))
    except OSError as error:
        raise _failed(str(error)) from None
    _declare(code)
    return code


def _compile(compiler: str, place: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.so"
        try:
            done = subprocess.run(
                [compiler, *FLAGS, str(SOURCE), "-o", str(made)], capture_output=True, text=True, timeout=300
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(str(error)) from None
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()[-1:]
            raise _failed(lines[0] if lines else f"exit code {done.returncode}")
        with replacing(place) as file:
            file.write(made.read_bytes())


def _failed(reason: str) -> BuildFailed:
    return BuildFailed(
        f"search.evaluator=native: the code could not be built ({reason.strip()[:200]}); set search.evaluator=fused"
    )


def _cache_folder() -> Path:
    chosen = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(chosen) if chosen else Path.home() / ".cache") / "cnn-anatomy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass  # a home that may not be written
    folder = Path(tempfile.gettempdir()) / f"cnn-anatomy-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _processor() -> str:
    """What ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "\n".join(os.uname()[::4])
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _declare(code: ctypes.CDLL) -> None:
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    code.lanes.restype = code.panel.restype = number
    code.pack_winograd.argtypes = [pointer, number, number, pointer, number, pointer, number, pointer]
    code.pack_matrix.argtypes = [pointer, number, pointer, number, pointer, number, pointer]
    code.pack_map.argtypes = [*code.pack_winograd.argtypes[:-1], number, number, number, pointer]
    code.run.argtypes = [ctypes.POINTER(_Layer), *[number] * 5, pointer, pointer]
    for name in ("pack_winograd", "pack_matrix", "pack_map", "run"):
        getattr(code, name).restype = None


@dataclass(frozen=True)
class NativeWeights(Shown):
    """The layers of one sub-network; the tensors are held because the layers point at their numbers."""

    layers: Any  # an array of _Layer, one more than the chain has: how its output lies
    tensors: tuple[Tensor, ...]
    outputs: int


class NativeNetwork:
    """Sub-networks of a chain in float32 on the CPU; see ``Runner``. One call occupies one thread.

    The weights that ``cut`` gives are overwritten by the next ``cut`` of the same thread.

    Raises:
        UserError: the model is no chain of float32 on the CPU, or :func:`library` refuses.
    """

    name = "native"
    batch: int | None = None  # it makes its own

    def __init__(self, model: nn.Module, plan: SlicePlan) -> None:
        plan.check(model)
        self.plan = plan
        self.layers = chain_of(model, plan)
        self.boundaries = [self._without_memory(number) for number in first_layers(self.layers, plan)]
        modules: list[Any] = [model.get_submodule(layer.name) for layer in self.layers]
        if any(not module.weight.is_cpu or module.weight.dtype != torch.float32 for module in modules):
            raise UserError(
                "search.evaluator=native: it runs float32 on the CPU alone; set search.evaluator=functional"
            )
        self._code = library()
        self._lanes, self._panel = self._code.lanes(), self._code.panel()
        self._base = [_by_tap(module.weight.detach()) for module in modules]
        self._biases = [
            torch.zeros(len(module.weight)) if module.bias is None else module.bias.detach() for module in modules
        ]
        self._local = threading.local()

    def cut(self, keep: Tensor, outputs: Sequence[int] | None = None) -> NativeWeights:
        """What ``run`` needs of the sub-network with the kernels ``keep`` bool (K,).

        ``outputs``: only these rows of the last layer.
        """
        kernels = [keep[part].nonzero().flatten() for part in self.plan.slices()]
        layers = (_Layer * (len(self.layers) + 1))()
        tensors: list[Tensor] = []
        present = torch.arange(self.plan.input_shape[0])
        lanes_of = len(present)  # numbers per pixel of the present map: the images are not filled up
        memory_of: int | None = None
        self._local.used = 0
        for number, layer in enumerate(self.layers):
            if layer.remember:
                memory_of = number
            weight = self._base[number]
            if layer.group is not None:
                chosen = kernels[layer.group]
            elif outputs is not None and number == len(self.layers) - 1:
                chosen = torch.tensor(list(outputs))
            else:
                chosen = torch.arange(weight.shape[-1])
            filled = self._filled(len(chosen))
            kind = self._kind(layer)
            entry = layers[number]
            pixels = layer.height * layer.width
            packed, entry.inputs = self._packed(layer, kind, weight, present, lanes_of, chosen)
            bias = torch.zeros(pixels if kind == MATRIX and layer.kind == "convolution" else 1, filled)
            bias[:, : len(chosen)] = self._biases[number][chosen]
            tensors += [packed, bias]
            entry.kind, entry.outputs = kind, bias.numel()
            entry.height, entry.width = layer.height, layer.width
            entry.side, entry.padding, entry.depth = layer.side, layer.padding, len(present)
            entry.relu, entry.pool = layer.relu, layer.pool
            entry.added = number - memory_of if layer.add and memory_of is not None else 0
            entry.block = max(48, min(192, TRANSFORMED // (144 * (entry.inputs + filled)) // 12 * 12))
            entry.weights, entry.bias = packed.data_ptr(), bias.data_ptr()
            _lay_out(entry, lanes_of)
            present, lanes_of = chosen, filled
        last = layers[len(self.layers)]
        last.kind, last.height, last.width, last.inputs, last.row, last.image = MATRIX, 1, 1, *[lanes_of] * 3
        return NativeWeights(layers, tuple(tensors), len(present))

    def start(self, images: Tensor) -> State:
        """The state before the first layer of images float (n, C, H, W), normalised."""
        entry = _Layer(kind=self._kind(self.layers[0]), height=self.layers[0].height, width=self.layers[0].width)
        entry.padding = self.layers[0].padding
        channels = images.shape[1]
        entry.inputs = channels
        _lay_out(entry, channels)
        maps = torch.zeros(len(images), entry.image)
        margin, rows = entry.margin, entry.image // entry.row
        view = maps.view(len(images), rows, entry.row // channels, channels)
        view[:, margin : margin + entry.height, margin : margin + entry.width] = images.permute(0, 2, 3, 1)
        return maps, maps

    def run(self, weights: NativeWeights, state: State, start: int = 0, stop: int | None = None) -> State:
        """The state after the layers from ``start`` to before ``stop``, of which none may lie between an addition and
        what it adds."""
        stop = len(self.layers) if stop is None else stop
        if stop == start:
            return state
        maps = state[0]
        to = torch.zeros(len(maps), weights.layers[stop].image)
        sizes = [layer.height * layer.width for layer in self.layers]
        early = [number for number in range(start, stop) if sizes[number] >= EARLY_PIXELS]
        first = ctypes.cast(ctypes.byref(weights.layers[start]), ctypes.POINTER(_Layer))
        split = self._without_memory(early[-1] + 1) - start if early else 0
        self._code.run(
            first, stop - start, max(split, 0), len(maps), MANY, FEW, maps.data_ptr(), to.data_ptr()
        )  # fmt: skip
        return to, to

    def finish(self, weights: NativeWeights, state: State, start: int = 0) -> Tensor:
        """Logits float32 (n, outputs) from the state before layer ``start``."""
        return self.run(weights, state, start)[0][:, : weights.outputs]

    def _without_memory(self, number: int) -> int:
        """The last layer up to this one at which no map is remembered that is still needed."""
        while number > 0:
            before = self.layers[:number]
            remembered = max((index for index, layer in enumerate(before) if layer.remember), default=-1)
            if remembered < 0 or any(layer.add for layer in before[remembered:]):
                break
            if not any(layer.add for layer in self.layers[number:]):
                break
            number = remembered
        return number

    def _kind(self, layer: ChainLayer) -> int:
        if layer.kind == "linear" or is_matrix(layer):
            return MATRIX
        # the images' few channels would leave most of a vector empty
        return WINOGRAD if layer.side == 3 and layer.padding == 1 and layer is not self.layers[0] else DIRECT

    def _filled(self, count: int) -> int:
        return -(-count // self._lanes) * self._lanes

    def _panels(self, count: int) -> int:
        return -(-count // self._panel) * self._panel

    def _packed(
        self, layer: ChainLayer, kind: int, base: Tensor, present: Tensor, lanes_of: int, chosen: Tensor
    ) -> tuple[Tensor, int]:
        """The chosen weights as the code reads them, and how many numbers per pixel (MATRIX: per image) they take."""
        _, inputs, outputs = base.shape
        filled, ends = self._filled(len(chosen)), (present.data_ptr(), len(present), chosen.data_ptr(), len(chosen))
        if kind == WINOGRAD:
            packed = self._take(36 * self._panels(filled) * len(present))
            self._code.pack_winograd(base.data_ptr(), inputs, outputs, *ends, packed.data_ptr())
            return packed, lanes_of
        if kind == MATRIX and layer.kind == "convolution":
            pixels = layer.height * layer.width
            packed = self._take(self._panels(pixels * filled) * pixels * lanes_of)
            self._code.pack_map(
                base.data_ptr(), inputs, outputs, *ends, lanes_of, layer.height, layer.width, packed.data_ptr()
            )
            return packed, pixels * lanes_of
        # rows of ``base`` as its input's numbers lie: taps (or pixels), then channels; -1 where they are filled up
        taps = base.shape[0] if kind == DIRECT else layer.height * layer.width
        rows = torch.full((taps, lanes_of), -1)
        apart, step = (inputs, 1) if kind == DIRECT else (1, taps)
        rows[:, : len(present)] = torch.arange(taps)[:, None] * apart + present * step
        columns = torch.full((filled,), -1)
        columns[: len(chosen)] = chosen
        packed = self._take(self._panels(filled) * rows.numel())
        self._code.pack_matrix(
            base.data_ptr(), outputs, rows.data_ptr(), rows.numel(), columns.data_ptr(), filled, packed.data_ptr()
        )
        return packed, lanes_of if kind == DIRECT else rows.numel()

    def _take(self, count: int) -> Tensor:
        """Numbers of this thread's memory: fresh pages for each candidate would cost as much as packing it."""
        blocks = self._local.__dict__.setdefault("blocks", [])
        if self._local.used == len(blocks):
            blocks.append(torch.empty(count))
        elif blocks[self._local.used].numel() < count:
            blocks[self._local.used] = torch.empty(count)
        self._local.used += 1
        return blocks[self._local.used - 1][:count]


def _by_tap(weight: Tensor) -> Tensor:
    """(taps, inputs, outputs) of a convolution (outputs, inputs, side, side), (1, inputs, outputs) of a matrix."""
    return weight.flatten(2).permute(2, 1, 0).contiguous() if weight.dim() == 4 else weight.t()[None].contiguous()


def _lay_out(entry: _Layer, channels: int) -> None:
    """How the map lies that a layer reads: its margin, and the numbers from row to row and image to image."""
    if entry.kind == MATRIX:
        entry.row, entry.image = entry.inputs // max(entry.height, 1), entry.inputs
        return
    entry.margin = entry.padding
    tile = 4 if entry.kind == WINOGRAD else 1
    rows, columns = (-(-side // tile) * tile + 2 * entry.margin for side in (entry.height, entry.width))
    entry.row, entry.image = columns * channels, rows * columns * channels
