"""Random numbers as a pure function of what they are for, so that a resumed search draws what it would have drawn."""

from __future__ import annotations

import hashlib

import torch


def stream(*key: int | str) -> torch.Generator:
    """A CPU generator that depends on its key alone, e.g. ``stream(seed, "mutation", generation, class_index)``."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
