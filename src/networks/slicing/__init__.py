"""Cuts sub-networks out of a network: slice plans, their verification, running and extracting what is kept."""

from src.networks.slicing.cutting import masked, slice_tensors
from src.networks.slicing.network import Runner, SlicedNetwork, extract
from src.networks.slicing.plan import KernelGroup, SlicePlan, Tap
from src.networks.slicing.planning import plan_for
from src.networks.slicing.recalibration import recalibrate
from src.networks.slicing.verification import verify

__all__ = [
    "KernelGroup", "Runner", "SlicePlan", "SlicedNetwork", "Tap", "extract", "masked", "plan_for",
    "recalibrate", "slice_tensors", "verify",
]  # fmt: skip
