"""The smallest networks of the registry, as architectures and as subjects."""

from __future__ import annotations

from typing import Any

import torch

from src.networks.models import build
from src.networks.subjects import Subject
from tests.fakes.data import CLASSES, SIZE

SHAPE = (3, SIZE, SIZE)
#: Two 5x5 convolutions and a dropout before the linear layer.
ARCHITECTURE: dict[str, Any] = {
    "name": "simcnn_svhn_weak",
    "classes": len(CLASSES),
    "input_shape": list(SHAPE),
    "width": 0.5,
    "pools": [],
    "dropout": 0.3,
}


def subject(seed: int = 0, *, classes: int = 3, batch_norm: bool = False, std: float = 0.25) -> Subject:
    """A network with random weights and batch-norm statistics; another seed or std is another one."""
    torch.manual_seed(seed)
    architecture = {**ARCHITECTURE, "classes": classes, "batch_norm": batch_norm}
    model = build(architecture).eval()
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0.0, 0.3)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    names = tuple(f"class {number}" for number in range(classes))
    return Subject(model, architecture, names, (0.5, 0.4, 0.3), (std, std + 0.05, std), lineage=(f"digest{seed}",))


def images(count: int = 6, seed: int = 0) -> torch.Tensor:
    """uint8 (count, 3, 12, 12)."""
    return torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
