"""Scores as probabilities, and how good probabilities are."""

from src.statistics.calibration.platt import Platt, fit_platt
from src.statistics.calibration.reliability import ece, micro_auc, reliability
from src.statistics.calibration.scores import per_image
from src.statistics.calibration.temperature import fit_temperature
from src.statistics.calibration.weighting import class_weights

__all__ = [
    "Platt",
    "class_weights",
    "ece",
    "fit_platt",
    "fit_temperature",
    "micro_auc",
    "per_image",
    "reliability",
]
