"""Several networks on the same corrupted images: each image is corrupted once, seen by all, and never kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.result import Result, load, rows
from src.data.image_set import ImageSet
from src.data.ranks import rank_within_class
from src.methods.robustness.corruptions import NAMES, SEVERITIES, corrupted
from src.networks.activations import evaluating
from src.networks.subjects import Subject
from src.statistics.calibration import micro_auc, per_image

if TYPE_CHECKING:
    from src.report.session import Session

Predictor = Callable[[Tensor], Tensor]  # uint8 images (n, C, H, W) -> log-probabilities (n, N), on any device
Reader = Callable[[str, int], Iterable[Tensor]]  # corruption, severity -> batches of all images, uint8

CELLS = "corrupted"  # the table with one row per network, corruption and severity


@dataclass(frozen=True)
class Shifted:
    """What M networks answered on n images, clean and under C corruptions of S severities.

    Attributes:
        clean: score (see :func:`src.statistics.calibration.per_image`) -> float32 (M, n).
        scores: score -> float32 (M, C, S, n).
        clean_auc, auc: float64 (M,) and (M, C, S), micro-averaged over the classes.
    """

    networks: tuple[str, ...]
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    clean: dict[str, Tensor]
    scores: dict[str, Tensor]
    clean_auc: Tensor
    auc: Tensor

    @property
    def images(self) -> int:
        return self.scores["correct"].shape[-1]

    def reference(self, network: str) -> Reference:
        """One of its networks as the one that errors are divided by."""
        row = self.networks.index(network)
        return Reference(network, 1 - self.scores["correct"][row].double(), 1 - self.clean["correct"][row].double())


@dataclass(frozen=True)
class Reference:
    """A network that errors are divided by.

    Attributes:
        errors: float64 (C, S, n) of each image where it saw the same ones, else (C, S, 1): shares of other images.
        clean: float64 (n,) or (1,).
    """

    name: str
    errors: Tensor
    clean: Tensor


def predictor(subject: Subject, temperature: float = 1.0) -> Predictor:
    """The subject's answers to raw images as log-probabilities, float64, its logits divided by ``temperature``."""
    device = next(subject.model.parameters()).device

    @torch.inference_mode()
    def answer(images: Tensor) -> Tensor:
        with evaluating(subject.model):
            logits = subject.model(subject.normalise(images).to(device))
        return (logits.double() / temperature).log_softmax(1)

    return answer


def in_batches(predict: Predictor, images: Tensor, batch: int) -> Tensor:
    """Log-probabilities (n, N) of all images, on the CPU."""
    return torch.cat([predict(part).cpu() for part in images.split(batch)])


def under_corruption(
    predictors: Mapping[str, Predictor],
    images: Tensor,
    labels: Tensor,
    *,
    corruptions: str | Sequence[str] = "all",
    severities: Sequence[int] = SEVERITIES,
    seed: int,
    batch: int,
    session: Session,
    device: torch.device | str = "cpu",
    read: Reader | None = None,
) -> Shifted:
    """Measure every network on the clean images and on each corruption and severity.

    Args:
        predictors: by name, in the order of the tables.
        images: uint8 (n, C, H, W). labels: int64 (n,).
        corruptions: names, or ``all``.
        seed: of the corruptions.
        batch: images corrupted and predicted at once; it is part of the random numbers.
        device: where images are corrupted.
        read: gives the corrupted images instead, where they are published as files.

    Raises:
        UserError: an unknown corruption or severity, or none.
    """
    chosen, degrees = checked(corruptions, severities)
    names, count = tuple(predictors), len(images)
    shape = (len(names), len(chosen), len(degrees))

    def measured(batches: Iterable[Tensor]) -> list[tuple[dict[str, Tensor], float]]:
        """Per network the scores of all images, and the AUC."""
        answers: dict[str, list[Tensor]] = {name: [] for name in names}
        for part in batches:
            seen = part.to(device)
            for name, predict in predictors.items():
                answers[name].append(predict(seen).cpu())
        whole = {name: torch.cat(parts) for name, parts in answers.items()}
        return [(per_image(found, labels), float(micro_auc(found.exp(), labels))) for found in whole.values()]

    def batches(name: str, severity: int) -> Iterable[Tensor]:
        if read is not None:
            return read(name, severity)
        return corrupted(own, name, severity, seed=seed, batch=batch)

    own = images.to(device)
    with session.stage("corruptions", 1 + len(chosen) * len(degrees)) as advance:
        plain = measured(own.split(batch))
        advance()
        kept = list(plain[0][0])
        clean = {score: torch.stack([found[score].float() for found, _ in plain]) for score in kept}
        scores = {score: torch.empty(*shape, count) for score in kept}
        auc = torch.empty(shape, dtype=torch.float64)
        for c, name in enumerate(chosen):
            for s, severity in enumerate(degrees):
                for m, (found, area) in enumerate(measured(batches(name, severity))):
                    auc[m, c, s] = area
                    for score in kept:
                        scores[score][m, c, s] = found[score].float()
                advance()
    return Shifted(names, chosen, degrees, clean, scores, torch.tensor([area for _, area in plain]).double(), auc)


