"""How names and numbers are written for people, the same on the screen, the page and in pictures."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from src.core.estimate import Estimate

NOTHING = "–"
_ACRONYMS = {
    word.lower(): word
    for word in ("F1", "TC", "FLOPs", "MACs", "AUC", "ROC", "ECE", "BN", "CNN", "GPU", "CPU", "ID", "IoU", "MSE", "RGB",
                 "NLL", "AUROC", "Brier", "CE", "mCE", "NV", "fp32", "LRP")
}  # fmt: skip
_NAMES = {
    "ood_accuracy": "Accuracy on distorted images",
    "over_seeds": "Means over seeds",
    "p_holm": "p (Holm)",
    "recall_of_branch": "Superclass recall",
    "why": "Reasons and sources",
    "within_branch": "Within superclass",
}
#: how people write what a key spells in words of its own
_SPELLED = {"z plus": "z+", "grad cam": "Grad-CAM", "stratified": "within classes"}
_NAME = re.compile(r"(?<![\w./=])[a-z0-9]+(_[a-z0-9]+)+(?![\w./=])")  # of a corruption or a method; no path, no key
HUGE = 1e15
_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


def pretty(name: str) -> str:
    """``other_accuracy`` -> ``Other accuracy``; a name that already has spaces or capitals is left as it is."""
    if name in _NAMES or any(letter.isspace() or letter.isupper() for letter in name):
        return _NAMES.get(name, name)
    words = name.replace("/", " ").replace("_", " ").split()
    said = " ".join(_ACRONYMS.get(word, word) for word in words)
    for spelled, written in _SPELLED.items():
        said = said.replace(spelled, written)
    return said[:1].upper() + said[1:] if words and words[0] not in _ACRONYMS else said


def unit_of(name: str, units: Mapping[str, str]) -> str:
    """The unit of a metric or column; ``test/accuracy`` takes that of ``accuracy`` where it has none of its own."""
    return units.get(name, units.get(name.rsplit("/", 1)[-1], ""))


def titled(name: str, unit: str) -> str:
    """A column's or an axis's title with its unit: ``F1 (%)``."""
    return f"{pretty(name)} ({unit})" if unit not in ("", "key") else pretty(name)


def shown(value: Any, unit: str) -> float:
    """The number that is written or drawn for a stored ``value``; what is no number becomes NaN."""
    if isinstance(value, bool) or value is None:
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number * 100 if unit in ("%", "points") else number


def writer(values: Sequence[Any], unit: str) -> Callable[[Any], str]:
    """A function that writes each of ``values`` with the same number of decimals, fitting the largest of them."""
    finite = [abs(number) for number in (shown(value, unit) for value in values) if math.isfinite(number)]
    whole = not unit and all(float(number).is_integer() for number in finite)
    largest = max(finite, default=0.0)
    decimals = 0 if whole or not largest else min(4, max(0, 2 - math.floor(math.log10(largest))))
    if unit in ("%", "points"):
        decimals = 1
    sign = "+" if unit == "points" else ""

    def write(value: Any) -> str:
        number = shown(value, unit)
        if not math.isfinite(number):
            return NOTHING
        if decimals == 0 and abs(number) >= HUGE:  # no letter stands for so many
            return f"{number:{sign}.3g}"
        if decimals == 0:
            for size, letter in _SI:
                if abs(number) >= size:
                    return f"{number / size:{sign}.3g} {letter}"
        if 1e-12 < abs(number) < 0.5 * 10**-decimals and decimals > 1:  # less is rounding, and so is -1e-17
            return f"{number:{sign}.1e}"
        said = f"{number:{sign},.{decimals}f}"
        return said if float(said.replace(",", "")) else f"{0:.{decimals}f}"  # no -0.0

    return write


def interval(low: Any, high: Any, write: Callable[[Any], str]) -> str:
    """``[83.1, 89.0]``, or nothing where a bound is missing."""
    said = (write(low), write(high))
    return "" if NOTHING in said else f"[{said[0]}, {said[1]}]"


def estimated(estimate: Estimate, unit: str) -> tuple[str, str]:
    """A metric's value and its interval as written."""
    write = writer([estimate.value], unit)
    return write(estimate.value), interval(estimate.low, estimate.high, write)


def quantity(text: str, unit: str) -> str:
    """A written number with its unit behind it, as for a single metric: ``86.2%``, ``+11.4 points``."""
    if text == NOTHING or not unit:
        return text
    return text + unit if unit == "%" else f"{text} {unit}"


def plain_text(value: Any) -> str:
    """Any other value in one line, without characters that could steer a terminal."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain_text(item) for item in value)
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def label(value: Any) -> str:
    """A value as figures name it, and tables where its unit is "key": ``gaussian noise`` for ``gaussian_noise``."""
    return _NAME.sub(lambda match: match[0].replace("_", " "), plain_text(value))


def leaves(nested: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path of keys, value) of all that lies in nested mappings; an empty one is a value."""
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def flat(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    return {".".join(path): value for path, value in leaves(nested)}


def ago(seconds: float) -> str:
    """``just now``, ``5 minutes ago``, ``3 hours ago``, ``2 days ago``."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' * (count != 1)} ago"
    return "just now"


def duration(seconds: float) -> str:
    """``0.42 s``, ``12.3 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
