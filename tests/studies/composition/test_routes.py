"""Single images: which are drawn, and where their routes go wrong."""

from __future__ import annotations

import torch

from src.core.result import Result
from src.data.image_set import ImageSet
from src.studies.composition.panels import route_panels
from src.studies.composition.routes import Mistake, drawn, mistake_of, routes_of
from tests.fakes.study import pictures
from tests.methods.hierarchy.trees import TWO

CAT, CAR, DOG, BUS, OWL = range(5)


def test_the_first_wrong_decision_is_the_mistake():
    assert mistake_of(TWO, DOG, ["animals", "dog"]) is None
    assert mistake_of(TWO, DOG, ["animals", "cat"]) == Mistake("dog", "cat", by_expert=True)
    assert mistake_of(TWO, DOG, ["vehicles", "car"]) == Mistake("animals", "vehicles", by_expert=False)


def test_half_of_the_images_are_misjudged_ones_where_there_are_as_many():
    wrong = torch.arange(20) % 4 == 0
    shown = drawn(wrong, 8, seed=0)
    assert wrong[shown].tolist() == [True] * 4 + [False] * 4 and len(set(shown.tolist())) == 8
    assert torch.equal(shown, drawn(wrong, 8, seed=0)) and not torch.equal(shown, drawn(wrong, 8, seed=1))
    few = torch.arange(20) == 3
    assert few[drawn(few, 8, seed=0)].tolist() == [True] + [False] * 7


def test_routes_and_their_table():
    images = ImageSet(pictures(2), torch.tensor([DOG, BUS]), TWO.classes)
    root, animals, vehicles = torch.tensor([[4.0, 0], [4, 0]]), torch.tensor([[0.0, 4, 0]] * 2), torch.zeros(2, 2)
    routed = routes_of(TWO, [root, animals, vehicles], torch.tensor([DOG, CAR]), images, count=4, seed=0)
    by_label = {route.true: route for route in routed.routes}
    assert by_label["bus"].mistake == Mistake("vehicles", "animals", by_expert=False)
    assert by_label["bus"].predicted == "car" and by_label["dog"].mistake is None
    assert [step.child for step in by_label["dog"].steps] == ["animals", "dog"]
    result = Result("compose", "n")
    result.add(*route_panels(routed))
    assert result.tables["routes"]["true"] == ["bus", "dog"], "the misjudged one first"
    assert result.tables["routes"]["error"] == ["router: vehicles taken for animals", ""]
    assert result.tables["routes"]["greedy_route"][1] == "animals 98% > dog 96%"
    assert torch.equal(routed.images, images.images[[1, 0]])
