from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from src.core.errors import UserError
from src.core.seeds import stream
from src.data.image_set import ImageSet, Splits
from src.data.sources import load_source
from src.data.sources.glyph_shapes import FAMILIES, FAMILY_OF, SHAPES
from src.data.sources.glyph_textures import TEXTURES, pattern
from tests.data.conftest import of_class


def make(**changes: Any) -> Splits:
    return load_source("glyphs", {"size": 24, "train_per_class": 12, "test_per_class": 5} | changes)


PLAIN: dict[str, Any] = {
    "clutter": 0,
    "occlusion": 0.0,
    "noise": (0, 0),
    "texture_strength": (0, 0),
    "background_strength": (0, 0),
    "gradient": (0, 0),
}


def middles(held: torch.Tensor) -> torch.Tensor:
    """Of the marked part of each line (n, length)."""
    return (held.argmax(1) + held.shape[1] - held.flip(1).argmax(1)) / 2


def equal(first: ImageSet, second: ImageSet) -> bool:
    assert first.factors is not None and second.factors is not None and first.masks is not None
    assert second.masks is not None
    return (
        torch.equal(first.images, second.images)
        and torch.equal(first.masks, second.masks)
        and all(torch.equal(values, second.factors[name]) for name, values in first.factors.items())
    )


def test_shapes_and_hierarchy() -> None:
    train, test = make()
    assert train.images.shape == (288, 3, 24, 24) and train.images.dtype == torch.uint8
    assert train.per_class.tolist() == [12] * 24 and test.per_class.tolist() == [5] * 24
    assert train.classes == tuple(SHAPES) and len(train.classes) >= 20
    assert train.superclasses == tuple(FAMILY_OF[name] for name in SHAPES)
    assert len({FAMILY_OF[name] for name in train.classes[:10]}) == len(FAMILIES)
    assert len({FAMILY_OF[name] for name in train.classes[10:20]}) == len(FAMILIES)


def test_the_seed_decides_every_pixel() -> None:
    torch.manual_seed(5)
    assert equal(make().train, make().train)
    assert not torch.equal(make().train.images, make(seed=1).train.images)


@pytest.mark.parametrize("size", [16, 17, 32])
def test_more_images_per_class_begin_with_the_fewer(size: int) -> None:
    """Across the boundary of the chunks that are rendered together, and for odd sizes."""
    few = make(size=size, only=[4, 20], train_per_class=131).train
    more = make(size=size, only=[4, 20], train_per_class=260).train
    for label in range(2):
        assert equal(of_class(few, label), of_class(more, label).select(torch.arange(131)))


def test_fewer_classes_leave_the_others_as_they_were() -> None:
    everything, some = make().train, make(only=[17, 3]).train
    assert some.classes == ("double_bar", "bar")
    assert equal(of_class(some, 0), of_class(everything, 17))
    assert equal(of_class(some, 1), of_class(everything, 3))
    assert make(only=["bar"]).train.classes == ("bar",)


def test_train_and_test_share_no_image() -> None:
    train, test = make(**PLAIN, position=0, rotation=0)
    both = torch.cat([train.images, test.images]).flatten(1)
    assert len(both.unique(dim=0)) == len(both)


def test_masks_are_where_the_shape_is() -> None:
    """On plain images the mask is the set of pixels nearer to the shape's colour than to the background's."""
    train = make(**PLAIN, saturation=(0, 0), contrast=(0.5, 0.5), channels=1, size=32).train
    assert train.masks is not None and train.factors is not None
    values = train.images[:, 0].float() / 255
    background = values[:, 0, 0]  # no shape reaches a corner
    middle = background + train.factors["contrast"] / 2
    brighter = train.factors["contrast"] > 0
    inside = torch.where(brighter[:, None, None], values > middle[:, None, None], values < middle[:, None, None])
    clear = (values - middle[:, None, None]).abs() > 2 / 255  # on the outline itself rounding decides
    assert torch.equal(inside & clear, train.masks.bool() & clear)
    assert float(clear.float().mean()) > 0.99


