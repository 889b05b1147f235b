"""Seed, threads and precision: the one place that touches torch's global state."""

from __future__ import annotations

import hashlib
import random
from typing import Any, Literal

import numpy as np
import torch

from src.core.errors import UserError

Precision = Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]


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
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.set_float32_matmul_precision("highest")
    torch.set_grad_enabled(True)
    seed_everything("job", seed)


def device_of(name: str) -> torch.device:
    """``auto`` is the first GPU, else the CPU.

    Raises:
        UserError: there is no such GPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise UserError(
            f"device={name}: this machine has {count} GPUs that torch can use; take device=auto or device=cpu"
        )
    return device
