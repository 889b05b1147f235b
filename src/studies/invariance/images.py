"""The images that are measured, and the classes that their transformation exchanges."""

from collections.abc import Sequence

from src.core.errors import UserError
from src.data.image_set import ImageSet
from src.data.mixing import class_numbers
from src.data.ranks import rank_within_class
from src.report.session import Session
from src.studies.invariance.options import Options


def chosen_images(test: ImageSet, per_class: int | None, session: Session | None = None) -> ImageSet:
    """As many of each class, the first ones.

    Args:
        session: is told of images that are left out.

    Raises:
        UserError: a class has a single one.
    """
    images = test
    if per_class is not None:
        images = test.select((rank_within_class(test.labels) < per_class).nonzero()[:, 0])
    for name, count in zip(images.classes, images.per_class.tolist(), strict=True):
        if count == 1:
            raise UserError(
                f"data: class '{name}' has a single test image, and a spread within a class needs two; give it more, "
                "or leave it out of data.classes"
            )
    if session is not None and len(images) < len(test):
        session.event(f"study.images_per_class={per_class}: {len(images)} of {len(test)} test images")
    return images


def exchanged(options: Options, classes: Sequence[str]) -> list[int]:
    """Numbers of the classes that the transformation can exchange.

    Raises:
        UserError: one is not in the data, or none other is left.
    """
    ambiguous = list(options.ambiguous)
    if not ambiguous:
        return []
    try:
        numbers = class_numbers(ambiguous, classes)
    except UserError as error:
        raise UserError(f"study.ambiguous={ambiguous}: {error}") from None
    if len(numbers) == len(classes):
        raise UserError(f"study.ambiguous={ambiguous}: leaves no class; name only those that are exchanged")
    return numbers
