"""However a batch is split, computed again or replayed, the network learns the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from src.core.errors import UserError
from src.data.epoch_loader import cut
from src.networks.models import build
from src.networks.models.layout import ConvolutionalNetwork, Layout
from src.training.micro_batches import MicroBatches, check_sizes, out_of_memory

BATCH = 8
COUNT = 29  # three batches and a ragged one of five


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Net(ConvolutionalNetwork):
    """Convolutions with batch norm, two of them around an addition, and a head with batch norm and dropout."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__(Layout((4, "P", "keep", 4, "add", 5)), 3, (3, 8, 8), batch_norm=True)
        self.steps.pop()
        self._append("fc_3", nn.Linear(5 * 16, 6))
        self._append("norm_3", nn.BatchNorm1d(6))
        self._append("dropout_4", nn.Dropout(dropout))
        self._append("fc_4", nn.Linear(6, 3))


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels, reduction="sum")


def trained(
    count: int = COUNT, dropout: float = 0.0, model: nn.Module | None = None, told: list[str] | None = None, **how: Any
) -> dict[str, Tensor]:
    """The state of the network after two epochs with momentum."""
    torch.manual_seed(0)
    model = model or Net(dropout)
    batches = MicroBatches(model.train(), loss, BATCH, **how)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    images, labels = torch.randn(count, 3, 8, 8), torch.arange(count) % 3
    for _ in range(2):
        for some, answers in zip(images.split(cut(count, BATCH)), labels.split(cut(count, BATCH)), strict=True):
            optimizer.zero_grad()
            batches.accumulate(some, answers, len(some), moment="epoch 0, step 1")
            optimizer.step()
    if told is not None:
        told += batches.events
    return {**model.state_dict(), "drawn": torch.rand(1)}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-12, msg=lambda text, name=name: name + text)


def plain() -> dict[str, Tensor]:
    """The same training without any of our layers."""
    torch.manual_seed(0)
    model = Net().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    images, labels = torch.randn(COUNT, 3, 8, 8), torch.arange(COUNT) % 3
    for _ in range(2):
        for some, answers in zip(images.split(BATCH), labels.split(BATCH), strict=True):
            optimizer.zero_grad()
            (functional.cross_entropy(model(some), answers) * len(some) / BATCH).backward()
            optimizer.step()
    return {**model.state_dict(), "drawn": torch.rand(1)}


def test_the_whole_batch_is_a_plain_training_with_a_lighter_last_batch():
    assert_same(trained(), plain())


def test_activations_that_are_computed_again_change_nothing():
    assert_same(trained(recompute=True), plain())
    once, again = trained(ghost_batch=2, micro_batch=4), trained(ghost_batch=2, micro_batch=4, recompute=True)
    assert_same(again, once)


def test_less_is_kept_where_activations_are_computed_again():
    def kept(recompute: bool) -> int:
        model = Net().train()
        batches = MicroBatches(model, loss, BATCH, recompute=recompute)
        batches.rows.begin(BATCH, 0)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: (sizes.append(x.numel()), x)[1], lambda x: x):
            batches.forward(torch.randn(BATCH, 3, 8, 8))
        return sum(sizes)

    # checkpoints hide what is within a group
    assert kept(True) < 0.7 * kept(False)


@pytest.mark.parametrize("count", [COUNT, 26, 25])  # a last batch of 5, of 2, and of 1 joined to the one before
@pytest.mark.parametrize("ghost", [3, 4])
def test_the_size_of_a_pass_changes_nothing(ghost: int, count: int):
    whole = trained(count, dropout=0.4, ghost_batch=ghost)
    for micro in (3, 4, 6):
        if micro % ghost == 0:
            assert_same(trained(count, dropout=0.4, ghost_batch=ghost, micro_batch=micro), whole)


def test_statistics_are_those_of_each_ghost_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(2, momentum=0.19))
    batches = MicroBatches(nn.Sequential(model, nn.Flatten()).train(), loss, 4, ghost_batch=2)
    images = torch.randn(4, 2, 3, 3, requires_grad=True)
    batches.accumulate(images, torch.zeros(4, dtype=torch.long), 4)
    first, second = (part.var((0, 2, 3)) for part in images.detach().split(2))
    # 0.19 in one batch is 0.1 in each of its two ghosts
    torch.testing.assert_close(model[0].running_var, 0.81 * torch.ones(2) + 0.09 * first + 0.1 * second)
    assert model[0].num_batches_tracked == 1
    assert not torch.allclose(trained(ghost_batch=4)["fc_4.weight"], trained()["fc_4.weight"], rtol=1e-3)


