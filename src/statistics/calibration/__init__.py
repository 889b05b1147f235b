"""Scores as probabilities, and how good probabilities are."""

from src.statistics.calibration.scaling import Platt, class_weights, fit_platt, fit_temperature
from src.statistics.calibration.scores import ece, micro_auc, per_image, reliability

__all__ = ["Platt", "class_weights", "ece", "fit_platt", "fit_temperature", "micro_auc", "per_image", "reliability"]
