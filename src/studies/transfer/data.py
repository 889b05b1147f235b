"""Images of another look that experts are moved to."""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.data.opening import data_of
from src.data.relabelled import relabelled
from src.methods.hierarchy.nodes import Tree
from src.report.session import Session
from src.studies.transfer.options import Transfer


@dataclass(frozen=True)
class TargetImages:
    """Images to move to; for each of their classes its label in the source, or -1."""

    data: ImageData
    labels: Tensor

    def below(self, tree: Tree, node: int) -> ImageData:
        """Those of a node of the source's tree, its children as classes."""
        place = tree.nodes[node]
        targets = [place.targets[label] if label >= 0 else -1 for label in self.labels.tolist()]
        return relabelled(self.data, targets, place.children)


def target_images(options: Transfer, source: ImageData, session: Session) -> TargetImages:
    """The images of ``target``, normalised as the source's, which is how the experts see them.

    Raises:
        UserError: they lack a class, or are of another shape, or images are whitened.
    """
    if source.whitener is not None:
        raise UserError(
            f"data.contrast={source.contrast}: whitening is fitted to one data set; take none or global for a transfer"
        )
    seen = {"normalisation": {"mean": list(source.mean), "std": list(source.std)}, "contrast": source.contrast}
    target = data_of(options.target | seen, "target", shuffle_seed=options.seed)
    with session.stage("target: images"):
        target.setup()
    for event in target.events:
        session.event(f"target: {event}")
    missing = [name for name in source.classes if name not in target.classes]
    if missing:
        raise UserError(f"target: has no class '{missing[0]}'; experts are moved to data with the same classes")
    if target.input_shape != source.input_shape:
        raise UserError(
            f"target: images of shape {target.input_shape}, the experts take {source.input_shape}; "
            "set target.source.size"
        )
    numbers = {name: number for number, name in enumerate(source.classes)}
    return TargetImages(target, torch.tensor([numbers.get(name, -1) for name in target.classes]))


def sizes_of(options: Transfer, target: TargetImages, session: Session) -> list[int]:
    """Training images per class, from few to many.

    Raises:
        UserError: there is none, or one below 1.
    """
    wanted = options.images_per_class
    most = int(target.data.sets["train"].per_class[target.labels >= 0].max())
    if max(wanted) > most:
        session.event(f"images_per_class={max(wanted)}: the target has {most} training images of a class at most")
    return sorted({min(count, most) for count in wanted})
