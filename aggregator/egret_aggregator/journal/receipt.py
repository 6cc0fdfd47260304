"""What the intake hands to the journal, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_core.messages import Batch
    from egret_core.seqranges import Ranges
    from egret_core.topics import Leaf


class Verdict(StrEnum):
    """What became of one batch; all but `held` are durable when told."""

    NEW = "new"  # journalled
    AGAIN = "again"  # its seq is known but its hash is forgotten: journalled once more
    DUPLICATE = "duplicate"  # known, with the same hash
    CONFLICT = "conflict"  # known, with another hash: kept aside, never taken
    HELD = "held"  # not taken for want of room: not acknowledged, the gateway sends again

    @property
    def got(self) -> bool:
        """Whether the batch may be acknowledged."""
        return self in (Verdict.NEW, Verdict.AGAIN, Verdict.DUPLICATE)


class Incoming(NamedTuple):
    """A readable batch on its way into the journal.

    Attributes:
        gateway, log, seq: its identity; hash: of the payload, hex.
        payload: the bytes as sent; batch: what they say.
        lane: `data` for fresh, `backlog` else.
        lost: seqs it declares lost, by log (loss batches only).
    """

    gateway: str
    log: str
    seq: int
    hash: str
    payload: bytes
    lane: Leaf
    batch: Batch
    lost: Mapping[str, Ranges]


class Handed(NamedTuple):
    """A batch that its sender knows by a word of its own.

    Attributes:
        source: who sends, no gateway's id; word: the sender's own for the batch.
        log: the source's one log; digest: of the content as sent, hex.
        answer: JSON, kept with the word and given to whoever sends it again.
    """

    source: str
    word: str
    log: str
    digest: str
    answer: bytes
