"""Networks as data: a registry gives every network a name; the networks themselves are plain ``nn.Module``s."""

from src.networks.models.registry import build

__all__ = ["build"]
