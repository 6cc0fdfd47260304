"""Who readings come from when it is no gateway: a word, a colon, a name.

Gateways' ids have no colon (`egret_core.topics`), so none can be taken for such a source.
"""

from __future__ import annotations

GATEWAY = "gateway"  # first word of a subject that is a gateway: no station may bear it
FEED = "feed:"  # a bureau's system, by HTTP; it owns the channels that the catalogue gives it
IMPORT = "import:"  # history from a file: stored whoever owns the channel, never judged


def is_gateway(owner: str) -> bool:
    """Tell whether the owner of a channel is a gateway."""
    return not owner.startswith((FEED, IMPORT))


def subject_of(owner: str) -> str:
    """Return the subject of events about an owner of channels: ``gateway/ID`` or ``feed:NAME``."""
    return f"{GATEWAY}/{owner}" if is_gateway(owner) else owner
