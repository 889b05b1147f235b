"""How networks and ways of measuring are called: in metrics, in tables, and in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from src.studies.invariance.findings import (
    ACCURACIES,
    EQUIVARIANCE,
    UNTRAINED,
    Findings,
    LayerVariability,
    Network,
    Role,
    Way,
)
from src.studies.invariance.options import Options

#: family of transformations -> what it does, for a reader
DOES: dict[str, str] = {
    "rotation": "turning the image",
    "rot90": "turning the image by right angles",
    "flips": "mirroring the image",
    "scale": "scaling the image",
    "translation": "moving the image",
    "shear": "shearing the image",
    "noise": "adding noise to the image",
    "blur": "blurring the image",
    "brightness": "changing the image's brightness",
    "contrast": "changing the image's contrast",
}
#: family of transformations -> its name after "invariant to"
NAMES: dict[str, str] = {"rot90": "right-angle turns", "flips": "mirroring", "scale": "scaling"}
#: the name of each measure, the same in titles, columns and sentences
NV: dict[Way, str] = {
    "none": "NV positions",
    "sum": "NV sum",
    "mean": "NV mean",
    "max": "NV max",
    EQUIVARIANCE: "NV same equivariance",
}
WAYS: dict[Way, str] = {
    "none": "each position of a map counts by itself, so that a map that moves along is variable",
    "sum": "each map is summed to one number first, so that a map may move along and be invariant",
    "mean": "each map is averaged to one number first, so that a map may move along and be invariant",
    "max": "of each map its greatest value alone counts, so that a map may move along and be invariant",
    EQUIVARIANCE: "maps are moved back by the inverse transformation, then each position counts by itself",
}


#: class of a module -> what people call it; others by their class
KINDS = {
    "Conv2d": "convolution", "Linear": "linear", "LinearOnMap": "linear", "MaxPool2d": "max-pooling",
    "BatchNorm2d": "batch norm",
}  # fmt: skip
TERMS = {
    "accuracy": "Share of the test images as they are that are classified right.",
    "transformed_accuracy": "Share of the transformed images that are classified right.",
    "transformed_accuracy_unambiguous": "The same without the classes that the transformation turns into each other.",
    "nv": "Variability: spread over transformations of one image, as a share of that between images; 0 is invariant.",
    "nv_stratified": "NV between images of one class alone.",
    "depth": "Place of a layer: 0% the first, 100% the last.",
    "layer": "A step of the network, by its name in the code; its kind stands beside it.",
    "kind": "What the layer does: Conv2d finds one pattern everywhere (convolution), MaxPool2d keeps the greatest of "
    "neighbours, ReLU sets negative numbers to 0, Linear weighs all numbers below.",
    "units": "Numbers that a layer gives out (a map, a position of it, or an output); what is measured of each.",
    "dead": "Units that never change.",
    "infinite": "Units that only the transformation moves.",
    "rise": "NV of the second half of the layers minus that of the first; above 0, lower layers are more invariant.",
    "rank_correlation": "Whether NV grows with depth: 1 always, -1 it falls.",
    "transformation_spread": "How much a unit changes under the transformation.",
    "image_spread": "How much a unit differs between images.",
}


def key_of(way: Way) -> str:
    """A way of measuring in the name of a table or a metric."""
    return "positions" if way == "none" else way


def words_for(way: Way, options: Options) -> str:
    """What becomes of maps."""
    averaged = options.after == "mean" and way in ("none", EQUIVARIANCE)
    return WAYS[way] + (", spreads averaged over the positions of a map" if averaged else "")


def family_of(transformation: Mapping[str, Any]) -> str:
    """What a transformation is called."""
    family = str(transformation["family"])
    return NAMES.get(family, family.replace("_", " and "))


def does(transformation: Mapping[str, Any]) -> str:
    """What a transformation does, in words."""
    return DOES.get(str(transformation["family"]), "transforming the image")


def corners_of(transformation: Mapping[str, Any]) -> str:
    """What is seen where the moved image leaves the frame, and what that does to a measure; nothing of other families.

    Corners tell how far an image was moved, so that what answers to them looks variable (or right) for them alone.
    """
    said = {
        "fill": "Where the moved image leaves the frame, the corners are filled with "
        f"{'black' if not transformation.get('fill') else 'one grey value'}. A network may answer to these corners "
        "and not to the move. The control is transformation.corners=disc: only the inscribed disc is ever shown.",
        "reflect": "Where the moved image leaves the frame, it is mirrored, which shows a network what no image has.",
        "disc": "Only the inscribed disc is ever shown, so that no corner tells how far an image was moved.",
    }
    return said.get(str(transformation.get("corners")), "")


def layers_said(layers: Sequence[LayerVariability]) -> str:
    """What the names of layers stand for: "c1, c2, ... c5: convolution; c1act: ReLU"."""
    kinds: dict[str, list[str]] = {}
    for layer in layers:
        kinds.setdefault(KINDS.get(layer.kind, layer.kind), []).append(layer.name)
    return "; ".join(
        f"{', '.join(names if len(names) < 4 else [*names[:2], '... ' + names[-1]])}: {kind}"
        for kind, names in kinds.items()
    )


def rights(network: Network) -> str:
    """How much a network classifies right, and of which images."""
    moved = f"{network.transformed_accuracy.value:.1%} of transformed images"
    return moved if network.accuracy is None else f"{network.accuracy.value:.1%} of images as they are, {moved}"


def least_untrained(findings: Findings) -> str:
    """The end of a sentence where the untrained network varies least by some measure, which is no merit."""
    untrained = next((network for network in findings.shown if network.role == UNTRAINED), None)
    least = [
        f"{NV[way]} {each.mean.value:.2f}"
        for way, each in (untrained.variability if untrained else {}).items()
        if all(each.mean.high < trained.variability[way].mean.low for trained in findings.trained)
    ]
    if untrained is None or not least:
        return ""
    return (
        f"; the untrained network varies least ({', '.join(least)}), which is no merit: it need tell nothing apart for "
        f"that, and classifies {untrained.transformed_accuracy.value:.1%} of the transformed images right"
    )


def ways_of(options: Options) -> tuple[Way, ...]:
    """All ways in which NV is measured."""
    return (*options.each_aggregation, *((EQUIVARIANCE,) if options.same_equivariance else ()))


def terms(options: Options) -> dict[str, str]:
    """What the metrics and columns of one network mean."""
    said = {}
    for way in ways_of(options):
        key, name = f"nv_{key_of(way)}", NV[way]
        said[key] = f"Variability, mean over layers; {WAYS[way]}: 0 is invariant, 1 as variable as between images."
        said[f"{key}_stratified"] = f"{name} between images of one class alone."
        said[f"{key}_units"] = f"{name} as a mean over all units, where wide layers count more."
    return said | TERMS


def comparison_terms(options: Options) -> dict[str, str]:
    """What the metrics of two networks mean, one of which was trained on transformed images."""
    said: dict[str, str] = {}
    for way in ways_of(options):
        key, name = key_of(way), NV[way]
        said |= {
            f"nv_{key}_difference": f"{name} of the augmented network minus that of the plain one; below 0, training "
            f"on transformed images made it less variable ({WAYS[way]}).",
            f"nv_{key}_plain": f"{name} of the plain network, mean over layers: 0 is invariant.",
            f"nv_{key}_augmented": f"{name} of the augmented network, mean over layers: 0 is invariant.",
            f"lower_layers_{key}": f"{name} of the second half of the plain network's layers minus that of the first; "
            "above 0, lower layers are more invariant.",
            f"lower_layers_{key}_learned": f"The same minus that of the untrained network ({name}).",
        }
    roles = {"plain": "trained on images as they are", "augmented": "trained on transformed images"}
    said |= {
        f"{role}_{name}": f"{TERMS[name].rstrip('.')}, by the network {words}."
        for role, words in roles.items()
        for name in ACCURACIES
    }
    return (
        terms(options)
        | said
        | {
            "plain": "The network trained on images as they are.",
            "augmented": "The network trained on transformed images.",
            "untrained": "A control: the network with random weights.",
        }
    )


def called(role: Role, aside: bool) -> str:
    """A network in tables and on the screen: of one that stands aside an earlier epoch is compared."""
    return f"{role}, fully trained" if aside else role


def name_of(network: Network) -> str:
    """A network in tables."""
    return called(network.role, network.aside)
