"""The modules of a label tree as one subject, saved and loaded as any other."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from src.core.errors import UserError
from src.imageops.whitening import Whitening
from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.composition import Composition
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import from_plain
from src.methods.hierarchy.views import Views
from src.networks.models.splitting import trunk_and_head
from src.networks.subjects import COMPOSED, Subject, rebuild, register_assembly


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
        columns: as for :class:`src.methods.hierarchy.composed.ComposedNetwork`, where parts have further outputs.
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
        "columns": None if columns is None else [list(outputs) for outputs in columns],
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


register_assembly(COMPOSED, _rebuild_composed)
