"""The one data module: an image set in memory, split, mixed, augmented and normalised, in calls of several batches.

A config of the data group has the arguments of `ImageData` for keys; conf/data shows them whole. The weak model's data,
target class last (`mixing.patching_set`)::

    source: {name: glyphs, train_per_class: 300, test_per_class: 250}
    mix: {others: [10, 11, 12, 13, 14, 15, 16, 17, 18], target: 0, train_others: 60, train_target: 24}

and as published, from two sources::

    source: {name: cifar100, root: data}
    mix:
      others: [0, 2, 5, 8, 9, 12, 15, 22, 70]
      target: 3
      target_source: {name: cifar10, root: data}
      train_target: 500
      test_target: 100
"""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from src.core.errors import UserError, placed, suggestion
from src.core.options import options_of
from src.data.augment import KEYS, centre, check_crop, checked, colour_components, normalise, random_transformation
from src.data.epoch_loader import PER_CALL, Call, EpochLoader, InOrder
from src.data.image_set import ImageSet, Splits
from src.data.mixing import add_label_noise, cap, class_numbers, patching_set, subset
from src.data.normalisation import CONTRASTS, Whitener, WhiteningOptions, statistics, whitened
from src.data.sources import load_cached
from src.data.splits import drop_seen, first_half, split_pool
from src.imageops.whitening import WHITENINGS, Whitening

Options = Mapping[str, Any]

TEST = "test"


HALVES = ("first", "second")


