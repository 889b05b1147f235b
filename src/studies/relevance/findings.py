"""What the study of relevance finds of one network: means over images, with what they come from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from src.core.estimate import Estimate
from src.core.shown import Shown
from src.methods.relevance.edge_overlap import Overlap
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate
from src.studies.protocol import Run
from src.studies.relevance.measures import NETWORK, Checked, MapName, Maps
from src.studies.relevance.options import Options

#: the check whose values are too far apart for a mean
INCOMPLETE = "incomplete"
AGAINST = ("edges", "chance", "shifted", "other")  # what overlap with edges is held against, after the edges themselves


@dataclass(frozen=True)
class Findings(Shown):
    """What the study finds of one network.

    Attributes:
        accuracy: on the images that were explained. chance: of guessing.
        checks: check -> map -> mean over the images for which it is defined; of ``incomplete`` the median.
        beyond: (method, control) -> how much more removal finds by the method than by the control, image by image.
        overlaps: (method, sign, held against) -> measure -> mean over images.
        undefined: (method, sign) -> images without relevance of this sign that stands out.
        classes: names. options: as they were asked.
        maps, checked: image by image.
    """

    accuracy: Estimate
    chance: float
    checks: Mapping[str, Mapping[MapName, Estimate]]
    beyond: Mapping[tuple[str, str], Estimate]
    overlaps: Mapping[tuple[str, str, str], Mapping[str, Estimate]]
    undefined: Mapping[tuple[str, str], int]
    classes: tuple[str, ...]
    options: Options
    maps: Maps
    checked: Checked

    @property
    def known(self) -> bool:
        """Whether the network is better than guessing; of another no map says anything."""
        return self.accuracy.low > self.chance


def findings_of(maps: Maps, checked: Checked, classes: tuple[str, ...], options: Options, run: Run) -> Findings:
    """Average over images, all by the same resamples."""
    count = len(maps.targets)
    weights = bootstrap_weights(count, resamples=run.resamples, seed=run.seed).double() / count
    checks = {
        check: {name: _median(each) if check == INCOMPLETE else mean_over_images(each, weights)
                for name, each in values.items()}
        for check, values in checked.values.items()
    }  # fmt: skip
    removed = checked.values.get("removal", {})
    beyond = {
        (method, control): mean_over_images(removed[name] - removed[MapName(control)], weights)
        for name in removed
        if (method := name.method) in maps.relevance and name.of == NETWORK
        for control in ("random", "sobel", "centre")
    }
    overlaps, undefined = {}, {}
    for method, signs in checked.overlaps.items():
        for sign, overlap in signs.items():
            undefined[method, str(sign)] = overlap.without_region
            for against in AGAINST:
                values: Overlap = getattr(overlap, against)
                overlaps[method, str(sign), against] = {
                    measure: mean_over_images(each, weights) for measure, each in values._asdict().items()
                }
    accuracy = mean_over_images(maps.right.double(), weights)
    return Findings(accuracy, 1 / len(classes), checks, beyond, overlaps, undefined, classes, options, maps, checked)


def mean_over_images(values: Tensor, weights: Tensor) -> Estimate:
    """With an interval over those images for which the value is defined.

    Args:
        values: (n,), NaN where it is not. weights: float64 (B, n), of each image in each resample.
    """
    values = values.double().cpu()
    defined = values.isfinite()
    count = int(defined.sum())
    if not count:
        return Estimate(math.nan, unit="images")
    samples = weights @ values.masked_fill(~defined, 0) / (weights @ defined.double())
    return estimate(Resampled(float(values[defined].mean()), samples), n=count, unit="images")


def _median(values: Tensor) -> Estimate:
    """Without an interval: it tells faults of an implementation, not differences between networks."""
    defined = values[~values.isnan()]
    return Estimate(float(defined.median()) if len(defined) else math.nan, n=len(defined), unit="images")
