"""A folder in the layout of ImageNet, of a few classes and tiny images, with the part of WordNet that is above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

ANIMAL = "n00015388"
#: child, parent: some of WordNet. A dog is both a canine and a domestic animal; a crane is a bird and a machine.
IS_A = {
    "n01466257": [ANIMAL],  # chordate
    "n01471682": ["n01466257"],  # vertebrate
    "n01503061": ["n01471682"],  # bird
    "n02012849": ["n01503061"],  # crane
    "n01514668": ["n01503061"],  # cock
    "n01861778": ["n01471682"],  # mammal
    "n02083346": ["n01861778"],  # canine
    "n01317541": [ANIMAL],  # domestic animal
    "n02084071": ["n01317541", "n02083346"],  # dog
    "n02110341": ["n02084071"],  # dalmatian
    "n02110958": ["n02084071"],  # pug
    "n02114367": ["n02083346"],  # timber wolf
    "n02120997": ["n01861778"],  # feline
    "n02123045": ["n02120997"],  # tabby
    "n02129165": ["n02120997"],  # lion
    "n01905661": [ANIMAL],  # invertebrate
    "n01767661": ["n01905661"],  # arthropod
    "n02165456": ["n01767661"],  # ladybug
    "n02206856": ["n01767661"],  # bee
    "n01944390": ["n01905661"],  # snail
    "n00021939": ["n00001740"],  # artifact
    ANIMAL: ["n00001740"],
    "n03126707": ["n00021939"],  # crane
}
NAMES = {
    "n00001740": "entity",
    "n00021939": "artifact, artefact",
    ANIMAL: "animal, animate being, beast",
    "n01466257": "chordate",
    "n01471682": "vertebrate, craniate",
    "n01503061": "bird",
    "n02012849": "crane",
    "n01514668": "cock",
    "n01861778": "mammal, mammalian",
    "n02083346": "canine, canid",
    "n01317541": "domestic animal",
    "n02084071": "dog, domestic dog",
    "n02110341": "dalmatian, coach dog",
    "n02110958": "pug, pug-dog",
    "n02114367": "timber wolf, grey wolf",
    "n02120997": "feline, felid",
    "n02123045": "tabby, tabby cat",
    "n02129165": "lion, king of beasts",
    "n01905661": "invertebrate",
    "n01767661": "arthropod",
    "n02165456": "ladybug, ladybeetle",
    "n02206856": "bee",
    "n01944390": "snail",
    "n03126707": "crane",
}
CLASSES = sorted(set(IS_A) - {parent for parents in IS_A.values() for parent in parents})
GREY = 20  # of published corrupted images, times the number of the class
SHAPES = ((30, 44), (52, 36), (40, 40))


def write_imagenet(
    root: Path,
    *,
    train: int = 5,
    test: int = 2,
    classes: Sequence[str] = CLASSES,
    tree: str = "is_a",
    flat: bool = False,
) -> Path:
    """Write ``train`` and ``test`` images per class, and the tree as ``is_a`` or ``meta`` (the devkit).

    With ``flat`` the test images lie in one folder, with the devkit's labels.
    """
    generator = np.random.default_rng(0)
    shapes = [SHAPES[k % len(SHAPES)] for k in range(train)]
    for synset in classes:
        for number, shape in enumerate(shapes):
            write_image(root / "train" / synset / f"{synset}_{number}.JPEG", shape, generator)
    drawn = generator.permutation(np.repeat(sorted(classes), test)).tolist()
    for number, synset in enumerate(drawn, 1):
        folder = root / "val" if flat else root / "val" / synset
        write_image(folder / f"ILSVRC2012_val_{number:08d}.JPEG", SHAPES[0], generator)
    if tree == "is_a":
        lines = [f"{parent} {child}" for child, parents in IS_A.items() for parent in parents]
        (root / "wordnet.is_a.txt").write_text("\n".join(lines) + "\n")
        (root / "words.txt").write_text("".join(f"{synset}\t{words}\n" for synset, words in NAMES.items()))
    if tree == "meta" or flat:
        ids = write_meta(root / "ILSVRC2012_devkit_t12" / "data" / "meta.mat")
        truth = root / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt"
        truth.write_text("".join(f"{ids[synset]}\n" for synset in drawn))
    return root


def write_imagenet_c(root: Path, folder: Path, side: int) -> Path:
    """Write fog of severity 3 of the test images of ``root``, squares of the grey ``GREY`` times the class's number."""
    files = sorted((root / "val").rglob("*.JPEG"))
    synsets = [file.parent.name for file in files]
    if synsets[0] == "val":
        truth = root / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt"
        synsets = [CLASSES[int(line) - 1] for line in truth.read_text().split()]
    for file, synset in zip(files, synsets, strict=True):
        place = folder / "fog" / "3" / synset
        place.mkdir(parents=True, exist_ok=True)
        grey = np.full((side, side, 3), GREY * CLASSES.index(synset), np.uint8)  # a single colour survives JPEG
        Image.fromarray(grey).save(place / file.name)
    return folder


def write_image(file: Path, shape: tuple[int, int], generator: np.random.Generator) -> None:
    """A smooth random image of (height, width) pixels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    coarse.resize(shape[::-1], Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)


def write_meta(file: Path) -> Mapping[str, int]:
    """The devkit's table, classes first; gives the number of each synset."""
    from scipy.io import savemat

    file.parent.mkdir(parents=True, exist_ok=True)
    synsets = [*CLASSES, *sorted(set(NAMES) - set(CLASSES))]
    ids = {synset: number for number, synset in enumerate(synsets, 1)}
    fields = [
        "ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images"
    ]  # fmt: skip
    table = np.empty((len(synsets), 1), dtype=[(field, object) for field in fields])
    for row, synset in enumerate(synsets):
        children = [ids[child] for child, parents in IS_A.items() if synset in parents]
        table[row, 0] = (ids[synset], synset, NAMES[synset], "", len(children), np.array(children, float), 0, 5)
    savemat(file, {"synsets": table})
    return ids


def mean_of(files: Sequence[str], side: int, workers: int) -> float:
    """Of all pixels, decoded by so many processes; imports nothing heavy before it is called in another process."""
    import torch

    from src.data.decoding import Cut, decoded

    batches = torch.arange(len(files)).split(40)
    return float(torch.cat(list(decoded(files, batches, Cut(side, side), workers))).double().mean())
