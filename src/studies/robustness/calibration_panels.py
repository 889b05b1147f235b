"""Reliability, confidence, entropy, and images of unknown classes, as tables and figures."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from src.core.estimate import columns_of
from src.core.result import Figure, Panel
from src.studies.robustness.calibration import Calibration, Detection, Histogram

SECTION, UNKNOWN = "Calibration", "Unknown classes"
CALIBRATION_TERMS = {
    "confidence": "The network's highest probability; what it says of its own certainty.",
    "entropy": "How spread out the network's probabilities are, in nats; 0 where it is sure of one class.",
    "entropy_right": "Entropy of the answers that are right.",
    "entropy_wrong": "Entropy of the answers that are wrong.",
    "brier": "Mean squared distance of the probabilities from the truth: 0 is best, 2 worst.",
    "nll_clipped": "NLL, with no probability taken for less than 1e-7.",
    "infinite_nll": "Images whose true class got no probability at all.",
    "auroc_confidence": "AUROC by the network's confidence.",
    "auroc_entropy": "AUROC by the entropy of its answers.",
    "confidence_known": "Mean confidence on images of known classes.",
    "confidence_unknown": "Mean confidence on images of unknown classes.",
    "entropy_known": "Mean entropy on images of known classes.",
    "entropy_unknown": "Mean entropy on images of unknown classes.",
}
SCORES_SAID = (
    "ECE: how far confidence lies from the share of right answers. NLL: mean surprise at the true class. Brier: mean "
    "squared distance of the probabilities from the truth. All three are best at 0. NLL leaves out images whose class "
    "has no probability at all (infinite NLL); clipped, they count as if it had 1e-7."
)
NOT_SHOWN = ("known", "unknown", "entropies_known", "entropies_unknown")  # of a detection, in its table


def calibration_panels(networks: Mapping[str, Calibration]) -> Iterator[Panel]:
    """Tables ``calibration``, ``reliability`` and two histograms, of networks by name."""
    yield Panel(
        SECTION,
        "calibration",
        [{"network": name, **asdict(network.scores)} for name, network in networks.items()],
        f"Clean test images. A network is too sure where its confidence is above its accuracy. {SCORES_SAID}",
        {
            **dict.fromkeys(("accuracy", "confidence", "ece", "auc"), "%"),
            **dict.fromkeys(("nll", "nll_clipped", "entropy", "entropy_right", "entropy_wrong"), "nats"),
        },
        title="How sure, and how often right",
    )
    yield Panel(
        SECTION,
        "reliability",
        [{"network": name, **row} for name, network in networks.items() for row in network.reliability],
        "Images sorted into bins of equal width by confidence: mean confidence and accuracy of each.",
        dict.fromkeys(("confidence", "accuracy", "share"), "%"),
        [Figure("lines", "reliability", "Does confidence hold what it says?", "Accuracy of the images of each "
                "confidence; dashed: a network that is as often right as it says. Below it, it is too sure. The "
                "accuracy of few images is left to chance.",
                x="confidence", y="accuracy", group="network", percent=True, diagonal=True)],
    )  # fmt: skip
    yield _histogram_panel(
        SECTION, "confidence_histogram", "network", "confidence", "%",
        {name: network.confidence for name, network in networks.items()},
        "How sure the answers are", "Share of the images by the highest probability.",
    )  # fmt: skip
    yield _histogram_panel(
        SECTION, "entropy_histogram", "network", "entropy", "nats",
        {name: network.entropy for name, network in networks.items()},
        "How spread out the answers are", "Share of the images by the entropy of the answer: 0 is sure of one class.",
    )  # fmt: skip


def detection_panels(networks: Mapping[str, Detection], unknown: str) -> Iterator[Panel]:
    """Tables ``unknown_classes`` and ``unknown_histogram``, of networks by name.

    Args:
        unknown: what the unknown images are, in words.
    """
    one = next(iter(networks.values()))
    yield Panel(
        UNKNOWN,
        "unknown_classes",
        [{"network": name, **columns_of(network, *NOT_SHOWN)} for name, network in networks.items()],
        f"{one.known} test images against {one.unknown} images of {unknown}, which show none of the classes. AUROC: "
        "how often a known image has the higher confidence, or the lower entropy, of a known and an unknown one "
        "(50: no better than chance), with 95% intervals over images.",
        {
            **dict.fromkeys(("auroc_confidence", "auroc_entropy", "confidence_known", "confidence_unknown"), "%"),
            **dict.fromkeys(("entropy_known", "entropy_unknown"), "nats"),
        },
        [Figure("bars", "unknown_classes", "Telling unknown images by their confidence",
                f"AUROC against {unknown}, with 95% intervals; 50 is chance.", x="network", y="auroc_confidence",
                percent=True, levels={"guessing": 0.5})] if len(networks) > 1 else [],
        title="Are unknown images told from known ones?",
    )  # fmt: skip
    histograms = {}
    for name, network in networks.items():
        histograms[f"{name}, known"] = network.entropies_known
        histograms[f"{name}, unknown"] = network.entropies_unknown
    yield _histogram_panel(
        UNKNOWN, "unknown_histogram", "images", "entropy", "nats", histograms,
        "Known and unknown images", "Share of the images by the entropy of the answer: 0 is sure of one class. The "
        "further apart the two, the better unknown images are told.",
    )  # fmt: skip


def _histogram_panel(
    section: str,
    table: str,
    group: str,
    column: str,
    unit: str,
    histograms: Mapping[str, Histogram],
    title: str,
    caption: str,
) -> Panel:
    """One row per histogram and bin, drawn as lines."""
    rows = [
        {group: name, column: middle, "share": share}
        for name, histogram in histograms.items()
        for middle, share in zip(histogram.middles, histogram.shares, strict=True)
    ]
    figure = Figure("lines", table, title, caption, x=column, y="share", group=group, percent=True)
    return Panel(section, table, rows, units={column: unit, "share": "%"}, figures=[figure])
