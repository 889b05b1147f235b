"""The target classes of a patch, as the networks on both sides know them."""

from src.artifacts.options import PatchedOptions
from src.core.errors import UserError
from src.data.datamodule import ImageData


def check_target(options: PatchedOptions, strong: ImageData) -> None:
    """Say what is wrong with the target class in the words of the one who chose it, before the weak data is mixed."""
    given, chosen = shown(options), options.strong["data"].get("classes")
    numbers = list(chosen or range(len(strong.classes)))
    for item in options.targets:
        known = numbers if isinstance(item, int) else strong.classes
        if item not in known and any(isinstance(other, type(item)) for other in known):
            listed = ", ".join(f"{number} {name}" for number, name in zip(numbers, strong.classes, strict=True))
            raise UserError(f"target_class={given}: the strong network has no class {item}; its classes: {listed}")


def target_names(options: PatchedOptions, weak: ImageData, strong: ImageData) -> list[str]:
    """Names of the target classes, in the order in which they end the weak network's classes."""
    given, count = shown(options), len(options.targets)
    names = list(weak.classes[-count:])
    for name in names:
        if name not in strong.classes:
            raise UserError(
                f"target_class={given}: the strong network has no class '{name}'; "
                f"its classes: {', '.join(strong.classes)}"
            )
    if weak.input_shape != strong.input_shape:
        raise UserError(
            f"weak.data has images of shape {weak.input_shape}, strong.data {strong.input_shape}; "
            "give both sources the same size and channels"
        )
    if count >= len(strong.classes):
        raise UserError(f"target_class={given}: leave at least one class for the control with a wrong module")
    return names


def shown(options: PatchedOptions) -> int | str | list[int | str]:
    """The target class as it was written."""
    return options.targets if isinstance(options.target_class, tuple) else options.target_class
