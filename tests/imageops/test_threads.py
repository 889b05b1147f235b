from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from src.imageops.threads import in_threads
from src.robustness.corruptions import corrupt

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_parts_come_in_order_from_threads_that_share_nothing() -> None:
    torch.set_num_threads(3)
    both = threading.Barrier(2, timeout=20)

    def work(part: int) -> torch.Tensor:
        if part < 2:
            both.wait()  # two parts are under way at once, or this fails
        return torch.tensor([part, torch.get_num_threads()])

    found = in_threads(work, 5, CPU)
    assert [part.tolist() for part in found] == [[number, 1] for number in range(5)]
    assert torch.get_num_threads() == 3


def test_one_thread_is_this_one() -> None:
    torch.set_num_threads(1)
    own = threading.get_ident()
    found = in_threads(lambda part: torch.tensor(threading.get_ident() == own), 2, CPU)
    assert [bool(same) for same in found] == [True, True]


@pytest.mark.parametrize("name", ["zoom_blur", "spatter", "jpeg_compression"])
def test_corruptions_have_the_same_bits_for_any_number_of_threads(name: str) -> None:
    images = torch.randint(0, 256, (20, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.set_num_threads(1)
    alone = corrupt(images, name, 3)
    torch.set_num_threads(2)
    with torch.inference_mode():
        assert torch.equal(corrupt(images, name, 3), alone)
    assert torch.equal(corrupt(images, name, 3), alone)


def test_an_error_in_a_part_is_raised() -> None:
    torch.set_num_threads(2)
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda part: torch.tensor(1 / part), 2, CPU)
    assert torch.get_num_threads() == 2
