"""Several networks on the same corrupted images: each image is corrupted once, seen by all, and never kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.result import Result, load, rows
from src.core.shown import Shown
from src.methods.robustness.corruptions import NAMES, SEVERITIES, corrupted
from src.networks.activations import evaluating
from src.networks.subjects import Subject
from src.statistics.calibration import micro_auc, per_image
from src.studies.robustness.options import check_shift

if TYPE_CHECKING:
    from src.report.session import Session

Predictor = Callable[[Tensor], Tensor]  # uint8 images (n, C, H, W) -> log-probabilities (n, N), on any device
Reader = Callable[[str, int], Iterable[Tensor]]  # corruption, severity -> batches of all images, uint8

CELLS = "corrupted"  # the table with one row per network, corruption and severity


@dataclass(frozen=True)
class Shifted(Shown):
    """What M networks answered on n images, clean and under C corruptions of S severities.

    Attributes:
        clean: score (see :func:`src.statistics.calibration.per_image`) -> float32 (M, n).
        scores: score -> float32 (M, C, S, n).
        clean_auc, auc: float32 (M,) and float64 (M, C, S), micro-averaged over the classes.
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

    def reference(self, network: str) -> "Reference":
        """One of its networks as the one that errors are divided by."""
        row = self.networks.index(network)
        return Reference(network, 1 - self.scores["correct"][row].double(), 1 - self.clean["correct"][row].double())


@dataclass(frozen=True)
class Reference(Shown):
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
    session: "Session",
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
        UserError: an unknown corruption, none, or one of them twice.
    """
    chosen, degrees = checked(corruptions, severities)
    names = tuple(predictors)
    on_device = images.to(device) if read is None else images  # which may be files: they are decoded batch by batch

    def measured(batches: Iterable[Tensor]) -> tuple[dict[str, Tensor], list[float]]:
        """Of all networks the scores float32 (M, n) of all images, and the AUC."""
        answers: dict[str, list[Tensor]] = {name: [] for name in names}
        for part in batches:
            seen = part.to(device)
            for name, predict in predictors.items():
                answers[name].append(predict(seen).cpu())
        logs = [torch.cat(answers[name]) for name in names]
        scores = [per_image(each, labels) for each in logs]
        stacked = {score: torch.stack([each[score].float() for each in scores]) for score in scores[0]}
        return stacked, [micro_auc(each.exp(), labels) for each in logs]

    def batches(name: str, severity: int) -> Iterable[Tensor]:
        if read is not None:
            return read(name, severity)
        return corrupted(on_device, name, severity, seed=seed, batch=batch)

    shape = (len(names), len(chosen), len(degrees))
    with session.stage("corruptions", 1 + len(chosen) * len(degrees)) as advance:
        clean, clean_areas = measured(on_device.split(batch))
        advance()
        scores = {score: torch.empty(*shape, len(images)) for score in clean}
        auc = torch.empty(shape, dtype=torch.float64)
        for c, name in enumerate(chosen):
            for s, severity in enumerate(degrees):
                cell, areas = measured(batches(name, severity))
                auc[:, c, s] = torch.tensor(areas, dtype=torch.float64)
                for score, values in cell.items():
                    scores[score][:, c, s] = values
                advance()
    return Shifted(names, chosen, degrees, clean, scores, torch.tensor(clean_areas), auc)


def checked(corruptions: str | Sequence[str], severities: Sequence[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The corruptions and severities that a configuration names: what its types cannot say.

    Raises:
        UserError: a corruption that does not exist or none, or one of them twice.
    """
    chosen, degrees = tuple(NAMES) if corruptions == "all" else tuple(corruptions), tuple(severities)
    check_shift(chosen, degrees)
    return chosen, degrees


def read_reference(folder: Path, corruptions: Sequence[str], severities: Sequence[int]) -> Reference:
    """The first network of another result, where the same corruptions and severities were measured.

    Raises:
        UserError: no such result, or it lacks one of them.
    """
    try:
        result: Result = load(folder)
    except (OSError, ValueError) as error:
        raise UserError(
            f"study.reference={folder}: no result can be read there ({' '.join(str(error).split())[:150]})"
        ) from None
    if CELLS not in result.tables:
        raise UserError(
            f"study.reference={folder}: its result has no table '{CELLS}'; name that of a study of robustness"
        )
    cells: dict[tuple[Any, Any], float] = {}
    records = rows(result.tables[CELLS])
    for row in records:
        if row["network"] == records[0]["network"]:
            cells[row["corruption"], row["severity"]] = 1 - row["accuracy"]
    wanted = [(name, severity) for name in corruptions for severity in severities]
    missing = next((cell for cell in [("none", 0), *wanted] if cell not in cells), None)
    if missing:
        raise UserError(
            f"study.reference={folder}: has no {missing[0]} of severity {missing[1]}; measure it with the same study"
        )
    errors = torch.tensor([cells[cell] for cell in wanted], dtype=torch.float64)
    clean = torch.tensor([cells["none", 0]], dtype=torch.float64)
    return Reference(result.name, errors.view(len(corruptions), len(severities), 1), clean)
