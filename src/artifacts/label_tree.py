"""The label tree that a job's configuration names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from src.core.errors import UserError, suggestion
from src.data.datamodule import ImageData
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import clustered, from_plain, from_superclasses, random_like, read_tree, regrouped

NAMES = ("superclasses", "data", "random", "clustered", "regrouped", "file")


def tree_of(options: Mapping[str, Any], data: ImageData, confusion: Callable[[], Tensor], where: str = "tree") -> Tree:
    """The tree over the classes of ``data``.

    Args:
        options: ``name``, and what the tree of this name needs.
        confusion: gives counts (N, N) of true against predicted classes, for a clustered tree.
        where: key of the options in the configuration, for messages.

    Raises:
        UserError: no such tree, or it does not fit the classes.
    """
    group = "tree" if where == "tree" else f"tree@{where}"  # what the command line chooses a tree by
    match options:
        case {"name": "superclasses"}:
            superclasses = data.sets["train"].superclasses
            if superclasses is None:
                raise UserError(
                    f"{where}.name=superclasses: this data set has none; take {group}=file with a JSON tree, or "
                    f"{group}=clustered"
                )
            return from_superclasses(data.classes, superclasses, where)
        case {"name": "data"}:
            nested = getattr(data, "tree", None)
            if nested is None:
                raise UserError(
                    f"{where}.name=data: this data set has no tree of its own; take {group}=file or {group}=clustered"
                )
            return from_plain(nested, data.classes, where)
        case {"name": "random", "like": like, "seed": seed}:
            if like not in ("superclasses", "data"):
                raise UserError(f"{where}.like={like}: allowed are superclasses, data")
            return random_like(tree_of({"name": like}, data, confusion, where), seed)
        case {"name": "regrouped", "groups": groups}:
            return regrouped(tree_of({"name": "superclasses"}, data, confusion, where), confusion(), groups, where)
        case {"name": "clustered", "groups": groups}:
            return clustered(confusion(), data.classes, groups, where)
        case {"name": "file", "path": path}:
            return read_tree(Path(path).expanduser(), data.classes, where)
    name = str(options.get("name"))
    raise UserError(f"{where}.name={name}: {suggestion(name, NAMES)}; conf/tree shows them whole")
