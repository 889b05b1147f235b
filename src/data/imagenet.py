"""A local ImageNet folder (ILSVRC2012): which files it has, of which classes, and the tree above them.

    ROOT/train/n01440764/*.JPEG                     one folder per class
    ROOT/val/n01440764/*.JPEG                       the same, or flat: ROOT/val/ILSVRC2012_val_00000001.JPEG ..., then
    ROOT/ILSVRC2012_devkit_t12/data                 with meta.mat and ILSVRC2012_validation_ground_truth.txt
    ROOT/wordnet.is_a.txt, ROOT/words.txt           the tree and its names, where they are not taken from meta.mat

Stylized-ImageNet (Geirhos et al., ICLR 2019) has the same two folders of classes, and nothing beside them.

L. Friedrichsen (2020) took the classes by name and had to remove two that were ambiguous, the garment "cardigan" and
the machine "crane". Ours are taken by their WordNet ids: neither is below "animal".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.errors import UserError
from src.data.listing import entries
from src.data.wordnet import DEVKIT, META, WNID, WordNet, has_wordnet, paths_to, read_wordnet
from src.data.wordnet_tree import LEVELS, Nested, distinct_names, wordnet_tree

TRUTH = "ILSVRC2012_validation_ground_truth.txt"
ENDINGS = (".jpeg", ".jpg", ".png")


class Files(NamedTuple):
    """Image files, by class and name: paths below the root, their bytes int64 (N,), labels int64 (N,)."""

    paths: list[str]
    sizes: Tensor
    labels: Tensor


@dataclass
class ImageNet:
    """What a folder has, without a look into any image."""

    synsets: list[str]  # WordNet ids of the classes, in ascending order, which is that of the labels
    classes: list[str]  # their names
    tree: Nested | None  # label tree over the names, in plain form
    train: Files  # of the folder ``train``
    test: Files  # of the folder ``val``
    events: list[str]  # one line for everything that was left out


def read_imagenet(
    root: str,
    below: str | None = None,
    leave_out: Sequence[str] = (),
    levels: Sequence[int] | None = LEVELS,
    smallest: int = 2,
) -> ImageNet:
    """List a folder.

    Args:
        below: only classes below this WordNet id (``n00015388``: animal); None: all.
        leave_out: ids of classes to leave out.
        levels: of the tree (`wordnet_tree`), which may leave out further classes; None: no tree, no class is lost, and
            without the files of WordNet classes are called by their ids, as in Stylized-ImageNet.

    Raises:
        UserError: a folder or file is missing, a class has no image, is not in the tree, or only in one part.
    """
    place = Path(root).expanduser()
    train = place / "train"
    if not train.is_dir():
        raise UserError(f"data.source.root={root}: has no folder train with one folder of images per class")
    known = WordNet() if levels is None and below is None and not has_wordnet(place) else read_wordnet(place)
    folders = [entry.name for entry in entries(train) if entry.is_dir()]
    synsets, events = _chosen(folders, known, below, leave_out)
    names = distinct_names(known.names, synsets)
    tree = None
    if levels is not None:
        top = below or _top(known, synsets)
        tree, lost, sizes = wordnet_tree(known.parents, known.names, synsets, top, levels, smallest, known.origin)
        events.append(f"data.source.tree: {', '.join(map(str, sizes))} nodes on its levels, cut by a rule")
        if lost:
            few = ", ".join(names[synset] for synset in lost[:5]) + " ..." * (len(lost) > 5)
            events.append(f"data.source.tree: {len(lost)} classes stand alone and are left out ({few})")
        synsets = [synset for synset in synsets if synset not in lost]
    pool = listed(place, "train", synsets)
    return ImageNet(synsets, [names[synset] for synset in synsets], tree, pool, _test(place, known, synsets), events)


def listed(root: Path, part: str, synsets: Sequence[str]) -> Files:
    """The images in the folders of a part that are called like the classes.

    Raises:
        UserError: a class has no folder or no image there.
    """
    rows = []
    for label, synset in enumerate(synsets):
        folder = root / part / synset
        files = _images(folder) if folder.is_dir() else []
        if not files:
            raise UserError(
                f"{folder}: holds no image; fill it, or leave the class out by data.source.leave_out=[{synset}]"
            )
        rows += [(f"{part}/{synset}/{name}", size, label) for name, size in files]
    return _files(rows)


def _images(folder: Path) -> list[tuple[str, int]]:
    return [(e.name, e.stat().st_size) for e in entries(folder) if e.name.lower().endswith(ENDINGS)]


def _files(rows: Iterable[tuple[str, int, int]]) -> Files:
    paths, sizes, labels = zip(*rows, strict=True)
    return Files(list(paths), torch.tensor(sizes), torch.tensor(labels))


def _chosen(
    folders: Sequence[str], known: WordNet, below: str | None, leave_out: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The classes that are asked for, of those that have a folder, and what there is to say about the others."""
    missing = sorted(set(leave_out) - set(folders))
    if missing:
        raise UserError(f"data.source.leave_out={missing[0]}: no class of train; name WordNet ids, as n02012849")
    kept = [name for name in folders if name not in set(leave_out)]
    for name in kept:
        if not WNID.fullmatch(name):
            raise UserError(f"train/{name}: is called by no WordNet id, as n01440764; rename or remove the folder")
        if known.parents and name not in known.parents:
            raise UserError(f"train/{name}: this class is not in {known.origin}; leave it out by data.source.leave_out")
    events = [f"data.source.leave_out: {len(leave_out)} classes"] if leave_out else []
    if below is None:
        return kept, events
    inside = [name for name in kept if name in paths_to(known.parents, [name], below, known.origin)]
    if not inside:
        raise UserError(f"data.source.below={below}: no class of train is below it in {known.origin}")
    if len(inside) < len(kept):
        events.append(f"data.source.below={below}: {len(kept) - len(inside)} of {len(kept)} classes are not below it")
    return inside, events


