"""Networks of torchvision and timm with their ImageNet weights, where those are on this machine: nothing is fetched.

As a control also with random ones.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from src.core.errors import UserError, suggestion
from src.data.class_names import IMAGENET, PUBLISHED, imagenet_classes
from src.networks.models import build
from src.networks.subjects import Subject

CLASSES = 1000  # of ImageNet, in the order of their WordNet numbers
#: A random network has the stem that one with weights has, whatever the size of its images.
RANDOM = {"small_images": False}, *PUBLISHED[IMAGENET]


def pretrained(options: Mapping[str, Any], input_shape: tuple[int, int, int]) -> Subject:
    """The network that ``options`` (``kind`` torchvision or timm, ``model``, ``weights``) names, for such images.

    Without weights they are random, drawn by the seed that torch was last given; images are normalised as for ImageNet.

    Raises:
        UserError: no such network or weights, the weights are not here, or the images are not in colour.
    """
    if input_shape[0] != 3:
        raise UserError(
            f"data.source.channels={input_shape[0]}: networks of ImageNet take 3; set data.source.channels=3"
        )
    name = f"{options['kind']}:{options['model']}"
    own, mean, std = (_torchvision if options["kind"] == "torchvision" else _timm)(options)
    architecture = {"name": name, "classes": CLASSES, "input_shape": list(input_shape)}
    with torch.random.fork_rng():
        torch.manual_seed(torch.initial_seed())  # whatever was drawn since
        model = build({**architecture, **own}).eval()
    return Subject(model, architecture, imagenet_classes(), mean, std)


def wordnet_numbers() -> tuple[str, ...]:
    """Their WordNet numbers (``n01440764`` ...), which ImageNet's folders are called by; none without timm."""
    try:
        from timm.data import ImageNetInfo
    except ImportError:
        return ()
    return tuple(ImageNetInfo().label_names())


def _torchvision(options: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[float, ...], tuple[float, ...]]:
    from torchvision.models import get_model_weights, list_models

    model, wanted = str(options["model"]), str(options["weights"])
    if model not in list_models():
        raise UserError(f"subject.model={model}: {suggestion(model, list_models())}")
    if options["weights"] is None:
        return RANDOM
    known = get_model_weights(model)
    if wanted not in known.__members__:
        raise UserError(f"subject.weights={wanted}: {suggestion(wanted, known.__members__)}")
    weights: Any = known[wanted]
    if len(weights.meta.get("categories", ())) != CLASSES:
        raise UserError(f"subject.model={model}: its weights are not ImageNet's; take a classifier such as resnet18")
    _must_be_here(weights.url, f"subject.weights={wanted}")
    seen = weights.transforms()
    return {"weights": weights.name}, tuple(seen.mean), tuple(seen.std)


def _timm(options: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[float, ...], tuple[float, ...]]:
    try:
        import timm
    except ImportError:
        raise UserError("subject=timm needs timm: install the extra `zoo` (uv sync --extra zoo)") from None
    model, wanted = str(options["model"]), str(options["weights"])
    if model not in timm.list_models():
        raise UserError(f"subject.model={model}: {suggestion(model, timm.list_models())[:300]}")
    if options["weights"] is None:
        return RANDOM
    tags = [name.partition(".")[2] for name in timm.list_models(f"{model}.*", pretrained=True)]
    if wanted not in ("default", *tags) or not tags:
        raise UserError(f"subject.weights={wanted}: {suggestion(wanted, ['default', *tags])}")
    name = model if wanted == "default" else f"{model}.{wanted}"
    found = timm.get_pretrained_cfg(name)
    assert found is not None
    if found.num_classes != CLASSES:
        raise UserError(f"subject.weights={wanted}: for {found.num_classes} classes, not for ImageNet's thousand")
    if found.hf_hub_id:
        _must_be_in_hub(found.hf_hub_id, found.hf_hub_filename, f"subject.weights={wanted}")
    else:
        _must_be_here(str(found.url), f"subject.weights={wanted}")
    return {"pretrained": True, "pretrained_cfg": name.partition(".")[2] or None}, tuple(found.mean), tuple(found.std)


def _must_be_here(url: str, said: str) -> None:
    place = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if not place.is_file():
        raise UserError(f"{said}: its weights are not on this machine; fetch {url} to {place}")


def _must_be_in_hub(repository: str, file: str | None, said: str) -> None:
    from huggingface_hub import try_to_load_from_cache

    files = [file] if file else ["model.safetensors", "pytorch_model.bin"]
    if not any(isinstance(try_to_load_from_cache(repository, name), str) for name in files):
        raise UserError(f"{said}: its weights are not on this machine; fetch them by: hf download {repository}")
