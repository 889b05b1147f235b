"""Networks of other packages behind our registry: torchvision, timm, and any importable callable."""

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any, cast

import torch
from torch import nn

from src.core.configuration import first_line
from src.core.errors import UserError, suggestion
from src.core.seeds import generators_restored
from src.networks.activations import evaluating
from src.networks.weights import skeleton

SMALL_IMAGE = 64
"""Inputs below this many pixels get a residual network's small stem: the usual stem halves an image twice at once."""
TRIAL_ERRORS = (RuntimeError, ValueError, AssertionError, IndexError, TypeError)
"""What networks raise where an image does not fit."""


def build(name: str, classes: int, input_shape: tuple[int, int, int], options: Mapping[str, Any]) -> nn.Module:
    """Builds ``torchvision:NAME``, ``timm:NAME`` or ``python:package.module:callable`` and tries black images.

    One is evaluated, and two are trained on, which batch norm needs. Where the network then answers with several
    outputs (auxiliary classifiers), the first alone is what it gives, and :func:`events_of_model` says so; where it
    cannot be trained, :func:`check_trainable` does.

    Option of the first two: ``small_images`` (residual networks only; default: true for inputs below 64 px without
    pretrained weights): a 3x3 stem of stride 1 and no max-pool, as He et al. 2016 use on CIFAR (arXiv:1512.03385).
    Option of all: ``exclude``, patterns of names of convolutions that keep all kernels (`src.networks.slicing`).
    All others go to the package's own constructor, or to the callable. Raises UserError where a name, an option, a
    package or the input does not fit.
    """
    prefix, _, target = name.partition(":")
    values = dict(options)
    patterns = values.get("exclude")
    if prefix == "python":
        model = _python(name, target, classes, input_shape, values)
    else:
        small, _ = values.pop("small_images", None), values.pop("exclude", None)
        model = {"torchvision": _torchvision, "timm": _timm}[prefix](name, target, classes, input_shape[0], values)
        pretrained = bool(values.get("weights") or values.get("pretrained"))
        model = _with_stem(name, model, input_shape, small, pretrained)
    if patterns:
        model.uncut_layers = _patterns(patterns, model)  # type: ignore[assignment]
    _try_one_image(name, model, classes, input_shape)
    _try_training(name, model, classes, input_shape)
    return model


def _torchvision(name: str, target: str, classes: int, channels: int, options: dict[str, Any]) -> nn.Module:
    from torchvision.models import get_model, list_models

    known = list_models(module=importlib.import_module("torchvision.models"))
    if target not in known:
        raise UserError(f"model.name={name}: {suggestion(target, known)}")
    model = _called(name, get_model, target, **{"weights": None, "num_classes": classes, **options})
    if channels != 3:
        _replace_first_convolution(model, channels)
    return cast(nn.Module, model)


def _timm(name: str, target: str, classes: int, channels: int, options: dict[str, Any]) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise UserError(f"model.name={name} needs timm: install the extra `zoo` (uv sync --extra zoo)") from error
    if not timm.is_model(target):
        raise UserError(f"model.name={name}: {suggestion(target, timm.list_models())[:300]}")
    arguments = {"num_classes": classes, "in_chans": channels, **options}
    return cast(nn.Module, _called(name, timm.create_model, target, **arguments))


def _python(
    name: str, target: str, classes: int, input_shape: tuple[int, int, int], options: dict[str, Any]
) -> nn.Module:
    """The callable gets ``classes`` (or ``num_classes``) and ``input_shape`` where its signature has them."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise UserError(f"model.name={name}: write python:package.module:callable")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"model.name={name}: {error}; is its folder on PYTHONPATH?") from error
    parameters = inspect.signature(factory).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    arguments: dict[str, Any] = {"num_classes": classes} if "num_classes" in parameters else {}
    for key, value in (("classes", classes), ("input_shape", input_shape)):
        if key in parameters or (takes_any and "num_classes" not in parameters):
            arguments[key] = value
    for key, value in options.items():
        if key != "exclude" or key in parameters:
            arguments[key] = value
    model = _called(name, factory, **arguments)
    if not isinstance(model, nn.Module):
        raise UserError(f"model.name={name} returned a {type(model).__name__}; it has to return a torch.nn.Module")
    return model


def _patterns(patterns: Any, model: nn.Module) -> tuple[str, ...]:
    """The option ``exclude``, each of whose patterns fits a convolution."""
    if not isinstance(patterns, list | tuple) or not all(isinstance(pattern, str) for pattern in patterns):
        raise UserError(f"model.exclude={patterns}: allowed is a list of patterns of names, such as [layer4.*]")
    known = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            reason = suggestion(pattern, known)[:300]
            raise UserError(f"model.exclude={list(patterns)}: no convolution fits '{pattern}'; {reason}")
    return tuple(patterns)


def _called(name: str, factory: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return factory(*arguments, **options)
    except (TypeError, ValueError, KeyError) as error:
        given = ", ".join(f"{key}={value}" for key, value in options.items())
        given = f" with {given}" if given else ""
        raise UserError(f"model.name={name} cannot be built{given}: {first_line(error)}") from error


def _with_stem(
    name: str, model: nn.Module, input_shape: tuple[int, int, int], small: bool | None, pretrained: bool
) -> nn.Module:
    residual = isinstance(getattr(model, "conv1", None), nn.Conv2d) and isinstance(
        getattr(model, "maxpool", None), nn.MaxPool2d
    )
    if small is None:
        small = residual and not pretrained and min(input_shape[1:]) < SMALL_IMAGE
    if not small:
        return model
    if not residual:
        raise UserError(f"model.small_images=true: {name} has no residual network's stem; leave the option out")
    old = model.conv1
    assert isinstance(old, nn.Conv2d)
    model.conv1 = nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1, bias=old.bias is not None)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    return model


def _replace_first_convolution(model: nn.Module, channels: int) -> None:
    """torchvision's constructors know only colour images; its first convolution is made anew for other inputs."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            fresh = nn.Conv2d(
                channels, module.out_channels, module.kernel_size, module.stride, module.padding,  # type: ignore[arg-type]
                module.dilation, module.groups, module.bias is not None, module.padding_mode,  # type: ignore[arg-type]
            )  # fmt: skip
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, fresh)
            return


