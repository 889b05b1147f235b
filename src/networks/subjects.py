"""Anything that can be examined: weights, architecture as data, class names, input shape, normalisation, lineage.

Whatever a network is (trained, extracted from another, a user's file), a measure takes a subject and never asks where
it came from. On disk a subject is ``NAME.safetensors`` beside ``subject.json``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from src.core.code import names_of_code, own_code
from src.core.errors import UserError
from src.core.files import read_json, write_atomically
from src.core.paths import DESCRIPTION
from src.imageops.whitening import global_contrast
from src.networks.models.registry import build
from src.networks.slicing import extract, plan_for
from src.networks.weights import load_weights, save_weights

# names of architectures that are made of subjects and not in the models' registry
PATCHED = "patched"
COMPOSED = "composed"

#: Prefixes of networks of other packages, and options of theirs that fetch or read weights.
ZOOS = ("torchvision:", "timm:")
WEIGHTS = (
    "weights", "weights_backbone", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path",
    "cache_dir",
)  # fmt: skip

Rebuild = Callable[[Mapping[str, Any]], nn.Module]
#: name of such an architecture -> what rebuilds it; the method that makes these networks registers it
_ASSEMBLIES: dict[str, Rebuild] = {}


@dataclass
class Subject:
    """A network and what one must know to feed and to read it.

    Attributes:
        model: takes normalised float images (n, C, H, W), returns logits (n, N); in eval mode.
        architecture: rebuilds the model with random weights.
        classes: the N names, in the order of the logits.
        mean, std: per channel, of images in [0, 1] or of contrast-normalised ones.
        kept: per kernel group of the architecture's slice plan the kernels that remain, where it is a module.
        lineage: digests of the store entries it came from.
        contrast: "none", or "global": images are first brought to mean 0 and standard deviation 1 one by one.
        interpolation: how images of another size are brought to its own: bilinear or bicubic.
    """

    model: nn.Module
    architecture: dict[str, Any]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    kept: list[list[int]] | None = None
    lineage: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    contrast: str = "none"
    interpolation: str = "bilinear"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.architecture["input_shape"]
        return channels, height, width

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 images (n, C, H, W) as the model wants them.

        Raises:
            UserError: the images have another shape than the model's input.
        """
        if tuple(images.shape[1:]) != self.input_shape:
            raise UserError(
                f"images of shape {tuple(images.shape[1:])} do not fit a model for {self.input_shape}; "
                "choose a data set of that size or train the model on this one"
            )
        mean, std = (torch.tensor(v, device=images.device).view(1, -1, 1, 1) for v in (self.mean, self.std))
        if self.contrast not in ("none", "global"):
            raise UserError(
                f"data.contrast={self.contrast}: this network takes images whitened by its data; examine it composed "
                "(subject=composed), which carries the whitening"
            )
        values = global_contrast(images) if self.contrast == "global" else images.float() / 255
        return ((values - mean) / std).contiguous(memory_format=torch.channels_last)

    def normalise_values(self, values: Tensor) -> Tensor:
        """Images float (n, C, H, W) of 0..1, which need not be whole numbers of 255ths, as the model wants them.

        Raises:
            UserError: the network wants images whose contrast its data normalise.
        """
        if self.contrast != "none":
            raise UserError(
                f"data.contrast={self.contrast}: this network wants images that are normalised one by one or whitened, "
                "which transformed values are not; train it with data.contrast=none"
            )
        mean, std = (values.new_tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return (values - mean) / std


def save_description(subject: Subject, folder: Path) -> None:
    """Write all but the weights; several weight files of one folder may share it."""
    plain = {each.name: getattr(subject, each.name) for each in fields(subject) if each.name != "model"}
    plain["code"] = own_code(subject.architecture)
    write_atomically(folder / DESCRIPTION, json.dumps(plain, indent=2))


def save_subject(subject: Subject, folder: Path, name: str = "weights") -> Path:
    """Write weights and description; the path returned is what :func:`load_subject` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(subject.model, folder / f"{name}.safetensors")
    save_description(subject, folder)
    return folder / f"{name}.safetensors"


def load_subject(path: Path, lineage: Sequence[str] = (), *, code: bool = False) -> Subject:
    """The subject of a weight file with a ``subject.json`` beside it, as :func:`save_subject` leaves them.

    Its ``notes["code_changed"]`` is there where a user's own code that builds it is not the one that it was saved with.

    Args:
        code: import the code that the description names, as for an entry of the store, whose recipe named it.

    Raises:
        UserError: a file is missing or damaged, the weights are another architecture's, or it takes ``code``.
    """
    description = path.with_name(DESCRIPTION)
    for file in (path, description):
        if not file.is_file():
            raise UserError(f"{file} is missing; a subject is a .safetensors file with {DESCRIPTION} beside it")
    try:
        plain: dict[str, Any] = read_json(description)
        named = sorted({name for _, name in names_of_code({"architecture": plain["architecture"]})})
        if named and not code:
            raise UserError(
                f"{description}: builds the network by code, {', '.join(named)}; if you trust it, load with code=True"
            )
        model = rebuild(without_weights(plain["architecture"]), plain["kept"])
        load_weights(model, path)
        changed = {"code_changed": True} if plain.get("code", {}) != own_code(plain["architecture"]) else {}
        classes, mean, std, before = (tuple(plain[key]) for key in ("classes", "mean", "std", "lineage"))
        notes, architecture = plain["notes"] | changed, plain["architecture"]
        # descriptions from before there was a choice have neither
        contrast, interpolation = plain.get("contrast", "none"), plain.get("interpolation", "bilinear")
        lineage = tuple(lineage) or before
        return Subject(
            model.eval(), architecture, classes, mean, std, plain["kept"], lineage, notes, contrast, interpolation
        )
    except (ValueError, LookupError, TypeError, RuntimeError, OSError) as error:
        if isinstance(error, UserError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read ({reason}); train or save it anew") from None


def register_assembly(name: str, rebuild: Rebuild) -> None:
    """Make known how a network that is made of subjects is put together again from its architecture."""
    _ASSEMBLIES[name] = rebuild


def rebuild(architecture: Mapping[str, Any], kept: Sequence[Sequence[int]] | None = None) -> nn.Module:
    """A network of this architecture with weights still to be loaded; patched and composed ones are made of parts.

    Raises:
        UserError: no such model, or it is made of parts by a method that nothing has imported yet.
    """
    name = architecture["name"]
    if name in _ASSEMBLIES:
        return _ASSEMBLIES[name](architecture)
    if name in (PATCHED, COMPOSED):
        raise UserError(f"a {name} network is put together by its method: import src.artifacts.examined_subject first")
    model = build(architecture)
    if kept is None:
        return model
    plan = plan_for(model, architecture["input_shape"])
    return extract(model, plan, keep_of(kept, plan.offsets))


def without_weights(architecture: Any) -> Any:
    """The architecture, and those within it, without options that bring other weights than those that will be loaded.

    A residual network with such weights has had their stem, whatever the size of its images.
    """
    if isinstance(architecture, list):
        return [without_weights(item) for item in architecture]
    if not isinstance(architecture, Mapping):
        return architecture
    inner = {name: without_weights(value) for name, value in architecture.items()}
    if not str(inner.get("name")).startswith(ZOOS):
        return inner
    stem = {"small_images": False} if inner.get("weights") or inner.get("pretrained") else {}
    return stem | {name: value for name, value in inner.items() if name not in WEIGHTS}


def keep_of(kept: Sequence[Sequence[int]], offsets: Sequence[int]) -> Tensor:
    """Bool mask (K,) over the plan's kernel axis from the kept kernels of each group."""
    keep = torch.zeros(offsets[-1], dtype=torch.bool)
    for start, group in zip(offsets, kept, strict=False):
        keep[torch.tensor(group, dtype=torch.long) + start] = True
    return keep


def kept_of(keep: Tensor, offsets: Sequence[int]) -> list[list[int]]:
    """The opposite of :func:`keep_of`."""
    return [keep[start:stop].nonzero().flatten().tolist() for start, stop in pairwise(offsets)]
