"""How much every activation of a network changes when its input is transformed.

>>> rotations = transformation_set({"family": "rotation", "degrees": 360, "count": 16, "corners": "fill", "fill": 0.0})
>>> measured = variances(Examination(model, images, rotations, prepare=normalise), labels)
>>> measured.over_layers(), [(each.layer.name, each.ratio.mean) for each in measured.layers]
"""

from src.imageops.transformations import transformation_set
from src.methods.invariance.anova import anova
from src.methods.invariance.distance import distances
from src.methods.invariance.firing import firing
from src.methods.invariance.passes import Examination, Setup
from src.methods.invariance.variance import variances

__all__ = ["Examination", "Setup", "anova", "distances", "firing", "transformation_set", "variances"]
