"""A patched network as a subject: made of a weak network's and of modules', saved and loaded as any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from src.core.errors import UserError
from src.methods.modularity.patched import Patch, PatchedNetwork
from src.networks.models.registry import build
from src.networks.subjects import PATCHED, Subject, rebuild, register_assembly


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


register_assembly(PATCHED, _rebuild_patched)
