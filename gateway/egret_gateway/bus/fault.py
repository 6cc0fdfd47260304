"""How a transaction can end; the names are shown to people."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """How a transaction ended."""

    NONE = "ok"
    TIMEOUT = "timeout"
    CRC = "crc"
    EXCEPTION = "exception"
    QUARANTINED = "quarantined"
    BABBLE = "babble"
    MALFORMED = "malformed"  # an answer to the very request that answers something else
    UNPROVEN = "unproven"  # only our own bytes came back, and the line may be one that echoes
    PENDING = "pending"  # not an end: a measurement was started, or is still under way
