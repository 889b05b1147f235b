from __future__ import annotations

import pytest
import torch

from src.imageops.transformations import interpolation_error, transformation_set
from tests.imageops.transformations.conftest import COMPOSED, MIXED, random_images, title


@pytest.mark.parametrize("options", [{"family": "rotation", "count": 16}, COMPOSED, MIXED], ids=title)
def test_is_the_root_mean_square_one_image_at_a_time(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, made = random_images(3, 21, 21), transformation_set(options)
    where = made.valid(21, 21)
    expected = []
    for member in range(len(made)):
        back = [made.undo(made(image[None], [member]), [member])[0, 0] for image in images]
        differences = torch.stack(back)[..., where] - images[..., where]
        expected.append(differences.square().mean().sqrt())
    found = interpolation_error(made, images)
    torch.testing.assert_close(found, torch.stack(expected))
    monkeypatch.setattr("src.imageops.threads.CACHED", 1)
    torch.testing.assert_close(interpolation_error(made, images), found)


def test_is_nothing_for_exact_members_and_smooth_images_have_less() -> None:
    rough, turns = random_images(2, 32, 32), transformation_set({"family": "rotation", "count": 16})
    smooth = transformation_set({"family": "blur", "low": 2, "high": 2, "count": 2})(rough)[:, 0]
    errors, less = interpolation_error(turns, rough), interpolation_error(turns, smooth)
    exact = torch.arange(16) % 4 == 0
    assert not errors[exact].any() and (errors[~exact] > 0.1).all()
    assert (less[~exact] < errors[~exact] / 10).all() and not interpolation_error(
        transformation_set({"family": "flips"}), rough
    ).any()
    assert errors.dtype == torch.float64 and errors.shape == (16,)
