"""Procedural shapes with every nuisance under control: the embedded data set on which the project runs everywhere.

Twenty-four classes in six families (`glyph_shapes`). Each image is one shape of random position, size, rotation,
stretch, colour and texture before a textured background, with small distracting fragments, sometimes an occluding
patch, and pixel noise. Nothing but the shape tells the class, unless texture and hue are coupled to it as well.
Every image is a pure function of (seed, split, class, number within the class): asking for more images per class,
or for fewer classes, leaves the others as they were; train and test never share a random stream.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Le, MinLen
from torch import Tensor

from src.core.options import Share, options
from src.core.seeds import stream
from src.data.image_set import ImageSet, Splits, concatenate
from src.data.mixing import class_numbers
from src.data.sources.glyph_shapes import FAMILY_OF, SHAPES
from src.data.sources.glyph_textures import TEXTURES, Texture, pattern
from src.data.sources.options import Channels, Only

_CHUNK = 128  # images rendered together: their planes stay in the processor's cache

PerClass = Annotated[int, Ge(1), Le(100_000)]
Range = tuple[Share, Share]
Scale = Annotated[float, Ge(0.15), Le(0.48)]
Textures = Annotated[tuple[Texture, ...], MinLen(1)] | None


@options
class Look:
    """How the shapes are drawn; ranges are (low, high).

    Attributes:
        seed: of all images.
        train_per_class, test_per_class: images.
        scale: radius of the shape as a fraction of the image's side.
        position: 0 puts every shape in the middle, 1 anywhere that keeps it inside.
        rotation: largest rotation either way, in degrees.
        stretch: largest stretch along one axis (and shrinkage along the other), as a fraction.
        contrast: difference of brightness between shape and background, of 0..1.
        saturation: how coloured shape and background are, of 0..1; hues are independent.
        textures, backgrounds: of the shape and of the background (None: all eight).
        texture_strength, background_strength: amplitude of the texture in brightness.
        shape_coupling, texture_coupling, hue_coupling: probability that the shape (the texture, the hue) is the one of
            the image's class; else it is drawn evenly among those of the other classes. None: without regard to the
            class. The classes have a texture each, in the order of `only` and `textures`, and hues evenly apart.
        gradient: difference of brightness across the background.
        clutter: most fragments behind the shape.
        occlusion: probability of a patch over a part of the shape.
        noise: standard deviation of the pixel noise.
    """

    seed: int = 0
    size: Annotated[int, Ge(16), Le(64)] = 32
    channels: Channels = 3
    train_per_class: PerClass = 300
    test_per_class: PerClass = 250
    only: Only = None
    scale: tuple[Scale, Scale] = (0.3, 0.42)
    position: Share = 1.0
    rotation: float = 180.0
    stretch: Annotated[float, Ge(0), Le(0.5)] = 0.12
    contrast: Range = (0.35, 0.7)
    saturation: Range = (0.0, 0.5)
    textures: Textures = None
    texture_strength: Range = (0.05, 0.15)
    shape_coupling: Share = 1.0
    texture_coupling: Share | None = None
    hue_coupling: Share | None = None
    backgrounds: Textures = None
    background_strength: Range = (0.0, 0.08)
    gradient: Range = (0.0, 0.2)
    clutter: Annotated[int, Ge(0), Le(16)] = 2
    occlusion: Share = 0.1
    noise: Range = (0.0, 0.05)

    def __post_init__(self) -> None:
        ranges = ("scale", "contrast", "saturation", "texture_strength", "background_strength", "gradient", "noise")
        for name in ranges:
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"data.source.{name}=[{low}, {high}]: expected [low, high]; swap them")
        if self.texture_coupling is not None:
            classes = len(SHAPES) if self.only is None else len(self.only)
            names = [name for name in self.textures or () if name != "solid"]
            if len(set(names)) < classes:
                raise ValueError(
                    f"data.source.textures={list(self.textures or ())}: texture_coupling needs one texture per class "
                    f"({classes}), 'solid' not among them; choose at most 7 classes (data.classes) and as many of "
                    f"{', '.join(name for name in TEXTURES if name != 'solid')}"
                )


def glyphs(look: Look) -> Splits:
    """Render the shapes that are wanted.

    Returns:
        Splits with superclasses (families), masks of the visible shape, and factors: texture and background
        (indices of `TEXTURES`), hue, background_hue (radians), contrast (signed), rotation (radians), radius, x, y
        (pixels), stretch, clutter (fragments), occluded (0/1), noise.
    """
    chosen = class_numbers(range(len(SHAPES)) if look.only is None else look.only, tuple(SHAPES))
    return Splits(
        concatenate([_render_class(number, chosen, look.train_per_class, look, "train") for number in chosen]),
        concatenate([_render_class(number, chosen, look.test_per_class, look, "test") for number in chosen]),
    )


def _render_class(number: int, chosen: Sequence[int], count: int, look: Look, split: str) -> ImageSet:
    """All images of one of the ``chosen`` classes in one split, in chunks."""
    name = tuple(SHAPES)[number]
    factors, hidden = _draw(number, chosen, count, look, split)
    noise = stream(look.seed, "glyphs", split, name, "noise")
    images, masks = [], []
    for start in range(0, count, _CHUNK):
        shown, concealed = (
            {name: values[start : start + _CHUNK] for name, values in each.items()} for each in (factors, hidden)
        )
        image, mask = _compose(shown, concealed, look, noise)
        images.append(image)
        masks.append(mask)
    return ImageSet(
        images=torch.cat(images),
        labels=torch.full((count,), number),
        classes=tuple(SHAPES),
        superclasses=tuple(FAMILY_OF[name] for name in SHAPES),
        masks=torch.cat(masks),
        factors=factors,
    )


def _draw(
    number: int, chosen: Sequence[int], count: int, look: Look, split: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Factors (n,) to be reported, and those (n,) or (n, fragments) that only the renderer needs."""
    name, place = tuple(SHAPES)[number], chosen.index(number)
    # one row per image, so that a longer draw begins with the shorter one
    columns = iter(torch.rand(count, 32, generator=stream(look.seed, "glyphs", split, name, "factors")).unbind(1))
    fragments = torch.rand(count, 16, 8, generator=stream(look.seed, "glyphs", split, name, "fragments"))

    radius = _between(columns, look.scale) * look.size
    stretch = 1 + look.stretch * (2 * next(columns) - 1)
    room = (look.size / 2 - radius * torch.maximum(stretch, 1 / stretch)).clamp_min(0) * look.position
    textures, backgrounds = (
        [list(TEXTURES).index(texture) for texture in names or TEXTURES] for names in (look.textures, look.backgrounds)
    )
    whether, which = next(columns), next(columns)
    if look.texture_coupling is None:
        texture = _choice(which, textures)
    else:
        of_classes = [kind for kind in textures if kind != list(TEXTURES).index("solid")][: len(chosen)]
        texture = torch.tensor(of_classes)[_coupled(place, len(chosen), look.texture_coupling, whether, which)]
    brightness = 0.08 + 0.84 * next(columns)
    contrast = _between(columns, look.contrast)
    # brighter or darker than the background at random, where both fit; else whichever has the room
    upwards = torch.where(brightness + contrast > 1, False, next(columns) < 0.5) | (brightness - contrast < 0)
    contrast = torch.where(upwards, 1.0, -1.0) * contrast
    contrast = (brightness + contrast).clamp(0, 1) - brightness
    pieces = (next(columns) * (look.clutter + 1)).floor()
    factors = {
        "texture": texture,
        "background": _choice(next(columns), backgrounds),
        "hue": 2 * math.pi * next(columns),
        "background_hue": 2 * math.pi * next(columns),
        "contrast": contrast,
        "rotation": math.radians(look.rotation) * (2 * next(columns) - 1),
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
    whether_hue, whether_shape, which = next(columns), next(columns), next(columns)
    if look.hue_coupling is not None:
        hue = _coupled(place, len(chosen), look.hue_coupling, whether_hue, factors["hue"] / (2 * math.pi))
        factors["hue"] = 2 * math.pi / len(chosen) * hue
    hidden["shape"] = torch.tensor(chosen)[_coupled(place, len(chosen), look.shape_coupling, whether_shape, which)]
    return factors, hidden


def _between(columns: Iterator[Tensor], bounds: tuple[float, float]) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * next(columns)


def _choice(draws: Tensor, among: list[int]) -> Tensor:
    return torch.tensor(among)[(draws * len(among)).long()]


def _coupled(place: int, classes: int, coupling: float, whether: Tensor, which: Tensor) -> Tensor:
    """int64 (n,): the class's own ``place`` with probability ``coupling``, else another's, all alike; draws in 0..1."""
    others = [other for other in range(classes) if other != place] or [place]
    return torch.where(whether < coupling, place, _choice(which, others))


def _colour(brightness: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """(...) each -> (..., 3) red, green, blue, whose mean is the brightness."""
    phase = hue.unsqueeze(-1) - torch.tensor([0.0, 2 * math.pi / 3, 4 * math.pi / 3])
    return brightness.unsqueeze(-1) + 0.5 * saturation.unsqueeze(-1) * phase.cos()


def _plane(values: Tensor) -> Tensor:
    return values[:, None, None]


def _turned(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin = _plane(angle.cos()), _plane(angle.sin())
    return x * cos + y * sin, y * cos - x * sin


def _distance(shapes: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(n, H, W), negative inside: of each row's shape, a number of `SHAPES`."""
    values = torch.empty_like(x)
    for number in shapes.unique().tolist():
        rows = shapes == number
        values[rows] = tuple(SHAPES.values())[number](x[rows], y[rows])
    return values


def _compose(
    factors: dict[str, Tensor], hidden: dict[str, Tensor], look: Look, noise: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Render a chunk: uint8 images (n, C, H, W) and masks (n, H, W)."""
    middle = torch.arange(look.size, dtype=torch.float32) + 0.5
    rows, columns = torch.meshgrid(middle, middle, indexing="ij")
    x, y = columns - _plane(factors["x"]), _plane(factors["y"]) - rows  # y upwards
    from_middle = (columns - look.size / 2).unsqueeze(0), (rows - look.size / 2).unsqueeze(0)

    image = _background(from_middle, factors, hidden, look)
    _paint_fragments(image, columns, rows, hidden["fragments"], factors["clutter"], look)

    along, across = _turned(x, y, factors["rotation"])
    radius, stretch = _plane(factors["radius"]), _plane(factors["stretch"])
    distance = _distance(hidden["shape"], along / (radius * stretch), across * stretch / radius) * radius
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
    from_middle: tuple[Tensor, Tensor], factors: dict[str, Tensor], hidden: dict[str, Tensor], look: Look
) -> Tensor:
    """(n, 3, H, W): a colour, brighter towards one side, with a pattern."""
    u, v = _turned(*from_middle, hidden["background_angle"])
    slope = _plane(hidden["gradient"] / look.size) * u
    period = _plane(hidden["background_period"])
    surface = pattern(factors["background"], u / period, v / period) * _plane(hidden["background_strength"])
    colour = _colour(hidden["brightness"], hidden["background_saturation"], factors["background_hue"])
    return colour[:, :, None, None] + (slope + surface).unsqueeze(1)


def _paint_fragments(image: Tensor, columns: Tensor, rows: Tensor, draws: Tensor, pieces: Tensor, look: Look) -> None:
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
