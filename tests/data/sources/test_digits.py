from __future__ import annotations

import pytest
import torch

from src.core.errors import UserError
from src.data.sources import load_source
from src.data.splits import digests


def test_all_digits_are_there_once() -> None:
    train, test = load_source("digits")
    assert len(train) + len(test) == 1797 and train.shape == (1, 8, 8)
    assert int(test.per_class.min()) >= 50 and int(train.images.max()) == 255
    assert not set(digests(train.images)) & set(digests(test.images))


def test_size_channels_and_seed() -> None:
    train, test = load_source("digits", {"size": 20, "channels": 3, "test_fraction": 0.5, "seed": 3})
    assert train.shape == (3, 20, 20) and torch.equal(train.images[:, 0], train.images[:, 2])
    assert abs(len(train) - len(test)) < 12
    assert not torch.equal(train.labels, load_source("digits", {"test_fraction": 0.5, "seed": 4}).train.labels)
    with pytest.raises(UserError, match="test_fraction"):
        load_source("digits", {"test_fraction": 1.0})
    with pytest.raises(UserError, match="channels"):
        load_source("digits", {"channels": 2})
