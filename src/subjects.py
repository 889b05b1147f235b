"""Anything that can be examined: weights, architecture as data, class names, input shape, normalisation, lineage.

Whatever a network is (trained, extracted from another, a user's file), a measure takes a subject and never asks where
it came from. On disk a subject is ``NAME.safetensors`` beside ``subject.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from src.errors import UserError
from src.hierarchy.composed import ComposedNetwork
from src.hierarchy.composition import Composition
from src.hierarchy.tree import Tree, from_plain
from src.hierarchy.views import Views
from src.models.registry import build
from src.models.splitting import trunk_and_head
from src.modularity.patched import Patch, PatchedNetwork
from src.result import read_json, write_atomically
from src.slicing import extract, plan_for
from src.weights import load_weights, save_weights

if TYPE_CHECKING:
    from src.imageops.whitening import Whitening

DESCRIPTION = "subject.json"
# names of architectures that are made of subjects and not in the models' registry
PATCHED = "patched"
COMPOSED = "composed"


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
        values = _global_contrast(images) if self.contrast == "global" else images.float() / 255
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


def _global_contrast(images: Tensor) -> Tensor:
    """As the data room's `global_contrast`, which this room may not reach; a test holds them equal."""
    total = images.sum((1, 2, 3), keepdim=True, dtype=torch.int64)
    centred = (images - (total.double() / images[0].numel()).float()) / 255
    return centred / centred.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-8)


def save_description(subject: Subject, folder: Path) -> None:
    """Write all but the weights; several weight files of one folder may share it."""
    plain = {
        "architecture": subject.architecture,
        "classes": list(subject.classes),
        "mean": list(subject.mean),
        "std": list(subject.std),
        "kept": subject.kept,
        "lineage": list(subject.lineage),
        "notes": subject.notes,
        "contrast": subject.contrast,
    }
    write_atomically(folder / DESCRIPTION, json.dumps(plain, indent=2))


def save_subject(subject: Subject, folder: Path, name: str = "weights") -> Path:
    """Write weights and description; the path returned is what :func:`load_subject` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(subject.model, folder / f"{name}.safetensors")
    save_description(subject, folder)
    return folder / f"{name}.safetensors"


def load_subject(path: Path, lineage: Sequence[str] = ()) -> Subject:
    """The subject of a weight file with a ``subject.json`` beside it.

    Raises:
        UserError: a file is missing or damaged, or the weights are another architecture's.
    """
    description = path.with_name(DESCRIPTION)
    for file in (path, description):
        if not file.is_file():
            raise UserError(f"{file} is missing; a subject is a .safetensors file with {DESCRIPTION} beside it")
    try:
        plain: Mapping[str, Any] = read_json(description)
        model = rebuild(plain["architecture"], plain["kept"])
        load_weights(model, path)
        return Subject(
            model.eval(),
            dict(plain["architecture"]),
            tuple(plain["classes"]),
            tuple(plain["mean"]),
            tuple(plain["std"]),
            plain["kept"],
            tuple(lineage or plain["lineage"]),
            dict(plain["notes"]),
            plain.get("contrast", "none"),  # descriptions from before there was a choice
        )
    except (ValueError, LookupError, TypeError, RuntimeError, OSError) as error:
        if isinstance(error, UserError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read ({reason}); train or save it anew") from None


def rebuild(architecture: Mapping[str, Any], kept: Sequence[Sequence[int]] | None = None) -> nn.Module:
    """A network of this architecture with weights still to be loaded; patched and composed ones are made of parts."""
    if architecture["name"] == PATCHED:
        return _rebuild_patched(architecture)
    if architecture["name"] == COMPOSED:
        return _rebuild_composed(architecture)
    model = build(architecture)
    if kept is None:
        return model
    plan = plan_for(model, architecture["input_shape"])
    return extract(model, plan, keep_of(kept, plan.offsets))


def _rebuild_patched(architecture: Mapping[str, Any]) -> nn.Module:
    patches = [
        Patch(
            part["target"],
            part["column"],
            rebuild(part["architecture"], part["kept"]),
            1.0,
            0.0,
            part["sigmoid"],
            part["score"],
        )
        for part in architecture["patches"]
    ]
    none = [0.0] * architecture["input_shape"][0]  # scale and shift come with the weights
    return PatchedNetwork(build(architecture["weak"]), patches, none, none)


def patched_subject(weak: Subject, modules: Sequence[Subject], patches: Sequence[Patch], temperature: float) -> Subject:
    """The weak subject, its logits divided by ``temperature``, with the module subjects' networks as patches."""
    first = modules[0]
    for module in modules:
        if module.contrast != weak.contrast:
            raise UserError(
                f"data.contrast={weak.contrast} of the weak network, {module.contrast} of a module: a patched network "
                "hands both the same images; train them with the same contrast"
            )
    scale = [own / other for own, other in zip(weak.std, first.std, strict=True)]
    shift = [(a - b) / s for a, b, s in zip(weak.mean, first.mean, first.std, strict=True)]
    parts = [
        {"target": patch.target, "column": patch.column, "sigmoid": patch.sigmoid, "score": patch.score,
         "architecture": module.architecture,
         "kept": module.kept}
        for patch, module in zip(patches, modules, strict=True)
    ]  # fmt: skip
    architecture = {
        "name": PATCHED,
        "classes": len(weak.classes),
        "input_shape": list(weak.input_shape),
        "weak": weak.architecture,
        "patches": parts,
    }
    lineage = tuple(dict.fromkeys(digest for part in (weak, *modules) for digest in part.lineage))
    network = PatchedNetwork(weak.model, patches, scale, shift, temperature).eval()
    return Subject(network, architecture, weak.classes, weak.mean, weak.std, None, lineage, contrast=weak.contrast)


