"""What the outbox holds, and how much of it."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.seqranges import Ranges
    from egret_gateway.sample import Sample

BATCH_READINGS_MAX = 200  # readings: about 10 kB plain, 2 kB compressed
BATCH_PLAIN_MAX_B = 32 * 1024  # bytes of JSON: half a payload even if zlib gains nothing
BUFFER_SAMPLES_MAX = 50_000  # samples not yet committed, while the disk refuses: about 10 MB
META_CHANNELS_MAX = 100  # channels in one meta batch: 100 x about 300 B
HELD_RANGES_MAX = 400  # ranges told in a status: 400 x 32 B stays well below 32 kB
HELD_LOGS_MAX = 32  # logs told in a status: 32 x 40 B
LOSS_RANGES_MAX = 400  # seq ranges in one loss record: 400 x 34 B stay below 32 kB
LOSS_CHANNELS_MAX = 200  # names in one loss record: 200 x 97 B stays below 32 kB
IDS_MAX = 1 << 60  # an id from here on is damage: new ones must find room above all others


class State(IntEnum):
    """What is known of a batch; in flight is only in memory."""

    UNSETTLED = 0
    SETTLED = 1
    QUARANTINED = 2


class LogRow(NamedTuple):
    """One log of the file; the one with the highest number takes new batches.

    In the file `next_seq` lags behind: it is written with a new log and with `OutboxFile.mark`.
    """

    no: int
    id: str
    next_seq: int
    meta: str


class NewRow(NamedTuple):
    """A batch about to be added under the next seq of the current log."""

    kind: str
    urgent: bool
    kept: bool
    readings: int
    cut_mono: int
    boot: str
    cut_real: int


class Parcel(NamedTuple):
    """A committed batch, ready to be sent byte for byte.

    Attributes:
        id: its row; ids grow with every commit.
        log, seq, hash: its identity and content hash.
        kind: `egret_core.messages.Kind`; urgent: it holds a reading over its `watch_at`.
        cut_mono_ms: monotonic time of its cut, None where another boot cut it.
        payload: the bytes.
    """

    id: int
    log: str
    seq: int
    hash: str
    kind: str
    urgent: bool
    cut_mono_ms: int | None
    payload: bytes


class Cut(NamedTuple):
    """Samples that become batches in one commit, and the conversion state they carry."""

    samples: Sequence[Sample]
    memory: Mapping[str, str]


class Requeued(NamedTuple):
    """The answer to a resend command."""

    queued: Ranges
    gone: Ranges


class Held(NamedTuple):
    """What a status says of the file: ranges by log, and how many ranges did not fit."""

    ranges: Mapping[str, Ranges]
    omitted: int
