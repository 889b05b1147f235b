"""How much memory a training needs, before it runs; and what to do where that does not fit.

>>> training = Training({"name": "vgg", "classes": 10, "input_shape": [3, 32, 32]}, batch=128)
>>> predict(training, calibrate()).total, measure(training), probe(training).total, plan(training, budget())
"""

from src.networks.memory.budget import budget, given_budget
from src.networks.memory.measurement import MeasurementError, measure
from src.networks.memory.planning import MEASURES, Plan, plan
from src.networks.memory.prediction import Calibration, Prediction, calibrate, predict
from src.networks.memory.probing import Probe, probe
from src.networks.memory.training import PRECISIONS, Training

__all__ = [
    "MEASURES",
    "PRECISIONS",
    "Calibration",
    "MeasurementError",
    "Plan",
    "Prediction",
    "Probe",
    "Training",
    "budget",
    "calibrate",
    "given_budget",
    "measure",
    "plan",
    "predict",
    "probe",
]
