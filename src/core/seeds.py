"""Random streams named by what they are for, so that no two uses of one seed share numbers."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

_STEP = -0x61C8864680B583EB  # 2^64 over the golden ratio, as a signed number


@contextmanager
def generators_restored() -> Iterator[None]:
    """While open, the global generators of the CPU may draw; afterwards they are as they were."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def stream(*key: int | str) -> torch.Generator:
    """A CPU generator that is a pure function of its key, e.g. ``stream(seed, "crop", epoch, step)``.

    Always on the CPU, so that the numbers do not depend on the device that uses them.
    """
    generator = torch.Generator(device="cpu")
    generator.manual_seed(_seed(key))
    return generator


def _seed(key: tuple[int | str, ...]) -> int:
    """63 bits."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big") >> 1


def drawn(numbers: Tensor, count: int, *key: int | str) -> Tensor:
    """Random int64 (n, count), all 64 bits of them; row i is a pure function of the key and of number i.

    A counter that is mixed (SplitMix64: Steele et al., OOPSLA 2014), in whole numbers: a batch is drawn at once where
    its numbers are, and neither the batch nor the device changes a row.

    Args:
        numbers: int64 (n,), e.g. of images within their set.
    """
    rows = _mixed(_seed(key) + _STEP * (numbers + 1))
    return _mixed(rows[:, None] + _STEP * torch.arange(1, count + 1, device=numbers.device))


def uniform(numbers: Tensor, count: int, *key: int | str) -> Tensor:
    """float32 (n, count) of 0..1, without 1, drawn as by :func:`drawn`."""
    return _shifted(drawn(numbers, count, *key), 40).float().div_(2**24)


def _mixed(values: Tensor) -> Tensor:
    values = (values ^ _shifted(values, 30)).mul_(-0x40A7B892E31B1A47)
    values.bitwise_xor_(_shifted(values, 27)).mul_(-0x6B2FB644ECCEEE15)
    return values.bitwise_xor_(_shifted(values, 31))


def _shifted(values: Tensor, bits: int) -> Tensor:
    """To the right, and zeros from the left."""
    return (values >> bits).bitwise_and_((1 << (64 - bits)) - 1)