def chosen_images(images: ImageSet, count: int | None) -> Tensor:
    """Positions of ``count`` images, ascending: the first of each class in turn, for sets come sorted; None: all."""
    if count is None or count >= len(images):
        return torch.arange(len(images))
    order = (rank_within_class(images.labels) * len(images.classes) + images.labels).argsort(stable=True)
    return order[:count].sort().values


def checked(corruptions: str | Sequence[str], severities: Sequence[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The corruptions and severities that a configuration names.

    Raises:
        UserError: one that does not exist, one twice, or none.
    """
    chosen = (
        tuple(NAMES) if corruptions == "all" else tuple([corruptions] if isinstance(corruptions, str) else corruptions)
    )
    for name in chosen:
        if name not in NAMES:
            raise UserError(f"corruptions: no '{name}'; {suggestion(str(name), NAMES)}; all takes all {len(NAMES)}")
    degrees = tuple(severities)
    if set(degrees) - set(SEVERITIES) or not degrees or len(set(degrees)) < len(degrees):
        raise UserError(f"severities={list(degrees)}: allowed are different ones of {', '.join(map(str, SEVERITIES))}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise UserError(f"corruptions={list(chosen)}: name at least one, and each only once; or all")
    return chosen, degrees


def read_reference(folder: Path, corruptions: Sequence[str], severities: Sequence[int]) -> Reference:
    """The first network of another result, where the same corruptions and severities were measured.

    Raises:
        UserError: no such result, or it lacks one of them.
    """
    try:
        found: Result = load(folder)
    except (OSError, ValueError) as error:
        raise UserError(
            f"study.reference={folder}: no result can be read there ({' '.join(str(error).split())[:150]})"
        ) from None
    if CELLS not in found.tables:
        raise UserError(
            f"study.reference={folder}: its result has no table '{CELLS}'; name that of a study of robustness"
        )
    cells: dict[tuple[Any, Any], float] = {}
    own = rows(found.tables[CELLS])
    for row in own:
        if row["network"] == own[0]["network"]:
            cells[row["corruption"], row["severity"]] = 1 - row["accuracy"]
    wanted = [(name, severity) for name in corruptions for severity in severities]
    missing = next((cell for cell in [("none", 0), *wanted] if cell not in cells), None)
    if missing:
        raise UserError(
            f"study.reference={folder}: has no {missing[0]} of severity {missing[1]}; measure it with the same study"
        )
    errors = torch.tensor([cells[cell] for cell in wanted], dtype=torch.float64)
    clean = torch.tensor([cells["none", 0]], dtype=torch.float64)
    return Reference(found.name, errors.view(len(corruptions), len(severities), 1), clean)
