"""What a payload is: a batch for the journal, or refused by name. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.journal.receipt import Incoming
from egret_core.codec import decode_batch, payload_hash
from egret_core.entries import read_losses
from egret_core.errors import WireError
from egret_core.messages import Kind, Reject
from egret_core.seqranges import EMPTY, union

if TYPE_CHECKING:
    from egret_core.messages import Batch
    from egret_core.seqranges import Ranges
    from egret_core.topics import Leaf


class Refused(NamedTuple):
    """A batch that cannot be taken.

    Attributes:
        gateway: the topic's, who is told; log, seq: "" and None where unreadable.
        hash: of the payload; why: a `Reject`; detail: for the operator, peer text quoted.
    """

    gateway: str
    log: str
    seq: int | None
    hash: str
    why: str
    detail: str


def read(gateway: str, lane: Leaf, payload: bytes) -> Incoming | Refused:
    """Return what came on a gateway's topic as something to journal, or refused.

    The answer depends on the bytes alone, so that every resend is answered alike.
    """
    digest = payload_hash(payload)
    try:
        batch = decode_batch(payload)
    except WireError as error:
        return Refused(gateway, "", None, digest, error.why, error.detail)
    if batch.gateway != gateway:
        detail = f"names {batch.gateway!r}"
        return Refused(gateway, batch.log, batch.seq, digest, Reject.FOREIGN, detail)
    return Incoming(gateway, batch.log, batch.seq, digest, payload, lane, batch, lost_by_log(batch))


def lost_by_log(batch: Batch) -> dict[str, Ranges]:
    """Return the seqs a loss batch declares lost, by log; {} for other kinds."""
    lost: dict[str, Ranges] = {}
    if batch.kind == Kind.LOSS:
        for record in read_losses(batch).records:
            lost[record.log] = union(lost.get(record.log, EMPTY), record.seqs)
    return lost
