"""Images with labels, as a page shows them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from src.artifacts.opening import LINE, PICTURED, sheet


@pytest.mark.parametrize(
    ("count", "together", "shown", "columns"),
    [(5, 1, 5, 5), (24, 2, 24, LINE - 1), (24, 4, 24, 8), (30, 12, 30, 12), (100, 1, PICTURED, LINE)],
)
def test_lines_end_between_groups(count: int, together: int, shown: int, columns: int) -> None:
    images = torch.zeros(count, 3, 8, 8, dtype=torch.uint8)
    panel = sheet("some", images, [str(number) for number in range(count)], "Some", together=together)
    (figure,) = panel.figures
    assert (len(figure.labels), figure.columns) == (shown, columns)
    assert isinstance(panel.rows, np.ndarray)
    height, width, _ = panel.rows.shape
    lines = -(-shown // columns)
    assert height % lines == width % columns == 0 and height // lines == width // columns  # square tiles, none cut off
