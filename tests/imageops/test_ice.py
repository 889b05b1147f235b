import torch

from src.imageops.ice import PICTURES, pictures


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