def composed_subject(
    parts: Sequence[Subject],
    tree: Tree,
    composition: Composition,
    *,
    views: Views | None = None,
    preparation: Whitening | None = None,
    share_trunk: bool = False,
    columns: Sequence[Sequence[int]] | None = None,
    input_shape: Sequence[int] | None = None,
) -> Subject:
    """One network of the modules of a label tree; it answers with log-probabilities.

    Args:
        parts: one per node of the tree, whose outputs are the node's children.
        views: crops of the size that the parts take.
        preparation: of whole images, after normalisation.
        share_trunk: the first part's layers before its flatten serve all parts; the others' are dropped.
        columns: as for :class:`src.hierarchy.composed.ComposedNetwork`, where parts have further outputs.
        input_shape: [channels, height, width] of a whole image; None: what the parts take.

    Raises:
        UserError: the parts want images of different kinds, are of another tree, or cannot be split; crops do not fit.
    """
    first = parts[0]
    for key in ("mean", "std", "contrast", "input_shape"):
        values = [getattr(part, key) for part in parts]
        other = next((value for value in values if value != values[0]), None)
        if other is not None:
            raise UserError(
                f"modules: {key} {values[0]} of one and {other} of another, but all of them see the same images; train "
                "them on one data set with one normalisation"
            )
    if views is not None and views.size != first.input_shape[1]:
        raise UserError(
            f"views.size={views.size}: the modules take images of {first.input_shape[1]} pixels; take that size"
        )
    if columns is None:
        _check_children(parts, tree)
    architecture = {
        "name": COMPOSED,
        "classes": len(tree.classes),
        "input_shape": list(input_shape or first.input_shape),
        "class_names": list(tree.classes),
        "tree": tree.plain(),
        "composition": composition.plain(),
        "modules": [{"architecture": part.architecture, "kept": part.kept} for part in parts],
        "share_trunk": share_trunk,
        "views": None if views is None else views.plain(),
        "preparation": None if preparation is None else preparation.plain(),
        "columns": None if columns is None else [list(own) for own in columns],
    }
    network = _compose([part.model for part in parts], architecture, preparation)
    lineage = tuple(dict.fromkeys(digest for part in parts for digest in part.lineage))
    return Subject(
        network.eval(), architecture, tree.classes, first.mean, first.std, None, lineage, contrast=first.contrast
    )


def _check_children(parts: Sequence[Subject], tree: Tree) -> None:
    for part, node in zip(parts, tree.nodes, strict=True):
        if part.classes != node.children:
            raise UserError(
                f"modules: that of node '{node.name}' tells {', '.join(part.classes[:5])} apart, the tree has "
                f"{', '.join(node.children[:5])} there; train it for this tree"
            )


def _rebuild_composed(architecture: Mapping[str, Any]) -> nn.Module:
    models = [rebuild(part["architecture"], part["kept"]) for part in architecture["modules"]]
    preparation = None
    if architecture["preparation"] is not None:
        from src.imageops.whitening import Whitening

        preparation = Whitening.empty(**architecture["preparation"])
    return _compose(models, architecture, preparation)


def _compose(
    models: Sequence[nn.Module], architecture: Mapping[str, Any], preparation: nn.Module | None
) -> ComposedNetwork:
    """The network of an architecture from that of its modules."""
    trunk = None
    if architecture["share_trunk"]:
        trunk = trunk_and_head(models[0])[0]
        models = [trunk_and_head(model)[1] for model in models]
    return ComposedNetwork(
        from_plain(architecture["tree"], architecture["class_names"]),
        models,
        Composition(**architecture["composition"]),
        trunk=trunk,
        views=None if architecture["views"] is None else Views(**architecture["views"]),
        preparation=preparation,
        columns=architecture["columns"],
    )


def keep_of(kept: Sequence[Sequence[int]], offsets: Sequence[int]) -> Tensor:
    """Bool mask (K,) over the plan's kernel axis from the kept kernels of each group."""
    keep = torch.zeros(offsets[-1], dtype=torch.bool)
    for start, group in zip(offsets, kept, strict=False):
        keep[torch.tensor(group, dtype=torch.long) + start] = True
    return keep


def kept_of(keep: Tensor, offsets: Sequence[int]) -> list[list[int]]:
    """The opposite of :func:`keep_of`."""
    return [keep[start:stop].nonzero().flatten().tolist() for start, stop in pairwise(offsets)]
