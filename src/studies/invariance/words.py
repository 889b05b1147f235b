"""How networks and ways of measuring are called: in metrics, in tables, and in sentences."""

from collections.abc import Mapping
from typing import Any

from src.studies.invariance.findings import EQUIVARIANCE, Network, Role, Way
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
SHORT: dict[Way, str] = {
    "none": "each position of a map a unit",
    "sum": "maps summed",
    "mean": "maps averaged",
    "max": "greatest value of a map",
    EQUIVARIANCE: "maps moved back",
}
WAYS: dict[Way, str] = {
    "none": "each position of a map is a unit",
    "sum": "maps are summed first",
    "mean": "maps are averaged first",
    "max": "of each map the greatest value",
    EQUIVARIANCE: "maps moved back by the inverse transformation, each position a unit",
}


TERMS = {
    "accuracy": "Share of the test images as they are that are classified right.",
    "transformed_accuracy": "Share of the transformed images that are classified right.",
    "transformed_accuracy_unambiguous": "The same without the classes that the transformation turns into each other.",
    "nv": "Variability: spread over transformations of one image, as a share of that between images; 0 is invariant.",
    "nv_stratified": "NV between images of one class alone.",
    "depth": "Place of a layer: 0% the first, 100% the last.",
    "units": "Numbers that a layer gives out; what is measured of each.",
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


def aggregation_of(way: Way) -> str:
    """A way of measuring in a column of a table and in an event."""
    return "same equivariance" if way == EQUIVARIANCE else way


def words_for(way: Way, options: Options) -> str:
    """What becomes of maps."""
    averaged = options.after == "mean" and way in ("none", EQUIVARIANCE)
    return WAYS[way] + (", spreads averaged over the positions of a map" if averaged else "")


def does(transformation: Mapping[str, Any]) -> str:
    """What a transformation does, in words."""
    return DOES.get(str(transformation["family"]), "transforming the image")


def terms(options: Options) -> dict[str, str]:
    """What the metrics and columns of one network mean."""
    moved_back: tuple[Way, ...] = (EQUIVARIANCE,) if options.same_equivariance else ()
    said = {}
    for way in (*options.each_aggregation, *moved_back):
        key, words = f"nv_{key_of(way)}", SHORT[way]
        said[key] = f"Variability (NV), mean over layers; {words}: 0 is invariant, 1 as variable as between images."
        said[f"{key}_stratified"] = f"The same between images of one class alone ({words})."
        said[f"{key}_units"] = f"Mean over all units, where wide layers count more ({words})."
    return said | TERMS


def called(role: Role, aside: bool) -> str:
    """A network in tables and on the screen: of one that stands aside an earlier epoch is compared."""
    return f"{role}, fully trained" if aside else role


def name_of(network: Network) -> str:
    """A network in tables."""
    return called(network.role, network.aside)
