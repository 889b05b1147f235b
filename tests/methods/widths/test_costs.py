import pytest

from src.methods.widths.costs import multiply_adds, training_expense
from src.methods.widths.variants import find
from src.networks.cost import cost
from src.networks.models import build


@pytest.mark.parametrize("which", ["baseline", 0, 192])
@pytest.mark.parametrize("size", [16, 32])
def test_multiply_adds_are_those_of_the_network(which, size):
    widths = find(which, features=0.125).widths
    network = build({"name": "vgg", "widths": list(widths), "classes": 10, "input_shape": [3, size, size]})
    assert multiply_adds(widths, 16, size) == cost(network, (3, size, size)).macs


def recipe(variant, **more):
    return {
        "variant": variant, "depth": 16, "features": 0.125, "integration": "paper",
        "data": {"source": {"size": None}, "batch_size": 32}, "training": {"epochs": 3}, **more,
    }  # fmt: skip


def test_early_features_take_longest_and_epochs_count():
    expenses = [training_expense(recipe(variant)) for variant in (0, 96, 192)]
    assert expenses == sorted(expenses, reverse=True)
    assert training_expense(recipe(0, training={"epochs": 6})) == 2 * expenses[0]
