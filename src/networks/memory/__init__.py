"""How much memory a training needs, before it runs; and what to do where that does not fit.

>>> training = Training({"name": "vgg", "classes": 10, "input_shape": [3, 32, 32]}, batch=128)
>>> trace(training).peak + calibrate()["constant"], measure(training), plan(training, budget("auto"))
"""

from src.networks.memory.budget import budget
from src.networks.memory.measurement import calibrate, measure
from src.networks.memory.planning import MEASURES, Plan, plan
from src.networks.memory.tracing import trace
from src.networks.memory.training import PRECISIONS, Training, can_recompute

__all__ = ["MEASURES", "PRECISIONS", "Plan", "Training", "budget", "calibrate", "can_recompute", "measure", "plan",
           "trace"]  # fmt: skip
