from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from src.imageops.threads import in_threads
from src.methods.robustness.corruptions import corrupt

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_parts_are_worked_on_side_by_side_each_by_one_thread() -> None:
    torch.set_num_threads(3)
    both = threading.Barrier(2, timeout=20)

    found = torch.zeros(5, 2)

    def work(part: int) -> None:
        if part < 2:
            both.wait()  # two parts are under way at once, or this fails
        found[part] = torch.tensor([part, torch.get_num_threads()])
        assert not torch.is_grad_enabled()

    in_threads(work, 5, CPU)
    assert found.tolist() == [[number, 1] for number in range(5)]
    assert torch.get_num_threads() == 3


def test_one_thread_is_this_one() -> None:
    torch.set_num_threads(1)
    seen: list[int] = []
    in_threads(lambda part: seen.append(threading.get_ident()), 2, CPU)
    assert seen == [threading.get_ident()] * 2


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
        in_threads(lambda part: print(1 / part), 2, CPU)
    assert torch.get_num_threads() == 2
