import torch

from src.imageops.windows import windows


def test_equals_slices() -> None:
    images = torch.arange(5 * 3 * 9 * 11).view(5, 3, 9, 11)
    top, left, chosen = torch.tensor([0, 5, 2]), torch.tensor([4, 0, 3]), torch.tensor([4, 0, 4])
    made = windows(images, top, left, 4, 7, chosen)
    expected = [images[c, :, t : t + 4, x : x + 7] for c, t, x in zip(chosen, top, left, strict=True)]
    assert torch.equal(made, torch.stack(expected))


def test_each_its_own_where_none_is_chosen_and_whatever_the_memory_format() -> None:
    images = torch.rand(2, 3, 6, 6).contiguous(memory_format=torch.channels_last)
    made = windows(images, torch.tensor([1, 2]), torch.tensor([2, 0]), 4, 4)
    assert torch.equal(made, torch.stack([images[0, :, 1:5, 2:6], images[1, :, 2:6, :4]]))