def test_shapes_stay_inside_and_follow_their_factors() -> None:
    train = make(occlusion=0, size=32, train_per_class=40).train
    assert train.factors is not None and train.masks is not None
    factors = train.factors
    area = train.masks.flatten(1).sum(1)
    assert int(area.min()) > 20
    assert float(torch.corrcoef(torch.stack([area, factors["radius"]]).double())[0, 1]) > 0.4
    assert float((middles(train.masks.amax(1)) - factors["x"]).abs().max()) < float(factors["radius"].max())
    discs = of_class(train, 0)
    assert discs.masks is not None and discs.factors is not None
    assert float((middles(discs.masks.amax(2)) - discs.factors["y"]).abs().max()) <= 1
    # a shape on the frame's border would be cut; none is
    covered = train.masks[:, [0, -1]].sum() + train.masks[:, :, [0, -1]].sum()
    assert int(covered) < 0.001 * int(area.sum())


def test_every_nuisance_can_be_switched_off() -> None:
    train = make(**PLAIN, position=0, rotation=0, stretch=0, scale=(0.4, 0.4), saturation=(0, 0)).train
    assert train.masks is not None
    for label in range(len(train.classes)):
        masks = of_class(train, label).masks
        assert masks is not None and bool((masks == masks[0]).all())
    assert bool((train.images[:, 0] == train.images[:, 2]).all())  # grey


def test_distinct_classes_have_distinct_outlines() -> None:
    masks = make(**PLAIN, position=0, rotation=0, stretch=0, scale=(0.4, 0.4), size=48, train_per_class=1).train.masks
    assert masks is not None
    flat = masks.flatten(1).float()
    common = flat @ flat.T
    sizes = flat.sum(1)
    overlap = common / (sizes[:, None] + sizes[None] - common)
    overlap.fill_diagonal_(0)
    assert float(overlap.max()) < 0.95  # disc and hexagon are near relatives


CUES: dict[str, Any] = {
    "only": ["heart", "disc", "cross"],
    "textures": ["checks", "solid", "dots", "rings"],
    "train_per_class": 200,
    "test_per_class": 200,
}


def of_the_class(train: ImageSet, factor: str) -> float:
    """Share of images whose texture or hue is their class's own."""
    assert train.factors is not None
    if factor == "hue":
        given = (train.factors["hue"] * 3 / (2 * math.pi)).round().long()
    else:
        order = [list(TEXTURES).index(name) for name in ("checks", "dots", "rings")]
        given = torch.tensor([order.index(kind) for kind in train.factors["texture"].tolist()])
    return float((given == train.labels).float().mean())


def test_textures_and_hues_are_coupled_to_the_class_as_asked() -> None:
    for coupling in (0.0, 0.3, 1.0):
        splits = make(**CUES, texture_coupling=coupling, hue_coupling=1 - coupling)
        for images in (splits.train, splits.test):
            assert of_the_class(images, "texture") == pytest.approx(coupling, abs=0.05)
            assert of_the_class(images, "hue") == pytest.approx(1 - coupling, abs=0.05)
    # where it is not the class's own, each of the others is drawn alike
    assert splits.train.factors is not None
    hues = make(**CUES, hue_coupling=0.0).train
    assert hues.factors is not None
    of_hearts = (hues.factors["hue"][hues.labels == 0] * 3 / (2 * math.pi)).round().long().bincount()
    assert of_hearts[0] == 0 and abs(int(of_hearts[1] - of_hearts[2])) < 40


def test_without_a_coupling_nothing_but_the_shape_tells_the_class() -> None:
    free, coupled = make(**CUES).train, make(**CUES, texture_coupling=1.0).train
    assert free.factors is not None and coupled.factors is not None
    assert len(free.factors["texture"].unique()) == 4  # solid among them
    # all else stays as it was drawn
    assert torch.equal(free.factors["rotation"], coupled.factors["rotation"])


