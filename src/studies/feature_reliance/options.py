"""The options of the study of feature reliance; conf/study/feature_reliance.yaml has their values and comments."""

from typing import Annotated

from annotated_types import MinLen

from src.core.options import Count, options
from src.studies.locality.options import Sweep

VERSION = 2  # raised by hand when the findings change


@options
class Options:
    """What suppresses each cue.

    Attributes:
        shape, texture, colour: operations with their levels, at least two of each, so that no single one decides.
        variants: draws of what is random; an image's answers are averaged over them.
        images: of the test set, of each class in turn; None: all.
        batch: images perturbed and predicted at once.
    """

    shape: Annotated[tuple[Sweep, ...], MinLen(2)]
    texture: Annotated[tuple[Sweep, ...], MinLen(2)]
    colour: Annotated[tuple[Sweep, ...], MinLen(2)]
    variants: Count
    images: Count | None
    batch: Count

    @property
    def cues(self) -> dict[str, tuple[Sweep, ...]]:
        """Cue -> what suppresses it."""
        return {"shape": self.shape, "texture": self.texture, "colour": self.colour}
