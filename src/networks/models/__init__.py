"""Networks as data: a registry gives every network a name; the networks themselves are plain ``nn.Module``s."""

from src.networks.models.registry import build, names

__all__ = ["build", "names"]
