"""Procedural shapes with every nuisance under control: the embedded data set on which the project runs everywhere.

Twenty-four classes in six families (`glyph_shapes`). Each image is one shape of random position, size, rotation,
stretch, colour and texture before a textured background, with small distracting fragments, sometimes an occluding
patch, and pixel noise. Nothing but the shape tells the class, unless `texture_bias` ties the texture to it.
Every image is a pure function of (seed, split, class, number within the class): asking for more images per class,
or for fewer classes, leaves the others as they were; train and test never share a random stream.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.seeds import stream
from src.data.image_set import ImageSet, Splits, concatenate
from src.data.mixing import class_numbers
from src.data.sources.glyph_shapes import FAMILY_OF, SHAPES, Shape
from src.data.sources.glyph_textures import TEXTURES, pattern

Range = Sequence[float]

_CHUNK = 128  # images rendered together: their planes stay in the processor's cache


@dataclass(frozen=True)
class _Look:
    """The nuisance settings of `glyphs`, checked."""

    size: int
    channels: int
    scale: tuple[float, float]
    position: float
    rotation: float
    stretch: float
    contrast: tuple[float, float]
    saturation: tuple[float, float]
    textures: tuple[int, ...]
    texture_strength: tuple[float, float]
    texture_bias: float
    backgrounds: tuple[int, ...]
    background_strength: tuple[float, float]
    gradient: tuple[float, float]
    clutter: int
    occlusion: float
    noise: tuple[float, float]


def glyphs(
    *,
    seed: int = 0,
    size: int = 32,
    channels: int = 3,
    train_per_class: int = 300,
    test_per_class: int = 250,
    only: Sequence[int | str] | None = None,
    scale: Range = (0.3, 0.42),
    position: float = 1.0,
    rotation: float = 180.0,
    stretch: float = 0.12,
    contrast: Range = (0.35, 0.7),
    saturation: Range = (0.0, 0.5),
    textures: Sequence[str] | None = None,
    texture_strength: Range = (0.05, 0.15),
    texture_bias: float = 0.0,
    test_texture_bias: float | None = None,
    backgrounds: Sequence[str] | None = None,
    background_strength: Range = (0.0, 0.08),
    gradient: Range = (0.0, 0.2),
    clutter: int = 2,
    occlusion: float = 0.1,
    noise: Range = (0.0, 0.05),
) -> Splits:
    """Render the shapes.

    Args:
        seed: of all images.
        size: height and width in pixels, 16..64.
        channels: 3, or 1 for grey.
        train_per_class: images per class to train on.
        test_per_class: images per class to test on.
        only: numbers or names of the classes to render, in this order; they become labels 0, 1, ... (None: all 24).
        scale: radius of the shape as a fraction of the image's side, (low, high).
        position: 0 puts every shape in the middle, 1 anywhere that keeps it inside.
        rotation: largest rotation either way, in degrees.
        stretch: largest stretch along one axis (and shrinkage along the other), as a fraction.
        contrast: difference of brightness between shape and background, of 0..1.
        saturation: how coloured shape and background are, of 0..1; hues are independent.
        textures: names of the shape's textures (None: all eight).
        texture_strength: amplitude of the shape's texture in brightness.
        texture_bias: probability that the texture is the class's own (its number modulo the textures), not random.
        test_texture_bias: the same for the test images (None: as `texture_bias`).
        backgrounds: names of the background's textures (None: all eight).
        background_strength: amplitude of the background's texture.
        gradient: difference of brightness across the background.
        clutter: most fragments behind the shape.
        occlusion: probability of a patch over a part of the shape.
        noise: standard deviation of the pixel noise.

    Returns:
        Splits with superclasses (families), masks of the visible shape, boxes, and factors: texture and background
        (indices of `TEXTURES`), hue, background_hue (radians), contrast (signed), rotation (radians), radius, x, y
        (pixels), stretch, clutter (fragments), occluded (0/1), noise.

    Raises:
        UserError: a setting is outside what it may be.
    """
    names = tuple(SHAPES)
    chosen = class_numbers(range(len(names)) if only is None else only, names)
    _within("size", size, 16, 64)
    _within("clutter", clutter, 0, 16)
    if channels not in (1, 3):
        raise UserError(f"data.source.channels={channels}: allowed are 1 and 3")
    fractions = {"position": position, "occlusion": occlusion, "texture_bias": texture_bias}
    fractions["test_texture_bias"] = texture_bias if test_texture_bias is None else test_texture_bias
    for name, value in fractions.items():
        _within(name, value, 0, 1)
    _within("stretch", stretch, 0, 0.5)
    per_class = {"train": train_per_class, "test": test_per_class}
    for name, count in per_class.items():
        _within(f"{name}_per_class", count, 1, 100_000)

    def look(bias: float) -> _Look:
        return _Look(
            size=int(size),
            channels=int(channels),
            scale=_range("scale", scale, 0.15, 0.48),
            position=position,
            rotation=math.radians(rotation),
            stretch=stretch,
            contrast=_range("contrast", contrast, 0.0, 1.0),
            saturation=_range("saturation", saturation, 0.0, 1.0),
            textures=_textures("textures", textures),
            texture_strength=_range("texture_strength", texture_strength, 0.0, 1.0),
            texture_bias=bias,
            backgrounds=_textures("backgrounds", backgrounds),
            background_strength=_range("background_strength", background_strength, 0.0, 1.0),
            gradient=_range("gradient", gradient, 0.0, 1.0),
            clutter=int(clutter),
            occlusion=occlusion,
            noise=_range("noise", noise, 0.0, 1.0),
        )

    def split(name: str, bias: float) -> ImageSet:
        parts = [
            _render_class(number, label, chosen, per_class[name], look(bias), seed, name)
            for label, number in enumerate(chosen)
        ]
        return concatenate(parts)

    return Splits(split("train", texture_bias), split("test", fractions["test_texture_bias"]))


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"data.source.{name}={value}: allowed are {low}..{high}")


def _range(name: str, values: Range, low: float, high: float) -> tuple[float, float]:
    pair = tuple(float(value) for value in values)
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        raise UserError(f"data.source.{name}={list(values)}: expected [low, high] within {low}..{high}")
    return pair[0], pair[1]


def _textures(name: str, chosen: Sequence[str] | None) -> tuple[int, ...]:
    known = list(TEXTURES)
    if chosen is None:
        return tuple(range(len(known)))
    for texture in chosen:
        if texture not in TEXTURES:
            raise UserError(f"data.source.{name}: no texture '{texture}'; {suggestion(str(texture), known)}")
    if not chosen:
        raise UserError(f"data.source.{name}=[]: name at least one of {', '.join(known)}")
    return tuple(known.index(texture) for texture in chosen)


def _render_class(
    number: int, label: int, chosen: Sequence[int], count: int, look: _Look, seed: int, split: str
) -> ImageSet:
    """All images of one class in one split, in chunks."""
    names = tuple(SHAPES)
    factors, hidden = _draw(number, count, look, seed, split)
    noise = stream(seed, "glyphs", split, names[number], "noise")
    images, masks = [], []
    for start in range(0, count, _CHUNK):
        rows = slice(start, start + _CHUNK)
        shown = {name: values[rows] for name, values in factors.items()}
        concealed = {name: values[rows] for name, values in hidden.items()}
        image, mask = _compose(SHAPES[names[number]], shown, concealed, look, noise)
        images.append(image)
        masks.append(mask)
    mask = torch.cat(masks)
    return ImageSet(
        images=torch.cat(images),
        labels=torch.full((count,), label),
        classes=tuple(names[k] for k in chosen),
        superclasses=tuple(FAMILY_OF[names[k]] for k in chosen),
        masks=mask,
        boxes=boxes_of(mask),
        factors=factors,
    )


def _draw(number: int, count: int, look: _Look, seed: int, split: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Factors (n,) to be reported, and those (n,) or (n, fragments) that only the renderer needs."""
    name = tuple(SHAPES)[number]
    # one row per image, so that a longer draw begins with the shorter one
    columns = iter(torch.rand(count, 32, generator=stream(seed, "glyphs", split, name, "factors")).unbind(1))
    fragments = torch.rand(count, 16, 8, generator=stream(seed, "glyphs", split, name, "fragments"))

    radius = _between(columns, look.scale) * look.size
    stretch = 1 + look.stretch * (2 * next(columns) - 1)
    room = (look.size / 2 - radius * torch.maximum(stretch, 1 / stretch)).clamp_min(0) * look.position
    own = next(columns) < look.texture_bias
    drawn = _choice(columns, look.textures)
    texture = torch.where(own, torch.tensor(look.textures[number % len(look.textures)]), drawn)
    brightness = 0.08 + 0.84 * next(columns)
    contrast = _between(columns, look.contrast)
    # brighter or darker than the background at random, where both fit; else whichever has the room
    upwards = torch.where(brightness + contrast > 1, False, next(columns) < 0.5) | (brightness - contrast < 0)
    contrast = torch.where(upwards, 1.0, -1.0) * contrast
    contrast = (brightness + contrast).clamp(0, 1) - brightness
    pieces = (next(columns) * (look.clutter + 1)).floor()
    factors = {
        "texture": texture,
        "background": _choice(columns, look.backgrounds),
        "hue": 2 * math.pi * next(columns),
        "background_hue": 2 * math.pi * next(columns),
        "contrast": contrast,
        "rotation": look.rotation * (2 * next(columns) - 1),
        "radius": radius,
        "x": look.size / 2 + room * (2 * next(columns) - 1),
        "y": look.size / 2 + room * (2 * next(columns) - 1),
        "stretch": stretch,
        "clutter": pieces,
        "occluded": (next(columns) < look.occlusion).float(),
        "noise": _between(columns, look.noise),
    }
    hidden = {
        "brightness": brightness,
        "saturation": _between(columns, look.saturation),
        "background_saturation": _between(columns, look.saturation),
        "texture_strength": _between(columns, look.texture_strength),
        "background_strength": _between(columns, look.background_strength),
        "gradient": _between(columns, look.gradient),
        "texture_angle": 2 * math.pi * next(columns),
        "texture_period": look.size * (0.11 + 0.09 * next(columns)),
        "background_angle": 2 * math.pi * next(columns),
        "background_period": look.size * (0.11 + 0.14 * next(columns)),
        "patch_angle": 2 * math.pi * next(columns),
        "patch_size": 0.35 + 0.25 * next(columns),
        "patch_brightness": next(columns),
        "patch_hue": 2 * math.pi * next(columns),
        "fragments": fragments[:, : look.clutter],
    }
    return factors, hidden


