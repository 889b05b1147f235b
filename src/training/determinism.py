"""Seed, threads and precision: the one place that touches torch's global state."""

import hashlib
import random
from typing import Any

import numpy as np
import torch

from src.core.errors import UserError


def derive(*parts: Any) -> int:
    """A 63-bit seed that is a pure function of ``parts``: equal parts, equal seed, on any machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little") >> 1


def seed_everything(*parts: Any) -> int:
    """Seed Python's, numpy's and torch's global generators from ``parts``."""
    seed = derive(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return seed


def prepare(*, threads: int, seed: int) -> None:
    """Bring the process into the state every job starts from, whatever ran in it before.

    Args:
        threads: intra-op threads; results are equal to the bit only between equal numbers of threads.
        seed: of the global generators.
    """
    settle(threads)
    torch.set_grad_enabled(True)
    seed_everything("job", seed)


def settle(threads: int) -> None:
    """How this process computes: with that many threads, repeatably, and single precision in full (no TF32)."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


def device_of(name: str) -> torch.device:
    """``auto`` is the first GPU, else the CPU.

    Raises:
        UserError: there is no such GPU.
    """
    count = torch.cuda.device_count()  # starts no CUDA in this process, unlike is_available()
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= count:
        raise UserError(
            f"device={name}: this machine has {count} GPUs that torch can use; take device=auto or device=cpu"
        )
    return device
