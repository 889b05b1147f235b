"""The options of ``task=local_global``; conf/task/local_global.yaml has their values and comments."""

from typing import Annotated, Any

from annotated_types import MinLen, Predicate

from src.artifacts.options import Resamples, TrainedOptions
from src.core.errors import UserError
from src.core.options import Count, Seed, Share, Words, options

STUDIES = ("locality", "feature_reliance", "shape_bias", "relevance")


@options
class LocalGlobal(TrainedOptions):
    """Networks that know texture to a known degree, and what measures them.

    Attributes:
        doses: shares of the training images whose texture is their class's own.
        networks: of each dose, with the seeds ``recipe.seed``, ``recipe.seed + 1`` ...
        images: of each class, drawn for the measures and never trained on.
        studies: name of a study -> its section.
    """

    doses: Annotated[
        tuple[Share, ...],
        MinLen(2),
        Predicate(lambda doses: len(set(doses)) == len(doses)),
        Words("a list of different shares, at least two"),
    ]
    networks: Count
    images: Count
    studies: dict[str, Any]
    seed: Seed
    resamples: Resamples

    def __post_init__(self) -> None:
        source = self.recipe["data"]["source"].get("name")
        if source != "glyphs":
            raise UserError(
                f"recipe.data.source.name={source}: doses of texture need glyphs, which are drawn with them; for other "
                "images take task=measure with study=locality, feature_reliance, shape_bias or relevance"
            )
        if sorted(self.studies) != sorted(STUDIES):
            raise UserError(f"studies={sorted(self.studies)}: allowed are {', '.join(STUDIES)}, each of them")
        if self.recipe["data"].get("classes") is None:
            raise UserError("recipe.data.classes=null: name at most 7 shapes; each gets a texture of its own")
