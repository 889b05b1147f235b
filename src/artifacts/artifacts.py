"""What the making of networks on demand needs of the job that asks for them."""

from dataclasses import dataclass

from src.core.running import Running
from src.core.store import Store
from src.report.session import Session


@dataclass(frozen=True)
class Artifacts:
    """Networks, modules and images come from the store or are made now.

    Attributes:
        running: on which device, by how many workers; it decides nothing of what is made.
        store: where they are looked for and kept.
        session: is told of stages, curves and events.
    """

    running: Running
    store: Store
    session: Session
