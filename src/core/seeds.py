"""Random streams named by what they are for, so that no two uses of one seed share numbers."""

import hashlib

import torch


def stream(*key: int | str) -> torch.Generator:
    """A CPU generator that is a pure function of its key, e.g. ``stream(seed, "crop", epoch, step)``.

    Always on the CPU, so that the numbers do not depend on the device that uses them.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    generator = torch.Generator(device="cpu")
    generator.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return generator
