"""Everything that the study finds is drawn."""

from __future__ import annotations

import torch

from src.core.result import Result
from src.report.figures import plotly
from src.report.page import render
from src.studies.robustness.calibration import calibration, detection
from src.studies.robustness.calibration_panels import calibration_panels, detection_panels
from src.studies.robustness.corruption import corrupted_images, robustness
from src.studies.robustness.corruption_panels import corrupted_images_panels, robustness_panels
from tests.fakes.study import pictures
from tests.studies.robustness.answers import CORRUPTIONS, SEVERITIES, log_probabilities, some_shifted


def test_all_panels_are_drawn():
    shifted, labels = some_shifted(), torch.arange(40) % 3
    answers = {"small": log_probabilities(40), "large": log_probabilities(40, seed=1)}
    result = Result("measure", "n")
    for panel in (
        *calibration_panels({name: calibration(logs, labels) for name, logs in answers.items()}),
        *robustness_panels(robustness(shifted, shifted.reference("large"), resamples=20, seed=0), 3),
        *corrupted_images_panels(corrupted_images(pictures(4), CORRUPTIONS, SEVERITIES, seed=0)),
        *detection_panels(
            {name: detection(logs, logs[:7], resamples=20, seed=0) for name, logs in answers.items()}, "another set"
        ),
    ):
        result.add(panel)
    page = render(result)
    assert "could not be drawn" not in page
    assert set(result.sections) == {*result.tables, *result.images}, "everything has its section"
    assert all(figure.section for figure in result.figures)
    assert "40 test images against 7 images of another set" in result.captions["unknown_classes"]
    assert result.units_of("robustness")["mce"] == "%" and result.units_of("severities")["nll"] == "nats"
    assert 'data-key="gaussian_noise">gaussian noise<' in page, "people read words, a file has keys"
    (grid,) = (figure for figure in result.figures if figure.table == "grid_1")
    assert set(plotly(grid, result)["data"][0]["y"]) == {"gaussian noise", "brightness"}
    assert result.images["corrupted_images"].shape == (2 * 2 * 18, 6 * 2 * 18, 3)  # 2 rows, 2 x 3 columns, 16 px + gap
