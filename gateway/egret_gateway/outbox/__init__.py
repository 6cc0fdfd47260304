"""The gateway's durable queue: committed here, a reading cannot be lost."""

from egret_gateway.outbox.model import Held, Parcel, Requeued, State
from egret_gateway.outbox.outbox import Outbox

__all__ = ["Held", "Outbox", "Parcel", "Requeued", "State"]
