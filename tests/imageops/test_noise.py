import torch

from src.imageops.noise import PICTURES, pictures, plasma


def test_without_noise_at_small_distances_points_are_the_mean_of_their_neighbours() -> None:
    clouds = plasma(3, 16, 1e9, torch.Generator().manual_seed(0))
    corners = clouds[:, 0, 0] + clouds[:, 0, 8] + clouds[:, 8, 0] + clouds[:, 8, 8]
    torch.testing.assert_close(clouds[:, 4, 4], corners / 4)  # middle of a square
    around = clouds[:, 0, 0] + clouds[:, 0, 8] + clouds[:, 4, 4] + clouds[:, 12, 4]  # the upper one beyond the border
    torch.testing.assert_close(clouds[:, 0, 4], around / 4)  # middle of a diamond


def test_ranges_and_roughness() -> None:
    rough, smooth = (plasma(50, 64, decay, torch.Generator().manual_seed(0)) for decay in (1.5, 3.0))
    for clouds in (rough, smooth):
        assert clouds.shape == (50, 64, 64)
        assert torch.equal(clouds.amin((1, 2)), torch.zeros(50)) and torch.equal(clouds.amax((1, 2)), torch.ones(50))
    # the amplitude of the last step is decay^-10 of the first's
    ratio = rough.diff(dim=2).abs().mean() / smooth.diff(dim=2).abs().mean()
    assert 2 < ratio < 20


def test_are_drawn_independently() -> None:
    clouds = plasma(200, 8, 2.0, torch.Generator().manual_seed(0)).flatten(1)
    assert len(clouds.unique(dim=0)) == 200


def test_colours_and_spread_are_the_photographs() -> None:
    made = pictures(256, 1.0, torch.device("cpu"))
    assert made.shape == (5, 3, 256, 256) and made.min() >= 0 and made.max() <= 255
    for picture, ice in zip(made, PICTURES, strict=True):
        torch.testing.assert_close(picture.mean((1, 2)), torch.tensor(ice.mean).float(), atol=3, rtol=0)
        torch.testing.assert_close(picture.std((1, 2)), torch.tensor(ice.std).float(), atol=3, rtol=0)


def test_are_always_the_same() -> None:
    first = pictures(64, 0.2, torch.device("cpu")).clone()
    pictures.cache_clear()
    torch.manual_seed(5)
    assert torch.equal(pictures(64, 0.2, torch.device("cpu")), first)
