"""The data module of images that do not fit in memory: they stay in files and are decoded by worker processes.

A config has the arguments of `StreamingImages` for keys, as conf/data/imagenet_animals.yaml. Training images are cut
out of the whole image, all others out of its middle square.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from src.core.contents import contents_digest
from src.core.errors import UserError
from src.core.seeds import stream
from src.data.augment import FLIP_AXES, check_crop, colour_components
from src.data.datamodule import ImageData, Options, _options
from src.data.decoding import Cut, number_of_workers
from src.data.epoch_loader import Call, InOrder, cut, share
from src.data.file_images import FileImages
from src.data.image_set import ImageSet
from src.data.imagenet import Files, ImageNet, read_imagenet
from src.data.normalisation import statistics
from src.data.picture import choices_of, events_of
from src.data.wordnet_tree import LEVELS, Nested

MEASURED = 2048  # training images by which colours are measured
CONTRASTS = ("none", "global")


class StreamingImages(ImageData):
    """Image files in four parts: train, validation, calibration, test; an `ImageData` for all who use one.

    The images of its sets are `FileImages`: ``split`` and ``to`` give tensors, other operations need one of them first.

    Args:
        source: name (``imagenet``), root, and optionally size (pixels of the shorter side, 256), below, leave_out and
            tree (levels, smallest; null: no tree), see `src.data.imagenet.read_imagenet`.
        caps: most images per class of the pool (``train``, drawn by `seed`) and of ``test`` (the first ones).
        splits: validation and calibration, stratified by class (fractions, or images per class; validation ``test``).
        batch_size, eval_batch_size: of training, and of everything else.
        augment: crop (side, cut out at random from training images and from the middle of others), flip, flip_axis,
            rgb_pca.
        normalisation: a published one by name, mean and std, or ``train``, measured on `MEASURED` training images.
        seed: the data seed: splits and caps.
        shuffle_seed: of order and augmentation (None: `seed`).
        contrast: ``none`` or ``global``.
        workers: processes that decode, or ``auto``.

    Attributes (after `setup`):
        tree: the label tree over the classes in plain form, or None.
    """

    def __init__(
        self,
        source: Options,
        caps: Options | None = None,
        splits: Options | None = None,
        batch_size: int = 128,
        eval_batch_size: int = 256,
        augment: Options | None = None,
        normalisation: str | Options = "imagenet",
        seed: int = 0,
        shuffle_seed: int | None = None,
        contrast: str = "none",
        workers: int | str = "auto",
    ) -> None:
        if contrast not in CONTRASTS:
            raise UserError(f"data.contrast={contrast}: images in files take none or global; choose one of them")
        if (augment or {}).get("crop_padding"):
            raise UserError(
                "data.augment.crop_padding: images in files are not padded; set augment.crop, e.g. crop=224"
            )
        if (augment or {}).get("transformation") is not None:
            raise UserError(
                "data.augment.transformation: images in files are cut out before anything else could be done to them; "
                "set it to null, or take a data set in memory, e.g. data=imagenette"
            )
        super().__init__(
            source,
            caps=caps,
            splits={**(splits or {}), "drop_seen": False},
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            augment=augment,
            normalisation=normalisation,
            seed=seed,
            shuffle_seed=shuffle_seed,
            contrast=contrast,
        )
        self.folder = _options("source", source, ["name", "root", "size", "below", "leave_out", "tree"])
        self.size = self.folder.get("size", 256)
        if type(self.size) is not int or self.size < 1:
            raise UserError(f"data.source.size={self.size}: allowed are whole numbers from 1")
        check_crop(self.augment.get("crop"), (3, self.size, self.size))
        self.workers = number_of_workers(workers, self.size)
        self.tree: Nested | None = None

    def _prepare(self) -> None:
        imagenet = self._read()
        events = list(imagenet.events)
        pool, test = self._capped(self._set_of(imagenet, imagenet.train), self._set_of(imagenet, imagenet.test), events)
        events += _choices(pool, test, self.seed)
        sets, indices = self._parts(pool, test, _by_number(pool), events)
        self._measure(sets["train"], events)
        self.mislabelled = torch.zeros(len(sets["train"]), dtype=torch.bool)
        self.tree, self.split_indices, self.events = imagenet.tree, indices, events
        self.sets = sets

    def _read(self) -> ImageNet:
        tree = self.folder.get("tree")
        nesting = (
            {"levels": None}
            if tree is None
            else {"levels": LEVELS, **_options("source.tree", tree, ["levels", "smallest"])}
        )
        root = self.folder.get("root")
        if not root:
            raise UserError("data.source.root: the folder of ImageNet; set it, e.g. data.source.root=/data/imagenet")
        return read_imagenet(str(root), self.folder.get("below"), self.folder.get("leave_out", ()), **nesting)

    def _set_of(self, imagenet: ImageNet, files: Files) -> ImageSet:
        count = len(files.paths)
        root = str(self.folder["root"])
        images = FileImages(root, files.paths, files.sizes, torch.arange(count), count, self.size, self.workers)
        superclasses = None if imagenet.tree is None else superclasses_of(imagenet.tree, imagenet.classes)
        return ImageSet(cast(Tensor, images), files.labels, tuple(imagenet.classes), superclasses)

    def _measure(self, train: ImageSet, events: list[str]) -> None:
        """Normalisation and colours, where they are the training images' own by some of them."""
        images = train.images
        if self.normalisation == "train" or self.augment.get("rgb_pca"):
            if len(train) > MEASURED:
                drawn = torch.randperm(len(train), generator=stream(self.seed, "measured"))[:MEASURED]
                events.append(f"data: colours are measured on {MEASURED} of {len(train)} training images")
                images = images[drawn.sort().values]
            images = images.to("cpu")
        self.mean, self.std = statistics(self.normalisation, images, self.contrast)
        if self.augment.get("rgb_pca"):
            self.colours = colour_components(images)

    def digest(self) -> str:
        """SHA-256 of the folder's contents, of the files and labels of each part, and of all that a training sees."""
        digest = hashlib.sha256(contents_digest(Path(str(self.folder["root"])).expanduser()).encode())
        for part in ("train", "validation", "calibration"):
            images = self._set(part)
            files = files_of(images)
            digest.update("\n".join(files.files).encode())
            for values in (files.sizes, files.numbers, images.labels):
                digest.update(values.numpy().tobytes())
        settings = [self.mean, self.std, self.augment, self.size, self.batch_size, self.shuffle_seed, self.classes]
        settings += [self.contrast, None if self.colours is None else self.colours.tolist()]
        digest.update(repr(settings).encode())
        return digest.hexdigest()

    @property
    def training_cut(self) -> Cut:
        """What is made of a training image."""
        axis = self.augment.get("flip_axis", FLIP_AXES[0])
        return Cut(self.size, self.augment.get("crop", self.size), axis, self.augment.get("flip", False), self.colours)

    def train_dataloader(self) -> "StreamedCalls":
        """Shuffled images, cut at random, raw; another order and other cuts every epoch."""
        return self.stream(self._epoch, self._unit, self._process)

    def stream(self, epoch: Callable[[], int], unit: int = 1, process: tuple[int, int] = (0, 1)) -> "StreamedCalls":
        """The training images of the epoch that ``epoch`` tells, in calls of one batch."""
        self.setup()
        return StreamedCalls(self, epoch, unit, process)

    def val_dataloader(self) -> InOrder:
        """The raw validation part, in order."""
        part = self._set("validation")
        return InOrder(part.images, part.labels, self.eval_batch_size, self._process)


