"""Scores as probabilities, and how good probabilities are."""

from src.statistics.calibration.platt import Platt, class_weights, fit_platt
from src.statistics.calibration.reliability import ece, micro_auc, reliability
from src.statistics.calibration.scores import per_image
from src.statistics.calibration.temperature import fit_temperature

__all__ = ["Platt", "class_weights", "ece", "fit_platt", "fit_temperature", "micro_auc", "per_image", "reliability"]
