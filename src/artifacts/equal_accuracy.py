"""Two networks at equal accuracy: of the better one an earlier epoch, as accurate on validation images as the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from src.artifacts.network import Trained
from src.networks.subjects import Subject, load_subject
from src.report.session import Session

NEAR = 0.005  # of the validation images: networks that are as close need no earlier epoch
EQUAL = 0.02  # of the validation images: networks that are as close count as equally accurate

Role = TypeVar("Role", bound=str)


@dataclass(frozen=True)
class Compared(Generic[Role]):
    """Two networks that are compared.

    Attributes:
        subjects: role -> network.
        accuracy: role -> share of validation images right.
        earlier: the role of the network that is compared as it was after an earlier epoch than the chosen one.
    """

    subjects: Mapping[Role, Subject]
    accuracy: Mapping[Role, float]
    earlier: Role | None


def compared(networks: Mapping[Role, Trained], session: Session, *, match: bool) -> Compared[Role]:
    """Two networks, as near in accuracy as the epochs of the better one come to the other where they are to match."""
    subjects = {role: network.subject for role, network in networks.items()}
    accuracy = {role: network.accuracy for role, network in networks.items()}
    better, epoch = matched_epoch(networks)
    if not match or epoch is None:
        earlier = None
    else:
        network, earlier = networks[better], better
        accuracy[better] = network.history[epoch]["val/accuracy"]
        subjects[better] = subject_at(network, epoch)
        session.event(
            f"match_accuracy=true: the {better} network is measured after epoch {epoch} "
            f"({accuracy[better]:.1%} of the validation images right instead of {network.accuracy:.1%}), as near as "
            "its epochs come to the other"
        )
    low, high = sorted(accuracy.values())
    if match and high - low > EQUAL:
        session.event(f"match_accuracy=true: {high - low:.1%} of the validation images remain between the networks")
    return Compared(subjects, accuracy, earlier)


def matched_epoch(networks: Mapping[Role, Trained]) -> tuple[Role, int | None]:
    """Which network is the better one, and its epoch that is as accurate as the other; None where it is the chosen one.

    By accuracy on validation images that are not transformed, among the epochs whose weights were kept.
    """
    better, worse = sorted(networks, key=lambda role: -networks[role].accuracy)
    return better, nearest_epoch(networks[better], networks[worse].accuracy)


def nearest_epoch(network: Trained, aim: float) -> int | None:
    """The epoch that comes nearest to an accuracy on validation images, of those whose weights were kept.

    None where that is the chosen epoch, or where it is near enough.
    """
    epochs = [epoch for epoch in range(len(network.history)) if _weights(network, epoch).exists()]
    if not epochs or network.accuracy - aim <= NEAR:
        return None
    nearest = min(epochs, key=lambda epoch: (abs(network.history[epoch]["val/accuracy"] - aim), -epoch))
    closer = abs(network.history[nearest]["val/accuracy"] - aim) < abs(network.accuracy - aim)
    return nearest if closer else None


def even_epochs(networks: Sequence[Trained]) -> list[int]:
    """An epoch of each of several networks, so that all are as accurate as one another on validation images.

    Of choices within ``EQUAL`` of one another it is the most accurate one, and where there is none the closest. Epochs
    count whose weights were kept and that are as accurate as a network has to be.
    """
    accuracies = [
        {network.epoch: network.accuracy} | {
            epoch: values["val/accuracy"]
            for epoch, values in enumerate(network.history)
            if values["val/accuracy"] >= network.training.minimum_accuracy and _weights(network, epoch).exists()
        }
        for network in networks
    ]  # fmt: skip

    def nearest(aim: float) -> list[int]:
        return [min(each, key=lambda epoch: (abs(each[epoch] - aim), -epoch)) for each in accuracies]

    def span(aim: float) -> float:
        reached = [each[epoch] for each, epoch in zip(accuracies, nearest(aim), strict=True)]
        return max(reached) - min(reached)

    aims = sorted({accuracy for each in accuracies for accuracy in each.values()}, reverse=True)
    return nearest(next((aim for aim in aims if span(aim) <= EQUAL), min(aims, key=span)))


def subject_at(network: Trained, epoch: int) -> Subject:
    """The network as it was after an epoch whose weights were kept, on the device of the chosen one."""
    subject = load_subject(_weights(network, epoch), [network.digest], code=True)
    subject.model.to(next(network.subject.model.parameters()).device)
    return subject


def _weights(network: Trained, epoch: int) -> Path:
    return network.folder / f"epoch_{epoch:04d}.safetensors"
