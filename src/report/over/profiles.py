"""The profiles of a sweep's rows, such as the widths of a network's layers, as pictures at the top of its page."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from src.core.result import Explorer, Panel, Result, Step
from src.report.glossary import explained
from src.report.words import pretty, quantity, unit_of, writer

BAR, GAP, HEIGHT = 7, 2, 56  # pixels of the picture of a profile
COLOUR, GROUND = (47, 129, 199), (255, 255, 255)


def add_profiles(result: Result, explorer: Explorer) -> list[Step]:
    """Add pictures of the reference's profile and of those whose weight lies first and last.

    Returns:
        A box for each: its name, where its weight lies, and the mean of the first measure over its rows. None where
        the table has no profiles.
    """
    table, measure = result.tables[explorer.table], next(iter(explorer.measures), "")
    if not {explorer.profile, explorer.name, measure} <= table.keys():
        return []
    profiles: dict[str, list[float]] = {}
    values: dict[str, list[float]] = {}
    references: dict[str, str] = {}
    for row, (name, profile, value) in enumerate(
        zip(table[explorer.name], table[explorer.profile], table[measure], strict=True)
    ):
        if profile and value is not None:
            profiles[str(name)] = profile
            values.setdefault(str(name), []).append(value)
            if explorer.space and all(table.get(key, {row: None})[row] is None for key in explorer.space):
                references[str(name)] = "what the others are compared with"
    placed = sorted((name for name in profiles if name not in references), key=lambda name: centre(profiles[name]))
    ends = {placed[0]: "most of it early", placed[-1]: "most of it late"} if len(placed) > 1 else {}
    unit = unit_of(measure, result.units_of(explorer.table))
    highest = max((max(profiles[name]) for name in (references | ends)), default=1)
    said = explained(explorer.profile, result).rstrip(".") or pretty(explorer.profile)
    steps = []
    for number, (name, text) in enumerate((references | ends).items(), 1):
        picture, mean = f"profile_{number}", fmean(values[name])
        result.add(Panel("", picture, picture_of(profiles[name], highest)))
        written = quantity(writer([mean], unit)(mean), unit)
        title = name if not name.isdigit() else f"{pretty(explorer.name).lower()} {name}"
        steps.append(Step("against" if number > 1 else "", title, text if number > 1 else f"{said}; {text}",
                          f"{written} {pretty(measure).lower()}", picture))  # fmt: skip
    return steps


def centre(profile: Sequence[float]) -> float:
    """Where a profile's weight lies, in places from the first on."""
    return sum(place * value for place, value in enumerate(profile)) / (sum(profile) or 1)


def picture_of(profile: Sequence[float], highest: float) -> np.ndarray:
    """Bars side by side, uint8 (HEIGHT, w, 3); ``highest`` fills the height."""
    whole = np.full((HEIGHT, len(profile) * (BAR + GAP), 3), GROUND, np.uint8)
    for place, value in enumerate(profile):
        left, tall = place * (BAR + GAP), max(1, round(value / highest * HEIGHT))
        whole[HEIGHT - tall :, left : left + BAR] = COLOUR
    return whole
