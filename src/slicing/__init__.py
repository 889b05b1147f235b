"""Cuts sub-networks out of a network: slice plans, their verification, running and extracting what is kept."""

from src.slicing.cutting import masked, slice_tensors
from src.slicing.network import SlicedNetwork, extract
from src.slicing.plan import KernelGroup, SlicePlan, Tap, at_least_one
from src.slicing.planning import plan_for
from src.slicing.recalibration import recalibrate
from src.slicing.verification import verify

__all__ = [
    "KernelGroup", "SlicePlan", "SlicedNetwork", "Tap", "at_least_one", "extract", "masked", "plan_for",
    "recalibrate", "slice_tensors", "verify",
]  # fmt: skip
