"""How networks and ways of measuring are called: in metrics, in tables, and in sentences."""

from src.studies.invariance.findings import EQUIVARIANCE, Network, Role, Way
from src.studies.invariance.options import Options

WAYS: dict[Way, str] = {
    "none": "each position of a map is a unit",
    "sum": "maps are summed first",
    "mean": "maps are averaged first",
    "max": "of each map the greatest value",
    EQUIVARIANCE: "maps moved back by the inverse transformation, each position a unit",
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


def called(role: Role, aside: bool) -> str:
    """A network in tables and on the screen: of one that stands aside an earlier epoch is compared."""
    return f"{role}, fully trained" if aside else role


def name_of(network: Network) -> str:
    """A network in tables."""
    return called(network.role, network.aside)
