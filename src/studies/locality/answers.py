"""A network's answers to images under perturbations: what the studies of locality and of feature reliance share."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.core.shown import Shown
from src.data.image_set import ImageSet
from src.methods.locality.grids import patch_masks
from src.methods.locality.interaction import Interaction, interaction
from src.methods.locality.levels import LEVELS
from src.methods.locality.perturbations import Perturbation, Region, masked_area, perturb
from src.networks.activations import predict
from src.networks.subjects import Subject
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate
from src.studies.locality.options import Sweep
from src.studies.protocol import Run

ORIGINAL = "original"


@dataclass(frozen=True)
class Cell(Shown):
    """One operation at one level.

    Attributes:
        accuracy, probability: of the true class, with intervals over images.
        right: float64 (n,), the share of the variants in which each image is classified right.
    """

    operation: str
    level: float
    accuracy: Estimate
    probability: Estimate
    right: Tensor


def check_perturbations(perturbations: Iterable[Perturbation], images: ImageSet) -> None:
    """Try each on two images.

    Raises:
        UserError: an operation is unknown, cannot take a level, does not fit the images or needs masks.
    """
    two = images.select(torch.arange(min(2, len(images))))
    for perturbation in perturbations:
        perturb(two.images, perturbation, two.masks)


class Stimuli:
    """One set of images, as they are and perturbed, on a device: what several networks are shown.

    Attributes:
        images, labels: of the set.
        kept: whether perturbed images stay in memory for the next network.
    """

    def __init__(self, test: ImageSet, batch: int, device: torch.device, *, kept: bool = False) -> None:
        self.images, self.labels = test.images.to(device), test.labels.to(device)
        self.masks = None if test.masks is None else test.masks.to(device)
        self.batch, self.kept = batch, kept
        self._memory: dict[Perturbation, list[Tensor]] = {}

    def batches(self, perturbation: Perturbation | None) -> Iterable[Tensor]:
        """uint8 (batch, C, H, W) each."""
        if perturbation is None:
            return self.images.split(self.batch)
        if perturbation in self._memory:
            return self._memory[perturbation]
        batches = self._perturbed(perturbation)
        return self._memory.setdefault(perturbation, list(batches)) if self.kept else batches

    def _perturbed(self, perturbation: Perturbation) -> Iterator[Tensor]:
        for start in range(0, len(self.images), self.batch):
            rows = slice(start, start + self.batch)
            masks = None if self.masks is None else self.masks[rows]
            yield perturb(self.images[rows], perturbation, masks, first=start)


class Answers:
    """A network's answers to one set of images under perturbations, with one set of bootstrap weights for all."""

    def __init__(self, subject: Subject, stimuli: Stimuli, run: Run) -> None:
        self.subject, self.stimuli, self.run = subject, stimuli, run
        self.labels, count = stimuli.labels, len(stimuli.images)
        self.weights = bootstrap_weights(count, resamples=run.resamples, seed=run.seed).double() / count

    def logits(self, perturbation: Perturbation | None) -> Tensor:
        """(n, N), on the device."""
        return torch.cat([
            predict(self.subject.model, self.subject.normalise(images), len(images))
            for images in self.stimuli.batches(perturbation)
        ])  # fmt: skip

    @cached_property
    def whole(self) -> Tensor:
        """Logits (n, N) of the images as they are."""
        return self.logits(None)

    def clean(self) -> Cell:
        """The images as they are."""
        return self._cell(ORIGINAL, 0, [self.whole])

    def cell(self, perturbation: Perturbation, variants: int) -> Cell:
        """One operation at one level, averaged over its variants; one is enough where nothing is drawn."""
        draws = range(variants if LEVELS[perturbation.name].random else 1)
        answers = [self.logits(replace(perturbation, variant=draw)) for draw in draws]
        return self._cell(perturbation.name, perturbation.level, answers)

    def _cell(self, name: str, level: float, answers: list[Tensor]) -> Cell:
        logits = torch.stack(answers)
        right = (logits.argmax(2) == self.labels).double().mean(0)
        index = self.labels[None, :, None].expand(len(logits), -1, 1)
        probability = logits.double().softmax(2).gather(2, index)[..., 0].mean(0)
        return Cell(name, level, self._mean(right), self._mean(probability), right)

    def interaction(self, side: int, fill: str) -> Interaction:
        """What masking patches costs the true class's logit, one at a time and all at once."""
        height, width = self.stimuli.images.shape[2:]
        patches = len(patch_masks(height, width, side, "checker"))
        singles = [Perturbation(f"mask_single_{fill}", side, variant, self.run.seed) for variant in range(patches)]
        every = Perturbation(f"mask_checker_{fill}", side, 0, self.run.seed)
        return interaction(
            self._true(self.whole), torch.stack([self._true(self.logits(single)) for single in singles], 1),
            self._true(self.logits(every)), masked_area(height, width, side), self.weights,
        )  # fmt: skip

    def _true(self, logits: Tensor) -> Tensor:
        return logits.gather(1, self.labels[:, None])[:, 0]

    def _mean(self, values: Tensor) -> Estimate:
        values = values.cpu()
        return estimate(Resampled(float(values.mean()), self.weights @ values), n=len(values), unit="images")


def at_strongest(
    images: ImageSet, sweeps: Sequence[Sweep], count: int, seed: int, region: Region = "all"
) -> tuple[Tensor, tuple[str, ...]]:
    """The first images as they are and under each operation's last level: uint8 (rows, count, C, H, W), and names."""
    shown = images.select(torch.arange(min(count, len(images))))
    strongest = [Perturbation(sweep.name, sweep.levels[-1], 0, seed, region) for sweep in sweeps]
    rows = [shown.images, *(perturb(shown.images, each, shown.masks) for each in strongest)]
    return torch.stack(rows), (ORIGINAL, *(f"{each.name} {each.level:g}" for each in strongest))
