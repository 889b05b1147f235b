"""Anything that can be examined: weights, architecture as data, class names, input shape, normalisation, lineage.

Whatever a network is (trained, extracted from another, a user's file), a measure takes a subject and never asks where
it came from. On disk a subject is ``NAME.safetensors`` beside ``subject.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from src.errors import UserError
from src.models.registry import build
from src.result import read_json, write_atomically
from src.slicing import extract, plan_for
from src.training.checkpoints import load_weights, save_weights

DESCRIPTION = "subject.json"


@dataclass
class Subject:
    """A network and what one must know to feed and to read it.

    Attributes:
        model: takes normalised float images (n, C, H, W), returns logits (n, N); in eval mode.
        architecture: rebuilds the model with random weights.
        classes: the N names, in the order of the logits.
        mean, std: per channel, of images in [0, 1].
        kept: per kernel group of the architecture's slice plan the kernels that remain, where it is a module.
        lineage: digests of the store entries it came from.
    """

    model: nn.Module
    architecture: dict[str, Any]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    kept: list[list[int]] | None = None
    lineage: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)

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
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return ((images.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


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
        model = build(plain["architecture"])
        if plain["kept"] is not None:
            shape = plain["architecture"]["input_shape"]
            plan = plan_for(model, tuple(shape))
            model = extract(model, plan, keep_of(plain["kept"], plan.offsets, plan.kernels))
        load_weights(model, path)
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} cannot be read ({' '.join(str(error).split())[:200]}); train or save it anew") from None
    return Subject(
        model.eval(),
        dict(plain["architecture"]),
        tuple(plain["classes"]),
        tuple(plain["mean"]),
        tuple(plain["std"]),
        plain["kept"],
        tuple(lineage or plain["lineage"]),
        dict(plain["notes"]),
    )


def keep_of(kept: Sequence[Sequence[int]], offsets: Sequence[int], kernels: int) -> Tensor:
    """Bool mask (K,) over all kernels from the kept ones of each group."""
    keep = torch.zeros(kernels, dtype=torch.bool)
    for offset, group in zip(offsets, kept, strict=False):
        keep[torch.tensor(group, dtype=torch.long) + offset] = True
    return keep


def kept_of(keep: Tensor, offsets: Sequence[int], kernels: int) -> list[list[int]]:
    """The opposite of :func:`keep_of`."""
    edges = [*offsets[: len(offsets)], kernels]
    return [keep[a:b].nonzero().flatten().tolist() for a, b in zip(edges, edges[1:], strict=False) if b > a]