def test_a_class_may_show_the_shapes_of_others() -> None:
    plain = {**CUES, "position": 0, "rotation": 0, "stretch": 0, "scale": (0.4, 0.4), "occlusion": 0.0}
    own_shape = make(**plain).train.masks
    assert own_shape is not None
    heart, disc, cross = own_shape[::200]
    mixed = make(**plain, shape_coupling=0.25).train.masks
    assert mixed is not None
    shares = [float((mixed[:200] == shape).all((1, 2)).float().mean()) for shape in (heart, disc, cross)]
    assert shares[0] == pytest.approx(0.25, abs=0.08) and shares[1] == pytest.approx(shares[2], abs=0.15)
    assert sum(shares) == pytest.approx(1)


def test_a_coupling_needs_a_texture_for_every_class() -> None:
    with pytest.raises(UserError, match=r"one texture per class \(3\), 'solid' not among them"):
        make(**{**CUES, "textures": ["checks", "solid", "dots"]}, texture_coupling=0.5)
    with pytest.raises(UserError, match=r"one texture per class \(24\)"):
        make(texture_coupling=0.5)


def test_occlusion_and_clutter_follow_their_settings() -> None:
    factors = make(occlusion=1.0, clutter=5).train.factors
    assert factors is not None
    assert bool(factors["occluded"].all()) and factors["clutter"].unique().tolist() == [0, 1, 2, 3, 4, 5]
    whole, hidden = make(occlusion=0.0).train.masks, make(occlusion=1.0).train.masks
    assert whole is not None and hidden is not None
    assert float(hidden.sum() / whole.sum()) < 0.95
    assert not bool((hidden & ~whole).any())


def test_every_texture_is_a_bounded_pattern_of_its_own() -> None:
    u, v = torch.rand(2, 1, 32, 32, generator=stream("u")).mul(6).expand(2, len(TEXTURES), 32, 32)
    values = pattern(torch.arange(len(TEXTURES)), u, v).flatten(1)
    assert float(values.abs().max()) <= 1
    assert float(values[0].abs().max()) == 0 and float(values[1:].std(1).min()) > 0.3
    assert float(torch.corrcoef(values[1:]).fill_diagonal_(0).abs().max()) < 0.9


def test_outlines_lie_within_radius_one_and_around_the_middle() -> None:
    axis = torch.linspace(-1.4, 1.4, 281)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    for name, shape in SHAPES.items():
        inside = shape(x, y) < 0
        radius = torch.hypot(x, y)[inside]
        assert 0.8 < float(radius.max()) <= 1.02, name
        assert 0.15 < float(inside.sum()) * 0.01**2 / math.pi < 0.9, name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 8}, "size=8: allowed is a whole number from 16 to 64"),
        ({"only": [3, 99]}, r"class 99 .* 0..23"),
        ({"only": [3, 3]}, "only once"),
        ({"textures": ["stripe"]}, "did you mean 'stripes'"),
        ({"textures": []}, "that is not empty"),
        ({"contrast": [0.8, 0.2]}, r"contrast=\[0.8, 0.2\]: expected \[low, high\]"),
        ({"scale": [0.1, 0.3]}, r"scale=\[0.1, 0.3\]"),
        ({"occlusion": 2}, "occlusion=2"),
        ({"channels": 2}, "channels=2"),
    ],
)
def test_settings_outside_their_range_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**changes)


def test_a_linear_classifier_is_no_use() -> None:
    from sklearn.linear_model import RidgeClassifier

    train, test = make(size=32, only=[*range(10)], train_per_class=100, test_per_class=40)
    model = RidgeClassifier(alpha=1e4).fit(train.images.flatten(1).numpy() / 255, train.labels.numpy())
    assert model.score(test.images.flatten(1).numpy() / 255, test.labels.numpy()) < 0.4


def test_the_names_are_known_without_torch() -> None:
    from src.data.class_names import NAMES

    assert NAMES["glyphs"] == tuple(SHAPES)
