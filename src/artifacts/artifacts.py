"""What the making of networks on demand needs of the job that asks for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from src.core.running import Running
from src.core.store import Store
from src.report.session import Session

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback


@dataclass(frozen=True)
class Callbacks:
    """What a user gives to the trainer of every network.

    Attributes:
        recipe: their part of what a network is made of; empty where there are none.
        make: fresh ones, for one training.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[[], Sequence["Callback"]] = tuple


@dataclass(frozen=True)
class Artifacts:
    """Networks, modules and images come from the store or are made now.

    Attributes:
        running: on which device, by how many workers; it decides nothing of what is made.
        store: where they are looked for and kept.
        session: is told of stages, curves and events.
        callbacks: take part in every training.
    """

    running: Running
    store: Store
    session: Session
    callbacks: Callbacks = Callbacks()
