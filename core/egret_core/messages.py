"""What travels: batches upward, acks and commands downward, statuses both ways.

These records are the promise on the wire; `egret_core.codec` turns them into bytes and back.
Fields a later version adds are kept in `extra`. Times are ms since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_core.seqranges import Ranges

VERSION = 1
PAYLOAD_MAX_B = 64 * 1024  # a broker's and a radio link's comfort; one batch, as sent
INFLATED_MAX_B = 1024 * 1024  # a bomb stops here
COMPRESS_ABOVE_B = 512  # below it zlib makes small bodies larger
ENTRIES_MAX = 4096  # a batch is cut at 200 readings; twenty times that is not one of ours
CONTROL_MAX_B = 32 * 1024  # ack, status, cmd, cmdack, centre status
ACK_GOT_MAX = 512  # items in one ack: 512 x about 40 B stays below CONTROL_MAX_B
HASH_B = 8  # bytes of SHA-256 that travel
LOG_B = 16  # bytes of a log's random id
INTEGER_MAX = 2**53 - 1  # beyond it JSON readers disagree
TIME_MIN_MS = -62_135_596_800_000  # the first instant of the year 1: RFC 3339 has four digits
TIME_MAX_MS = 253_370_764_799_999  # the last one of 9998: an hour more is still a date


class Kind(StrEnum):
    """Kinds of batch; others are journalled, acknowledged and shown."""

    READINGS = "readings"
    META = "meta"
    LOSS = "loss"


class ClockSource(StrEnum):
    """Where a gateway's time comes from, best first."""

    GNSS = "gnss"
    NTP = "ntp"
    RTC = "rtc"
    CENTRE = "centre"
    NONE = "none"


class Taking(StrEnum):
    """What the centre takes just now."""

    ALL = "all"
    FRESH = "fresh"
    NONE = "none"


class Reject(StrEnum):
    """Why a batch is refused; sent as `rej[].why`."""

    TOO_LARGE = "too_large"  # over 64 kB as sent
    BOMB = "bomb"  # over 1 MB inflated
    UNREADABLE = "unreadable"  # neither JSON nor zlib of it
    MALFORMED = "malformed"  # JSON, but not a batch: a field missing or of the wrong type
    VERSION = "version"  # a major version this centre does not speak: kept, sent again later
    FOREIGN = "foreign"  # names another gateway than its topic
    CONFLICT = "conflict"  # same identity, other content: the gateway opens a new log

    @property
    def final(self) -> bool:
        """Whether these bytes can never become valid, so that the gateway quarantines them."""
        return self not in (Reject.VERSION, Reject.CONFLICT)


RENEW = "renew"  # the command that hands a gateway its next credential; only over TLS
PACE = "pace"  # the command that makes stations be read faster, or normally again


class Outcome(StrEnum):
    """How a command ended, in a cmdack."""

    DONE = "done"
    QUEUED = "queued"
    GONE = "gone"
    REFUSED = "refused"
    EXPIRED = "expired"


