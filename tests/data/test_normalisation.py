from __future__ import annotations

from typing import Any

import pytest
import torch

from src.core.errors import UserError
from src.data.augment import global_contrast
from src.data.normalisation import statistics

IMAGES = torch.randint(0, 256, (10, 3, 4, 4), dtype=torch.uint8)


def test_measured_published_and_given() -> None:
    mean, _ = statistics("train", IMAGES)
    torch.testing.assert_close(torch.tensor(mean), (IMAGES.float() / 255).mean((0, 2, 3)))
    assert statistics("imagenet", IMAGES) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert statistics("mnist", IMAGES) == ([0.1307] * 3, [0.3081] * 3)
    assert statistics({"mean": 0.5, "std": [0.1, 0.2, 0.3]}, IMAGES) == ([0.5] * 3, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("imagnet", "did you mean 'imagenet'"),
        ({"mean": [0.5]}, "expected mean and std"),
        ({"mean": [0.5, 0.5], "std": [1, 1]}, "the images have 3"),
        ({"mean": 0.5, "std": 0}, "positive"),
    ],
)
def test_what_is_wrong_is_named(wanted: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        statistics(wanted, IMAGES)


def test_statistics_after_contrast_normalisation() -> None:
    mean, std = statistics("train", IMAGES, "global")
    values = global_contrast(IMAGES)
    torch.testing.assert_close(torch.tensor(mean), values.mean((0, 2, 3)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(torch.tensor(std), values.std((0, 2, 3), correction=0))
    assert statistics("none", IMAGES, "global") == ([0.0] * 3, [1.0] * 3)
    with pytest.raises(UserError, match=r"data\.normalisation=imagenet: was measured without data\.contrast=global"):
        statistics("imagenet", IMAGES, "global")
