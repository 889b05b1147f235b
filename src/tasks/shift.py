"""How networks fare away from what they were trained on, for any task: measure once, then add panels to a result.

shifted = under_corruption({"monolith": predictor(subject)}, images, labels, seed=0, batch=250, session=session)
add_robustness(result, shifted, shifted.reference("monolith"), resamples=2000, seed=0)
add_calibration(result, {"monolith": log_probabilities}, labels)
add_out_of_distribution(result, {"monolith": (log_probabilities, of_unknown_images)})
"""

from src.tasks.calibration_panels import add_calibration, add_out_of_distribution
from src.tasks.shifted import (
    Predictor,
    Reference,
    Shifted,
    chosen_images,
    in_batches,
    predictor,
    read_reference,
    under_corruption,
)
from src.tasks.shifted_panels import add_corruption_sheet, add_robustness

__all__ = [
    "Predictor",
    "Reference",
    "Shifted",
    "add_calibration",
    "add_corruption_sheet",
    "add_out_of_distribution",
    "add_robustness",
    "chosen_images",
    "in_batches",
    "predictor",
    "read_reference",
    "under_corruption",
]
