"""Networks as data: a registry gives every network a name; the networks themselves are plain ``nn.Module``s."""

from src.models import maxout, rescnn, simcnn, vgg, vgg19  # noqa: F401  (importing them registers their names)
from src.models.registry import build, names, register

__all__ = ["build", "names", "register"]