class ImageData(pl.LightningDataModule):
    """In-memory images in four parts: train, validation, calibration, test.

    Args:
        source: ``name`` and options of a source (`src.data.sources`).
        classes: only these, renumbered in this order (None: all).
        mix: others, target, and optionally target_source, train_others, train_target, test_others, test_target.
        caps: most images per class of the pool (``train``, drawn by `seed`) and of ``test`` (the first ones).
        label_noise: fraction, and classes (None: all), of the training part.
        splits: validation and calibration (fractions, or images per class; validation ``test``: the test images, the
            protocol of papers without a held-out part), drop_seen (leave out pool images that are
            in the test set too; default true).
        batch_size: of training.
        eval_batch_size: of everything else.
        augment: of training images: crop_padding in pixels; flip, along flip_axis (``left_right``, ``up_down``);
            crop, the side of what is cut out at random, and in the middle of all other images; rgb_pca, the standard
            deviation of `colour_components`; transformation, a family of `src.imageops.transformations`, of which each
            image goes through a random member before it is cropped and flipped.
        normalisation: ``train``, a published one by name, or mean and std.
        seed: the data seed: splits, caps, noise.
        shuffle_seed: of the order and the augmentation (None: `seed`).
        contrast: ``none``, or ``global``: every image minus its mean, over its standard deviation, over all channels
            and pixels; `normalisation` comes after it, and ``train`` is measured after it. ``per_pixel``, ``zca``:
            whitened (`src.imageops.whitening`) before anything is cut out, which is the normalisation ``train``.
        half: ``first`` or ``second`` half of each class's training images, so that networks that take one each share
            none; None: all of them.
        whitening: scope, eps and rule of `src.data.normalisation.WhiteningOptions`.

    Attributes (after `setup`):
        sets: part -> ImageSet.
        split_indices: part -> int64 positions in the pool (the train side after classes, mix, caps and drop_seen).
        mislabelled: bool (train images,), where label noise changed the label.
        mean, std: normalisation per channel, of 0..1 or of contrast-normalised values.
        whitener: what whitens the parts, or None.
        colours: float32 (C, C), the components of rgb_pca, or None.
        events: one line for everything that was reduced or left out.
    """

    per_call = PER_CALL
    where = "data"
    """Key of its section in the configuration, for messages."""

    def __init__(
        self,
        source: Options,
        classes: Sequence[int | str] | None = None,
        mix: Options | None = None,
        caps: Options | None = None,
        label_noise: Options | None = None,
        splits: Options | None = None,
        batch_size: int = 128,
        eval_batch_size: int = 512,
        augment: Options | None = None,
        normalisation: str | Options = "train",
        seed: int = 0,
        shuffle_seed: int | None = None,
        contrast: str = "none",
        whitening: Options | None = None,
        half: str | None = None,
    ) -> None:
        super().__init__()
        if half not in (None, *HALVES):
            raise UserError(f"data.half={half}: allowed are null, {', '.join(HALVES)}")
        self.half = half
        if contrast not in CONTRASTS:
            raise UserError(f"data.contrast={contrast}: {suggestion(str(contrast), CONTRASTS)}")
        for key, origin in (("source", source), ("mix.target_source", (mix or {}).get("target_source"))):
            if origin is not None and "name" not in origin:
                raise UserError(f"data.{key}: has no name; e.g. data.{key}.name=glyphs")
        if classes is not None and mix:
            raise UserError("data.classes and data.mix: give one of them; mix names its classes itself")
        self.source, self.classes_wanted = dict(source), classes
        allowed = "others target target_source train_others train_target test_others test_target"
        self.mix = _options("mix", mix, allowed.split()) if mix else None
        self.caps = _options("caps", caps, ["train", "test"])
        self.label_noise = _options("label_noise", label_noise, ["fraction", "classes"])
        self.splits = _options("splits", splits, ["validation", "calibration", "drop_seen"])
        self.augment = checked(_options("augment", augment, KEYS))
        self.whitening_options = options_of(
            WhiteningOptions, _options("whitening", whitening, ["scope", "eps", "rule"]), "data.whitening"
        )
        if contrast in WHITENINGS and self.augment.get("rgb_pca"):
            raise UserError(
                f"data.augment.rgb_pca={self.augment['rgb_pca']}: with data.contrast={contrast} images are whitened "
                "once, before any change of colour; set one of them to 0 or none"
            )
        if contrast in WHITENINGS and "transformation" in self.augment:
            raise UserError(
                f"data.augment.transformation: with data.contrast={contrast} images are whitened once, before any "
                "transformation; set transformation to null or contrast to none"
            )
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.normalisation, self.contrast = normalisation, contrast
        self.seed, self.shuffle_seed = seed, seed if shuffle_seed is None else shuffle_seed
        self.sets: dict[str, ImageSet] = {}
        self.split_indices: dict[str, Tensor] = {}
        self.mislabelled = torch.zeros(0, dtype=torch.bool)
        self.mean: list[float] = []
        self.std: list[float] = []
        self.whitener: Whitener | None = None
        self.colours: Tensor | None = None
        self.events: list[str] = []

    def setup(self, stage: str | None = None) -> None:
        """Load, choose, cap, split and measure; a second call does nothing.

        Raises:
            UserError: a value that is not allowed, a class outside the data, a file missing or damaged.
        """
        if not self.sets:
            with placed("data", self.where):
                self._prepare()

    def _prepare(self) -> None:
        whole = self._load()
        events = list(dict.fromkeys(event for part in whole for event in part.events))
        pool, test = self._capped(*whole, events)
        if self.splits.get("drop_seen", True):
            pool, seen = drop_seen(pool, test)
            if seen:
                events.append(f"data: {seen} training images left out, being in the test set too")
        sets, indices = self._parts(pool, test, pool, events)
        if not len(pool):  # test images alone: there is nothing to measure or to train on
            self.sets, self.split_indices, self.events = sets, indices, events
            return
        empty, untested = (
            [name for name, count in zip(pool.classes, sets[part].per_class.tolist(), strict=True) if not count]
            for part in ("train", "test")
        )
        if empty:
            raise UserError(f"data: class '{empty[0]}' has no image to train on")
        if untested:
            more = f" and {len(untested) - 10} more" * (len(untested) > 10)
            events.append(f"data: no test images of {', '.join(untested[:10])}{more}; accuracy says nothing of them")
        sets["train"], self.mislabelled = self._with_noise(sets["train"], events)
        self.mean, self.std = statistics(self.normalisation, sets["train"].images, self.contrast)
        check_crop(self.augment.get("crop"), pool.shape)
        if "transformation" in self.augment:
            random_transformation(self.augment["transformation"]).check_size(*pool.shape[1:])
        if self.augment.get("rgb_pca"):
            self.colours = colour_components(sets["train"].images)
        if self.contrast in WHITENINGS:
            self.whitener = Whitener(sets, self.contrast, self.whitening_options)
            if self.whitening_options.scope == "evaluation":
                events.append("data.whitening.scope=evaluation: test images are whitened by their own statistics")
        self.split_indices, self.events = indices, events
        self.sets = sets

    def _capped(self, train: ImageSet, test: ImageSet, events: list[str]) -> tuple[ImageSet, ImageSet]:
        capped = cap(train, self.caps.get("train"), self.seed), cap(test, self.caps.get("test"))
        for name, before, after in zip(("train", "test"), (train, test), capped, strict=True):
            if len(after) < len(before):
                events.append(f"data.caps.{name}: {len(after)} of {len(before)} images")
        return capped

    def _parts(
        self, pool: ImageSet, test: ImageSet, shown: ImageSet, events: list[str]
    ) -> tuple[dict[str, ImageSet], dict[str, Tensor]]:
        """The parts, and the positions of their images in the pool; ``shown``: its images as the split sees them."""
        sizes = {key: 0 if value == TEST else value for key, value in self.splits.items() if key != "drop_seen"}
        indices = split_pool(shown, **sizes, seed=self.seed)
        sets = {name: pool.select(index) for name, index in indices.items()} | {"test": test}
        if self.splits.get("validation") == TEST:
            sets["validation"] = test
            events.append("data.splits.validation=test: epochs are chosen on the test images; their accuracy flatters")
        return sets, indices

    def _loaded(self, name: str, options: Options) -> Splits:
        """A source, of whose training images ``half`` are taken."""
        splits = load_cached(name, options)
        if self.half is None:
            return splits
        first = first_half(splits.train, self.seed)
        return splits._replace(train=splits.train.select(first if self.half == HALVES[0] else ~first))

    def _load(self) -> Splits:
        name, options = str(self.source["name"]), {key: v for key, v in self.source.items() if key != "name"}
        if self.mix is None:
            wanted = {} if self.classes_wanted is None else {"only": list(self.classes_wanted)}
            return self._loaded(name, options | wanted)
        target_source = self.mix.get("target_source")
        others: list[int | str] | None = self.mix.get("others")
        target = self.mix.get("target")
        if target is None:
            raise UserError("data.mix.target: missing; give a class or a list of classes")
        targets = [target] if isinstance(target, int | str) else list(target)
        every = None
        if others is None:
            every = self._loaded(name, options)  # as whoever trains on all classes loads them
            names = every.train.classes
            absent = [item for item in targets if target_source is None or item in names]
            numbers = class_numbers(absent, names) if absent else []
            others = [cls for number, cls in enumerate(names) if number not in numbers]

        def loaded(classes: Sequence[int | str]) -> Splits:
            """Together, so that only the classes that are needed are rendered or decoded."""
            return self._loaded(name, options | {"only": list(classes)}) if every is None else subset(every, classes)

        sizes = {key: value for key, value in self.mix.items() if key.startswith(("train_", "test_"))}
        if target_source is not None:
            apart = {key: value for key, value in target_source.items() if key != "name"}
            first, second = loaded(others), self._loaded(str(target_source["name"]), apart | {"only": targets})
        else:
            shared = [item for item in targets if item in others]
            if shared:
                raise UserError(f"data.mix: class {shared[0]} is both target and other; leave it out of mix.others")
            first, second = loaded([*others, *targets]), None
        count = len(list(others))
        names, more = first.train.classes, first.train.classes[count:] if second is None else second.train.classes
        return patching_set(
            first,
            others=names[:count],
            target=more,
            target_splits=second,
            seed=self.seed,
            **sizes,
        )

    def _with_noise(self, train: ImageSet, events: list[str]) -> tuple[ImageSet, Tensor]:
        chosen = self.label_noise.get("classes")
        labels, changed = add_label_noise(
            train.labels,
            float(self.label_noise.get("fraction", 0.0)),
            len(train.classes),
            None if chosen is None else class_numbers(chosen, train.classes),
            self.seed,
        )
        if not bool(changed.any()):
            return train, changed
        events.append(f"data.label_noise: {int(changed.sum())} of {len(train)} training labels are wrong")
        return replace(train, labels=labels), changed

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, one per label."""
        return self._set("train").classes

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image as the model sees it: of a crop where images are cropped."""
        channels, height, width = self._set("train").shape
        crop = self.augment.get("crop")
        return (channels, height, width) if crop is None else (channels, crop, crop)

    def digest(self) -> str:
        """SHA-256 of all that a network learns from: images and labels, normalisation, augmentation, batches."""
        digest = hashlib.sha256()
        for part in ("train", "validation", "calibration"):
            images = self._set(part)
            digest.update(images.images.contiguous().numpy().tobytes())
            digest.update(images.labels.numpy().tobytes())
        settings = [
            self.mean,
            self.std,
            self.augment,
            self.batch_size,
            self.shuffle_seed,
            self.input_shape,
            self.classes,
        ]
        if self.contrast != "none":  # else the digest from before there was a choice
            settings.append(self.contrast)
        if self.whitener is not None:
            settings += [self.whitening_options, self.whitener.digest()]
        if self.colours is not None:
            settings.append(self.colours.tolist())
        digest.update(repr(settings).encode())
        return digest.hexdigest()

    def tensor(self, part: str) -> tuple[Tensor, Tensor]:
        """All images of a part as the model sees them, float32 (N, C, H, W), and their labels, int64 (N,)."""
        images, labels = self.resident(part, self._set(part).images.device)
        return self.normalise(images), labels

    def normalise(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W), raw (uint8) or as `resident` gives them -> float32 as the model sees them.

        Floats have been whitened already; images of the size of a crop have been cut out already.
        """
        if self.whitener is not None and not images.is_floating_point():
            images = whitened(images, self.whitener.of("train", images.device))
        return normalise(centre(images, self.augment.get("crop")), self.mean, self.std, contrast=self.contrast)

    def resident(self, part: str, device: torch.device) -> tuple[Tensor, Tensor]:
        """A part's images, raw or, where they are whitened, float32, and its labels, on the device."""
        images = self._set(part)
        if self.whitener is None:
            return images.images.to(device), images.labels.to(device)
        return whitened(images.images, self.whitener.of(part, device)), images.labels.to(device)

    @property
    def whitening(self) -> Whitening | None:
        """A copy of what whitens training images, of values in 0..1, for a network that is to carry it; or None."""
        self.setup()
        if self.whitener is None:
            return None
        return copy.deepcopy(self.whitener.of("train", self.sets["train"].images.device))

    def train_dataloader(self) -> Any:
        """Calls of shuffled and augmented images, drawn and shared out as the trainer's learner says."""
        self.setup()
        if not len(self.sets["train"]):
            raise UserError("data.source.test_fraction=1: leaves no image to train on; lower it, e.g. 0.2")
        images, labels = self._on_device("train")
        return EpochLoader(
            images,
            labels,
            self.batch_size,
            per_call=self.per_call,
            augment=self.augment,
            colours=self.colours,
            seed=self.shuffle_seed,
            epoch=self._epoch,
            draws=getattr(self._learner, "draws", "epoch"),
            unit=self._unit,
            process=self._process,
        )

    def val_dataloader(self) -> Any:
        """The validation part in calls, in order."""
        return InOrder(*self._on_device("validation"), self.eval_batch_size, self._process)

    def transfer_batch_to_device(self, batch: Call, device: torch.device, dataloader_idx: int) -> Call:
        """Where it is there already, it stays."""
        images, labels = (values.to(device, non_blocking=True) for values in (batch.images, batch.labels))
        return batch._replace(images=images, labels=labels)

    def on_after_batch_transfer(self, batch: Call, dataloader_idx: int) -> Call:
        """Raw or whitened -> float32 as the model sees it."""
        return batch._replace(images=self.normalise(batch.images))

    def _on_device(self, part: str) -> tuple[Tensor, Tensor]:
        self.setup()
        return self.resident(part, torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device)

    @property
    def _learner(self) -> Any:
        return None if self.trainer is None else self.trainer.lightning_module

    @property
    def _unit(self) -> int:
        """Images of a batch that stay in one process where several train one network."""
        return getattr(self._learner, "ghost_batch", None) or 1

    @property
    def _process(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _epoch(self) -> int:
        return 0 if self.trainer is None else int(self.trainer.current_epoch)

    def _set(self, part: str) -> ImageSet:
        self.setup()
        if part not in self.sets:
            raise UserError(f"data: no part '{part}'; {suggestion(part, self.sets)}")
        return self.sets[part]


def _options(group: str, given: Options | None, allowed: Sequence[str]) -> dict[str, Any]:
    """A copy without None values, every key of which is allowed."""
    options = dict(given or {})
    for key in options:
        if key not in allowed:
            raise UserError(f"data.{group}.{key}: no such key; {suggestion(str(key), allowed)}")
    return {key: value for key, value in options.items() if value is not None}
