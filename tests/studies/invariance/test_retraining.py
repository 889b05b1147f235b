"""What is trained again, and what is shown of it."""

from __future__ import annotations

from src.core.estimate import Estimate
from src.core.result import table_of
from src.networks.models import build
from src.studies.invariance.retraining import Retrained, Retraining, retraining_panel, schemes

SCHEMES = ["c1", "c2", "c3", "c4", "c5", "fc1", "fc2", "all convolutions", "all linear", "all"]


def test_schemes_are_named_in_the_order_of_the_network() -> None:
    model = build({"name": "simple_conv", "width": 0.0625, "classes": 3, "input_shape": [1, 16, 16]})
    each = schemes(model, "each")
    assert list(each) == SCHEMES and each["c3"] == ["c3"] and each["all"] is None
    assert each["all linear"] == ["fc1", "fc2"]
    assert list(schemes(model, "kind")) == SCHEMES[-3:]


def test_a_scheme_has_a_row_of_each_kind_of_images() -> None:
    share = Estimate(0.5, 0.4, 0.6, 10, "images")
    networks = (Retrained("none", share, share), Retrained("all", None, Estimate(0.7)))
    table = table_of(retraining_panel(Retraining(networks, epochs=3, images=10, trained=())).rows)
    assert table["retrained"] == ["none", "none", "all"]
    assert table["images"] == ["as they are", "transformed", "transformed"]
    assert table["accuracy"] == [0.5, 0.5, 0.7] and table["accuracy_low"][:2] == [0.4, 0.4]
