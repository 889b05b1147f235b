"""Which epoch of the better network is compared with the other one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from src.artifacts.equal_accuracy import compared, even_epochs, matched_epoch
from tests.fakes.networks import subject
from tests.fakes.study import FakeSession
from tests.fakes.trained import pair


@pytest.mark.parametrize(
    ("plain", "augmented", "expected"),
    [
        ([0.5, 0.7, 0.9], [0.6, 0.69], ("plain", 1)),
        ([0.5, 0.69], [0.6, 0.71, 0.68, 0.9], ("augmented", 2)),
        ([0.5, 0.71, 0.71, 0.9], [0.7], ("plain", 2)),  # the later of two
        ([0.5, 0.704], [0.6, 0.7], ("plain", None)),  # near enough
        ([0.1, 0.2, 0.9], [0.6, 0.7], ("plain", None)),  # no epoch is nearer
    ],
)
def test_the_epoch_that_is_as_accurate_as_the_other_network(
    plain: list[float], augmented: list[float], expected: tuple[str, int | None], tmp_path: Path
) -> None:
    assert matched_epoch(pair(tmp_path, plain, augmented)) == expected


def test_only_epochs_whose_weights_were_kept_can_be_chosen(tmp_path: Path) -> None:
    networks = pair(tmp_path, [0.5, 0.7, 0.72, 0.9], [0.7])
    (tmp_path / "plain" / "epoch_0001.safetensors").unlink()
    assert matched_epoch(networks) == ("plain", 2)


def test_what_is_compared_is_the_earlier_network(tmp_path: Path) -> None:
    networks = pair(tmp_path, [0.5, 0.7, 0.9], [0.6, 0.71])
    session = FakeSession()
    match = compared(networks, session, match=True)
    assert match.earlier == "plain" and match.accuracy == {"plain": 0.7, "augmented": 0.71}
    weights = {role: each.model.state_dict()["conv_0.weight"] for role, each in match.subjects.items()}
    for role, seed in {"plain": 11, "augmented": 21}.items():
        assert torch.equal(weights[role], subject(seed).model.state_dict()["conv_0.weight"]), role
    assert session.events == [
        "match_accuracy=true: the plain network is measured after epoch 1 (70.0% of the validation images right "
        "instead of 90.0%), as near as its epochs come to the other"
    ]


def test_networks_are_as_they_were_chosen_where_nothing_is_to_match(tmp_path: Path) -> None:
    networks = pair(tmp_path, [0.5, 0.7, 0.9], [0.6, 0.71])
    session = FakeSession()
    match = compared(networks, session, match=False)
    assert match.earlier is None and match.accuracy == {"plain": 0.9, "augmented": 0.71} and not session.events
    assert all(match.subjects[role] is networks[role].subject for role in networks)


@pytest.mark.parametrize(
    ("plain", "augmented", "epochs"),
    [
        ([0.5, 0.7, 0.9], [0.6, 0.71, 0.93], [1, 1]),  # the last two are further apart
        ([0.5, 0.7, 0.92], [0.6, 0.71, 0.93], [2, 2]),  # the most accurate of two choices
        ([0.5, 0.9], [0.6, 0.95], [1, 1]),  # none is near enough: the closest
        ([0.9, 0.94, 0.97], [0.93, 0.95], [1, 1]),
    ],
)
def test_several_networks_are_taken_where_they_are_alike(
    plain: list[float], augmented: list[float], epochs: list[int], tmp_path: Path
) -> None:
    assert even_epochs(list(pair(tmp_path, plain, augmented).values())) == epochs
