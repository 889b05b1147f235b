"""Maps as pictures: which ones, of which image."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from src.data.image_set import ImageSet
from src.imageops.transformations import transformation_set
from src.studies.invariance.maps import maps_of_an_image
from tests.fakes.networks import images, subject
from tests.studies.invariance.given import COUNT, TURNS, measured_images, studied


class Reusing(nn.Module):
    """A rectifier that is called twice, and a sum that is no module."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.out = nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        x = x + self.relu(self.second(x))
        return torch.as_tensor(self.out(x.mean((2, 3))))


def test_maps_of_functions_and_of_second_calls_are_those_named() -> None:
    own = replace(subject(), model=Reusing().eval())
    moves = transformation_set(TURNS)
    ranked = [("relu#2", 1, 0.1), ("add", 2, 0.2), ("first", 0, 0.3)]
    moved, maps = maps_of_an_image(own, images(1)[0], moves, [0, 3], ranked)
    network = own.model
    assert isinstance(network, Reusing)
    with torch.no_grad():
        first = network.first(own.normalise_values(moved))
        second = network.second(first.relu()).relu()
    expected = [second[:, 1], (first.relu() + second)[:, 2], first[:, 0]]
    for shown, value in zip(maps, expected, strict=True):
        assert torch.allclose(shown, value, atol=1e-6)
    assert set(studied(network=own, untrained=False).images) == {"units_1", "maps_least", "maps_most"}


def test_the_image_that_is_shown_is_one_that_moves_the_maps() -> None:
    raw = torch.full_like(images(COUNT), 100)
    raw[COUNT - 1] = images(1)[0]
    test = ImageSet(raw, measured_images().labels, subject().classes)
    result = studied(test=test, untrained=False, permutations=0)
    captions = [figure.caption for figure in result.figures if figure.table == "maps_most"]
    assert f"an image of 'class {int(test.labels[COUNT - 1])}'" in captions[0]
    assert len(set(result.images["maps_most"].flatten().tolist())) > 20
