"""What a network computes inside and answers: captured activations, layers by pattern, batched prediction."""

from src.networks.activations.capture import capture, evaluating, predict
from src.networks.activations.layers import Layer, choose, layers_of
from src.networks.activations.recording import recording

__all__ = ["Layer", "capture", "choose", "evaluating", "layers_of", "predict", "recording"]
