"""One line of the ledger, and the hash that chains it to the line before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from typing import Any, NamedTuple

GENESIS = "0" * 64  # what the first line is chained to


class Kind(StrEnum):
    """What a line records."""

    EVENT = "event"  # a condition event from the judge
    ACKNOWLEDGED = "acknowledged"
    LOWERED = "lowered"
    CLOSED = "closed"
    TOKEN_ADDED = "token_added"  # noqa: S105  (a kind of line, no secret)
    RESTORED = "restored"  # a backup was put back: what followed it is in none of these lines
    CREDENTIAL_ADDED = "credential_added"  # of a gateway, for the broker
    CREDENTIAL_ENDED = "credential_ended"
    CERTIFICATE_RENEWED = "certificate_renewed"  # the broker's own
    TOKEN_REVOKED = "token_revoked"  # noqa: S105  (same)
    PACE_ORDERED = "pace_ordered"  # of a station; that it was ordered, not that it was done


# Lines that change a warning, and so travel on the stream.
STREAMED = (Kind.EVENT, Kind.ACKNOWLEDGED, Kind.LOWERED, Kind.CLOSED)


class Head(NamedTuple):
    """The newest line: its seq (0 for an empty ledger) and hash."""

    seq: int
    hash: str


EMPTY = Head(0, GENESIS)


class Record(NamedTuple):
    """One line.

    Attributes:
        seq: 1, 2, 3 without a gap; time_ms: when it was recorded, the centre's clock.
        actor: `rule:ID@VERSION`, `ROLE:NAME` or `console`; kind: a `Kind`.
        warning: id of the warning concerned, "" for none.
        key: what makes a repeat the same line (an event's id, an act's key), None for none.
        body: canonical JSON; prev_hash, hash: 64 hex digits each.
    """

    seq: int
    time_ms: int
    actor: str
    kind: str
    warning: str
    key: str | None
    body: str
    prev_hash: str
    hash: str

    @property
    def content(self) -> dict[str, Any]:
        """The body, parsed."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


def canonical(value: object) -> str:
    """Return ASCII JSON with sorted keys and no blanks; NaN and infinity become words.

    A number that cannot be written must not stop a warning on its way to the ledger.
    """
    return json.dumps(
        _finite(value),
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )


def sealed(
    head: Head,
    *,
    time_ms: int,
    actor: str,
    kind: Kind,
    warning: str,
    key: str | None,
    body: object,
) -> Record:
    """Return the line that follows `head`."""
    text = canonical(body)
    seq = head.seq + 1
    digest = _digest(seq, time_ms, actor, str(kind), warning, key, text, head.hash)
    return Record(seq, time_ms, actor, str(kind), warning, key, text, head.hash, digest)


def is_sealed(record: Record) -> bool:
    """Tell whether a line's hash is the hash of what it says."""
    return record.hash == _digest(*record[:-1])


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def _finite(value: object) -> object:
    if isinstance(value, float) and not isfinite(value):
        return repr(value)
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