class StreamedCalls:
    """Training batches of image files, a call each; order, batches and images are a pure function of seed and epoch.

    The number of workers changes nothing. Arguments as of an `EpochLoader`.
    """

    def __init__(self, data: StreamingImages, epoch: Callable[[], int], unit: int, process: tuple[int, int]) -> None:
        self.data, self.epoch = data, epoch
        count, size = len(data.sets["train"]), data.batch_size
        self.sizes, self.whole_batches = cut(count, size), count // size
        self._shares = [share(size, unit, *process) for size in self.sizes]

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[Call]:
        data, part, epoch = self.data, self.data.sets["train"], self.epoch()
        order = torch.randperm(len(part), generator=stream(data.shuffle_seed, "order", epoch))
        rows = [
            batch[ours.first : ours.first + ours.ours]
            for batch, ours in zip(order.split(self.sizes), self._shares, strict=True)
        ]
        moment, shift = (data.shuffle_seed, epoch), data.augment.get("rgb_pca", 0.0)
        decoded = files_of(part).batches(rows, data.training_cut, moment, shift)
        for index, images, ours in zip(rows, decoded, self._shares, strict=True):
            yield Call(images, part.labels[index], [ours])


def files_of(images: Any) -> FileImages:
    """The files behind a set of a `StreamingImages`."""
    return cast(FileImages, images.images)


def superclasses_of(tree: Nested, classes: list[str]) -> tuple[str, ...]:
    """For each class the name of the lowest node that it is below; of a tree of one node the same for all."""
    above: dict[str, str] = {}

    def walk(node: Nested, name: str) -> None:
        if isinstance(node, Mapping):
            for child, below in node.items():
                walk(below, child)
        else:
            above.update(dict.fromkeys(node, name))

    walk(tree, "all")
    return tuple(above[name] for name in classes)


def _choices(pool: ImageSet, test: ImageSet, seed: int) -> list[str]:
    """What is decided about files, of which at most `MEASURED` are looked at: one line for each kind of decision."""
    files = [f"{part.root}/{file}" for part in map(files_of, (pool, test)) for file in part.files]
    drawn = torch.randperm(len(files), generator=stream(seed, "looked at"))[:MEASURED].sort().values.tolist()
    counts = Counter(choice for row in drawn for choice in choices_of(Path(files[row]), files[row]))
    return events_of(counts, files_of(pool).root, len(files), "white", len(drawn))


def _by_number(pool: ImageSet) -> ImageSet:
    """The same labels with the files' numbers for pixels: splits take images of the same pixels for copies."""
    numbers = torch.arange(len(pool)).view(torch.uint8).view(-1, 1, 1, 8)
    return ImageSet(numbers, pool.labels, pool.classes)