def _top(known: WordNet, synsets: Sequence[str]) -> str:
    """The one synset without parents that is above the first class by the longest way."""
    tops = {parent for above in known.parents.values() for parent in above} - set(known.parents)
    ways = [paths_to(known.parents, synsets[:1], top, known.origin) for top in sorted(tops)]
    return max((path for way in ways for path in way.values()), key=len)[0]


def _test(root: Path, known: WordNet, synsets: Sequence[str]) -> Files:
    folder = root / "val"
    if not folder.is_dir():
        raise UserError(f"data.source.root={root}: has no folder val; its images are what networks are tested on")
    if any(entry.is_dir() for entry in entries(folder)):
        return listed(root, "val", synsets)
    truth, images = root / DEVKIT / TRUTH, _images(folder)
    if not truth.is_file() or not known.numbers:
        raise UserError(
            f"{folder}: holds no folders of classes, so {DEVKIT} has to hold {META} and {TRUTH}; unpack it there"
        )
    try:
        answers = [known.numbers[int(line)] for line in truth.read_text().split()]
    except (KeyError, ValueError) as error:
        raise UserError(f"{truth}: {error} is no number of a class in {META}; unpack the devkit anew") from None
    if len(answers) != len(images):
        raise UserError(f"{truth}: {len(answers)} labels for {len(images)} images in {folder}; complete the folder")
    labels = {synset: label for label, synset in enumerate(synsets)}
    pairs = zip(images, answers, strict=True)
    rows = [(f"val/{name}", size, labels[answer]) for (name, size), answer in pairs if answer in labels]
    absent = set(range(len(synsets))) - {label for _, _, label in rows}
    if absent:
        raise UserError(f"{folder}: class {synsets[min(absent)]} has no image; leave it out by data.source.leave_out")
    return _files(rows)