def _try_one_image(name: str, model: nn.Module, classes: int, input_shape: tuple[int, int, int]) -> None:
    reference = next(iter(model.parameters()), torch.zeros(()))
    image = torch.zeros(1, *input_shape, dtype=reference.dtype, device=reference.device)
    try:
        with torch.no_grad(), evaluating(model):  # lazy layers make their weights now
            logits = model(image)
    except TRIAL_ERRORS as error:
        shape, smallest = "x".join(map(str, input_shape)), _smallest(name, input_shape)
        raise UserError(f"model.name={name} cannot take a {shape} image: {first_line(error)}{smallest}") from error
    if fault := _fault(name, logits, 1, classes, "one image"):
        raise UserError(fault)


def _try_training(name: str, model: nn.Module, classes: int, input_shape: tuple[int, int, int]) -> None:
    """Notes what two images in training mode give; no weight and no generator of random numbers changes.

    The pass runs on tensors without values or, for a network that looks into them, on a copy. What fails is no reason
    to refuse a network that is only evaluated.
    """
    with generators_restored():
        try:
            answer = _trained_on(skeleton(model), input_shape)
        except Exception:  # whatever its own code does where there are no values
            try:
                twin = copy.deepcopy(model)
            except Exception:
                return  # its training will tell
            try:
                answer = _trained_on(twin, input_shape)
            except TRIAL_ERRORS as error:
                shape, smallest = "x".join(map(str, input_shape)), _smallest(name, input_shape)
                fault = f"model.name={name} cannot be trained on {shape} images: {first_line(error)}{smallest}"
                model.untrainable = fault  # type: ignore[assignment]
                return
    several = isinstance(answer, tuple | list) and len(answer) > 0
    fault = _fault(name, answer[0] if several else answer, 2, classes, "two images in training")
    if fault:
        model.untrainable = fault  # type: ignore[assignment]
    elif several:
        model.several_outputs = type(answer).__name__  # type: ignore[assignment]
        model.register_forward_hook(_first_output)


def _trained_on(model: nn.Module, input_shape: tuple[int, int, int]) -> Any:
    reference = next(iter(model.parameters()), torch.zeros((), device="meta"))
    with torch.no_grad():
        return model.train()(torch.zeros(2, *input_shape, dtype=reference.dtype, device=reference.device))


def _first_output(model: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    return output[0] if isinstance(output, tuple | list) else output


def check_trainable(model: nn.Module) -> None:
    """Raises UserError where ``model``, or a network within it, has failed to answer in training mode."""
    for module in model.modules():
        if hasattr(module, "untrainable"):
            raise UserError(str(module.untrainable))


def events_of_model(model: nn.Module) -> list[str]:
    """What a result has to tell of how ``model``, or a network within it, is trained."""
    kinds = dict.fromkeys(module.several_outputs for module in model.modules() if hasattr(module, "several_outputs"))
    return [
        f"in training the network answers with several outputs ({kind}): the first is trained, and what serves the "
        "others alone is not"
        for kind in kinds
    ]


def _fault(name: str, logits: Any, images: int, classes: int, asked: str) -> str:
    """What is wrong with the answer to so many images; empty where it is logits."""
    if isinstance(logits, torch.Tensor) and logits.shape == (images, classes):
        return ""
    answer = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    return f"model.name={name} answers {asked} with {answer}; it has to return logits ({images}, {classes})"


def _smallest(name: str, input_shape: tuple[int, int, int]) -> str:
    """What its package states of the smallest image, for a message, where this one is smaller."""
    prefix, _, target = name.partition(":")
    sides: list[int] = []
    if prefix == "torchvision":
        from torchvision.models import get_model_weights

        sides = [min(weights.meta["min_size"]) for weights in get_model_weights(target) if "min_size" in weights.meta]
    elif prefix == "timm":
        from timm.models import get_pretrained_cfg

        with suppress(AttributeError, RuntimeError):  # a network without a description
            described: Any = get_pretrained_cfg(target)
            size = described.min_input_size or (described.input_size if described.fixed_input_size else None)
            sides = [min(size[1:])] if size else []
    if not sides or min(sides) <= min(input_shape[1:]):
        return ""
    return f"; {prefix} says that it takes images from {min(sides)} pixels on"