def _between(columns: Iterator[Tensor], bounds: tuple[float, float]) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * next(columns)


def _choice(columns: Iterator[Tensor], among: tuple[int, ...]) -> Tensor:
    return torch.tensor(among)[(next(columns) * len(among)).long()]


def _colour(brightness: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """(...) each -> (..., 3) red, green, blue, whose mean is the brightness."""
    phase = hue.unsqueeze(-1) - torch.tensor([0.0, 2 * math.pi / 3, 4 * math.pi / 3])
    return brightness.unsqueeze(-1) + 0.5 * saturation.unsqueeze(-1) * phase.cos()


def _plane(values: Tensor) -> Tensor:
    return values[:, None, None]


def _turned(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin = _plane(angle.cos()), _plane(angle.sin())
    return x * cos + y * sin, y * cos - x * sin


def _compose(
    shape: Shape, factors: dict[str, Tensor], hidden: dict[str, Tensor], look: _Look, noise: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Render a chunk: uint8 images (n, C, H, W) and masks (n, H, W)."""
    middle = torch.arange(look.size, dtype=torch.float32) + 0.5
    rows, columns = torch.meshgrid(middle, middle, indexing="ij")
    x, y = columns - _plane(factors["x"]), _plane(factors["y"]) - rows  # y upwards
    from_middle = (columns - look.size / 2).unsqueeze(0), (rows - look.size / 2).unsqueeze(0)

    image = _background(from_middle, factors, hidden, look)
    _paint_fragments(image, columns, rows, hidden["fragments"], factors["clutter"], look)

    own_x, own_y = _turned(x, y, factors["rotation"])
    radius, stretch = _plane(factors["radius"]), _plane(factors["stretch"])
    distance = shape(own_x / (radius * stretch), own_y * stretch / radius) * radius
    cover = (0.5 - distance).clamp(0, 1)
    u, v = _turned(x, y, hidden["texture_angle"])
    period = _plane(hidden["texture_period"])
    surface = pattern(factors["texture"], u / period, v / period) * _plane(hidden["texture_strength"])
    colour = _colour(hidden["brightness"] + factors["contrast"], hidden["saturation"], factors["hue"])
    image.lerp_(colour[:, :, None, None] + surface.unsqueeze(1), cover.unsqueeze(1))

    patch = _patch(x, y, factors, hidden)
    colour = _colour(hidden["patch_brightness"], hidden["saturation"], hidden["patch_hue"])
    image.lerp_(colour[:, :, None, None].expand_as(image), patch.unsqueeze(1))

    if look.channels == 1:
        image = image.mean(1, keepdim=True)
    # triangular noise of unit variance; uniform draws, as torch's normal draws depend on how many are drawn
    draws = torch.rand(len(image), 2, *image.shape[1:], generator=noise)
    image += (draws[:, 0] - draws[:, 1]) * (math.sqrt(6) * factors["noise"][:, None, None, None])
    pixels = (image.clamp_(0, 1) * 255).round_().to(torch.uint8)
    return pixels, ((distance < 0) & (patch < 0.5)).to(torch.uint8)


def _background(
    from_middle: tuple[Tensor, Tensor], factors: dict[str, Tensor], hidden: dict[str, Tensor], look: _Look
) -> Tensor:
    """(n, 3, H, W): a colour, brighter towards one side, with a pattern."""
    u, v = _turned(*from_middle, hidden["background_angle"])
    slope = _plane(hidden["gradient"] / look.size) * u
    period = _plane(hidden["background_period"])
    surface = pattern(factors["background"], u / period, v / period) * _plane(hidden["background_strength"])
    colour = _colour(hidden["brightness"], hidden["background_saturation"], factors["background_hue"])
    return colour[:, :, None, None] + (slope + surface).unsqueeze(1)


def _paint_fragments(image: Tensor, columns: Tensor, rows: Tensor, draws: Tensor, pieces: Tensor, look: _Look) -> None:
    """Short strokes of random colour anywhere behind the shape; draws (n, fragments, 8) of 0..1."""
    for number in range(draws.shape[1]):
        at_x, at_y, angle, length, width, brightness, saturation, hue = draws[:, number].unbind(1)
        u, v = _turned(columns - _plane(at_x * look.size), rows - _plane(at_y * look.size), 2 * math.pi * angle)
        beyond = (u.abs() - _plane((0.02 + 0.1 * length) * look.size)).clamp_min(0)
        distance = torch.hypot(beyond, v) - _plane((0.018 + 0.022 * width) * look.size)
        shown = (0.5 - distance).clamp(0, 1) * _plane((number < pieces).float())
        colour = _colour(brightness, saturation * look.saturation[1], 2 * math.pi * hue)
        image.lerp_(colour[:, :, None, None].expand_as(image), shown.unsqueeze(1))


def _patch(x: Tensor, y: Tensor, factors: dict[str, Tensor], hidden: dict[str, Tensor]) -> Tensor:
    """(n, H, W) cover of a square at the shape's rim, 0 where the image has none."""
    radius, angle = factors["radius"], hidden["patch_angle"]
    half = _plane(radius * hidden["patch_size"])
    at_x, at_y = _plane(radius * angle.cos() * 0.75), _plane(radius * angle.sin() * 0.75)
    distance = torch.maximum((x - at_x).abs(), (y - at_y).abs()) - half
    return (0.5 - distance).clamp(0, 1) * _plane(factors["occluded"])


def boxes_of(masks: Tensor) -> Tensor:
    """Smallest boxes around masks: (N, H, W) -> int16 (N, 4), x0 y0 x1 y1 with exclusive ends; zeros if empty."""
    edges = []
    for axis in (1, 2):  # which columns hold the shape, then which rows
        held = masks.amax(axis)
        length = held.shape[1]
        first = held.argmax(1)
        last = length - held.flip(1).argmax(1)
        edges += [first, torch.where(held.amax(1) > 0, last, 0)]
    x0, x1, y0, y1 = edges
    return torch.stack([x0, y0, x1, y1], 1).to(torch.int16)