def test_masks_differ_between_images_batches_and_layers():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.0), nn.Dropout(0.25))
    batches = MicroBatches(model.train(), lambda logits, labels: logits.sum(), 4, ghost_batch=2, micro_batch=2)
    images = torch.ones(4, 1000, requires_grad=True)
    labels = torch.zeros(4, dtype=torch.long)
    rows = [torch.cat(batches.accumulate(images, labels, 4)[0]) for _ in range(2)]
    assert len({tuple(row.tolist()) for row in torch.cat(rows)}) == 8
    assert rows[0].unique().tolist() == pytest.approx([0.0, 8 / 3])
    assert rows[0].mean().item() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(model.eval()(images), images)


class Narrow(nn.Module):
    """Memory for only so many images per pass; drawing and counting before it fails, as a layer may."""

    def __init__(self, limit: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.limit, self.error = limit, error
        self.failures = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) > self.limit:
            self.failures += 1
            torch.rand(3)
            raise self.error("CUDA out of memory. Tried to allocate; DefaultCPUAllocator: can't allocate memory")
        return x


def narrow(limit: int, dropout: float = 0.4, **options: Any) -> Net:
    torch.manual_seed(0)
    model = Net(dropout)
    model._append("narrow", Narrow(limit, **options))  # after everything else has left its traces
    return model


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_replayed_in_smaller_passes(error: type[Exception]):
    told: list[str] = []
    model = narrow(3, error=error)
    found = trained(model=model, ghost_batch=2, told=told)
    expected = trained(model=narrow(99), ghost_batch=2, micro_batch=2, recompute=True)
    assert_same(found, expected)
    assert model.narrow.failures == 3, "8 images, 8 with activations computed again, 4; then 2 for good"
    assert [event.split(" with ")[1] for event in told] == [
        "activations computed again, kept for the rest of the training",
        "4 images per pass, kept for the rest of the training",
        "2 images per pass, kept for the rest of the training",
    ]
    assert told[0].startswith("out of memory at epoch 0, step 1: the batch was replayed")


def test_what_was_done_is_known_after_a_restart():
    first = MicroBatches(narrow(3), loss, BATCH, ghost_batch=2)
    first.load_state_dict({"events": ["a"], "micro_batch": 4, "recompute": True})
    second = MicroBatches(narrow(3), loss, BATCH, ghost_batch=2, micro_batch=6)
    second.load_state_dict(first.state_dict())
    assert (second.images, second.recompute, second.events) == (4, True, ["a"])
    assert second.state_dict() == first.state_dict()


@pytest.mark.parametrize(
    ("ghost", "message"), [(4, r"^training.ghost_batch=4: one ghost batch of 4 images does not fit"),
                           (None, r"^training.ghost_batch=null: without ghost batches a batch cannot be split")]
)  # fmt: skip
def test_where_nothing_is_left_it_is_said(ghost: int | None, message: str):
    with pytest.raises(UserError, match=message + r".*data.batch_size=4, or another device$"):
        trained(model=narrow(1), ghost_batch=ghost)


def test_other_errors_are_not_taken_for_it():
    model = narrow(1, error=ValueError)
    with pytest.raises(ValueError, match="Tried to allocate"):
        trained(model=model, ghost_batch=2)
    assert model.narrow.failures == 1
    assert not out_of_memory(RuntimeError("shapes cannot be multiplied"))


@pytest.mark.parametrize(
    ("ghost", "micro", "message"),
    [
        (None, 4, "training.ghost_batch=null: batches of 8 images have to be split into passes of 4"),
        (4, 6, "training.ghost_batch=4: passes of 6 images are no multiple of it"),
        (4, 2, "training.ghost_batch=4: passes of 2 images"),
        (1, None, "training.ghost_batch=1: allowed are 2 to data.batch_size=8"),
        (9, None, "training.ghost_batch=9: allowed"),
    ],
)
def test_sizes_that_would_change_the_science(ghost: int | None, micro: int | None, message: str):
    with pytest.raises(UserError, match=message):
        check_sizes(8, ghost, micro)
    check_sizes(8, None, 8)
    check_sizes(8, 4, 4)


def test_a_copy_of_the_model_has_a_batch_of_its_own():
    model = Net(0.5).train()
    batches = MicroBatches(model, loss, BATCH, ghost_batch=4)
    other = copy.deepcopy(model)
    batches.rows.begin(BATCH, 0)
    assert other.norm_0.rows is other.norm_3.rows is not model.norm_0.rows


def test_dead_channels_that_pad_the_widths_draw_no_masks() -> None:
    """With dropout the padded network learns what the one without padding learns."""
    widths = [5, 3, 6, 4, 5, 3, 3, 5, 9]  # of depth 10: seven convolutions, two hidden layers
    found = {}
    for pad in (1, 8):
        torch.manual_seed(1)
        model = build({"name": "vgg", "classes": 3, "input_shape": [3, 8, 8], "widths": widths, "pad_widths": pad})
        found[pad] = trained(model=model)
    for name, value in found[1].items():
        live = found[8][name][tuple(slice(size) for size in value.shape)]
        torch.testing.assert_close(live, value, rtol=1e-9, atol=1e-11, msg=lambda text, name=name: name + text)
