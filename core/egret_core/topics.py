"""The MQTT topics, one function each way.

egret/v1/{gateway}/data | backlog | status | cmdack   up, QoS 1
egret/v1/{gateway}/ack | cmd                          down, QoS 0
egret/v1/centre/status                                down, retained
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TypeGuard

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,48}")
CENTRE = "centre"  # a reserved word: no gateway may bear it
_ROOT = "egret/v1"
CENTRE_STATUS = f"{_ROOT}/{CENTRE}/status"


class Leaf(StrEnum):
    """The last word of a gateway's topic."""

    DATA = "data"
    BACKLOG = "backlog"
    ACK = "ack"
    STATUS = "status"
    CMD = "cmd"
    CMDACK = "cmdack"


_LEAVES = frozenset(str(leaf) for leaf in Leaf)
UPWARD = (Leaf.DATA, Leaf.BACKLOG, Leaf.STATUS, Leaf.CMDACK)
DOWNWARD = (Leaf.ACK, Leaf.CMD)


def is_id(text: object) -> TypeGuard[str]:
    """Tell whether text may name a gateway, station or channel: `[A-Za-z0-9_-]{1,48}`."""
    return isinstance(text, str) and ID_PATTERN.fullmatch(text) is not None


def of(gateway: str, leaf: Leaf) -> str:
    """Return the topic of one gateway.

    Raises:
        ValueError: the id is not an id, or is the reserved word `centre`.
    """
    if not is_id(gateway) or gateway == CENTRE:
        raise ValueError(f"{gateway!r} cannot name a gateway")
    return f"{_ROOT}/{gateway}/{leaf}"


def everyone(leaf: Leaf) -> str:
    """Return the centre's subscription to one leaf of all gateways."""
    return f"{_ROOT}/+/{leaf}"


def parse(topic: str) -> tuple[str, Leaf] | None:
    """Return (gateway, leaf), or None where the topic is not a gateway's."""
    parts = topic.split("/")
    if len(parts) != 4 or f"{parts[0]}/{parts[1]}" != _ROOT:  # noqa: PLR2004  (root, gateway, leaf)
        return None
    gateway, leaf = parts[2], parts[3]
    if not is_id(gateway) or gateway == CENTRE or leaf not in _LEAVES:
        return None
    return gateway, Leaf(leaf)