class ClockStamp(NamedTuple):
    """The clock a batch was dated by: source, and its offset from that source in ms."""

    source: str = ClockSource.NONE
    offset_ms: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as it travels; identity (gateway, log, seq).

    Attributes:
        gateway: id of the sender, equal to its topic's.
        log: 32 hex digits, the random id of the outbox file.
        seq: from 1, never restarting within the log.
        kind: a `Kind`, or a word of a later version.
        meta_version: hash of the meta in force, "" before the first.
        cut_ms: when the batch was cut (`ts`).
        base_ms: base of the entries' times (`bt`).
        clock: what dated it.
        entries: the raw entries, checked one by one by their readers.
        extra: fields this version does not know.
    """

    gateway: str
    log: str
    seq: int
    kind: str
    meta_version: str
    cut_ms: int
    base_ms: int
    clock: ClockStamp
    entries: tuple[Any, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)


class BadEntry(NamedTuple):
    """An entry that is set aside: where it stood, a named reason, and its JSON text."""

    at: int
    why: str
    text: str


@dataclass(frozen=True, slots=True)
class ChannelMeta:
    """Facts of the device behind one channel; the gateway owns them.

    Attributes:
        station: place id; channel: quantity id there.
        quantity: a key of `egret_core.units.CANONICAL`.
        unit: its canonical unit.
        datum: vertical datum of a level, "" where the quantity has none.
        profile: device profile and version, e.g. ``vega-vegapuls-c@1``.
        period_s: how often it is read; cut_s: how long a batch may wait.
        formula: id of the conversion; constants: its numbers.
        watch_at: canonical value at which a reading travels at once; None for never.
        extra: further facts (position, serial number, calibration date).
    """

    station: str
    channel: str
    quantity: str
    unit: str
    datum: str = ""
    profile: str = ""
    period_s: float = 0.0
    cut_s: float = 1.0
    formula: str = "identity"
    constants: Mapping[str, float] = field(default_factory=dict)
    watch_at: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loss:
    """What a gateway had to give up: seqs of a log, the span and channels they held.

    Attributes:
        log: the log that lost them; seqs: inclusive ranges.
        from_ms: first reading's time, None where unknown; to_ms: the last one's.
        channels: ``station/channel`` names; count: readings lost.
        why: `space`, `quarantined`, `damaged`.
        hashes: payload hashes of quarantined batches, hex.
    """

    log: str
    seqs: Ranges
    from_ms: int | None
    to_ms: int | None
    channels: tuple[str, ...]
    count: int
    why: str
    hashes: tuple[str, ...] = ()


class Rejected(NamedTuple):
    """One refused batch: its payload hash, a reason, and its seq where it could be read."""

    hash: str
    why: str
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Ack:
    """The centre's word that batches are durable (or refused).

    Attributes:
        log: the log spoken of, "" where a refused body did not tell.
        got: (seq, hash) of every batch seen in this commit, new or known.
        rejected: refused ones.
        now_ms: the centre's time; run: its start, new each time.
    """

    log: str
    got: tuple[tuple[int, str], ...]
    rejected: tuple[Rejected, ...]
    now_ms: int
    run: str


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """A gateway's state: at connect, on change, every few minutes, and as its last will.

    Attributes:
        online: False in the last will.
        held: per log the seq ranges still in the outbox, settled or not.
        current_log: the log new batches go to.
        outbox: bytes, unsettled rows, age of the oldest unsettled in ms.
        clock: source and offset.
        buses: health by bus name, free-form numbers.
        sent_ms: the gateway's time; extra: what later versions add.
    """

    gateway: str
    online: bool
    held: Mapping[str, Ranges] = field(default_factory=dict)
    current_log: str = ""
    outbox: Mapping[str, int] = field(default_factory=dict)
    clock: ClockStamp = field(default_factory=ClockStamp)
    buses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sent_ms: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """An order to a gateway, repeated until answered or expired.

    Attributes:
        id: idempotency key; expires_ms: centre's time after which it is void.
        do: `resend` (args log, seqs), `renew` (args account, kind, secret), `pace` (args
            station, "" for all; state `normal`, `watch` or `event`; for_s) or a word of a later
            version.
        args: its arguments; now_ms: the centre's time at this sending.
    """

    id: str
    expires_ms: int
    do: str
    args: Mapping[str, Any]
    now_ms: int


@dataclass(frozen=True, slots=True)
class CommandAck:
    """A command's outcome.

    Attributes:
        id: the command's; outcome: an `Outcome`.
        log: of a resend; queued: seqs committed for sending; gone: seqs no longer held.
        detail: one line for people.
    """

    id: str
    outcome: str
    log: str = ""
    queued: Ranges = ()
    gone: Ranges = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CentreStatus:
    """The centre's state: every 60 s, retained, and as its last will (`taking` none)."""

    taking: str
    now_ms: int
    run: str
