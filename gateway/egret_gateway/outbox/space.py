"""What goes when room or time runs out: settled first, then old mild backlog, by name.

The current meta never goes; loss records go last of all. Runs inside the caller's transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core import seqranges
from egret_core.codec import decode_batch
from egret_core.entries import read_readings
from egret_core.errors import WireError
from egret_core.messages import Kind, Loss
from egret_gateway.outbox.cutting import read_draft
from egret_gateway.outbox.model import LOSS_CHANNELS_MAX, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egret_gateway.outbox.file import OutboxFile

PASS_ROWS = 256  # rows looked at in one pass
FREED_SHARE = 0.02  # of the limit is freed in one go, so that loss records stay few
AGED_LOOK_ROWS = 2000  # oldest rows looked at for age in one pass

_COLUMNS = "id, log, seq, state, hash, readings, kind, payload"
# In this order: DESIGN 6.3.
_VICTIMS = (
    "state != 0 AND kept = 0 AND kind = 'readings' ORDER BY id",
    "state != 0 AND kept = 0 ORDER BY id",
    "state = 0 AND kept = 0 AND kind = 'readings' AND urgent = 0 ORDER BY id",
    "state = 0 AND kept = 0 AND kind = 'readings' ORDER BY id",
    "state = 0 AND kept = 0 AND kind != 'loss' ORDER BY id",
)


class Span:
    """What a set of lost batches held."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.hashes: list[str] = []
        self.count = 0
        self.times: list[int] = []
        self.channels: set[str] = set()

    def take(self, seq: int, digest: str, readings: int, payload: bytes) -> None:
        """Count one batch; one that cannot be read any more counts by its row."""
        self.seqs.append(seq)
        self.hashes.append(digest)
        self.count += readings
        try:
            if digest == "":
                draft = read_draft(payload)
                self.channels.update(f"{s.station}/{s.channel}" for s in draft.samples)
                return
            found = read_readings(decode_batch(payload))
        except (WireError, ValueError, KeyError, TypeError):
            return
        self.times.extend(reading.time_ms for reading in found.dated)
        self.channels.update(f"{r.station}/{r.channel}" for r in found.dated)
        self.channels.update(f"{r.station}/{r.channel}" for r in found.undated)

    def loss(self, log: str, why: str, *, hashes: bool) -> Loss:
        """Return the record of it."""
        return Loss(
            log=log,
            seqs=seqranges.of_numbers(self.seqs),
            from_ms=min(self.times, default=None),
            to_ms=max(self.times, default=None),
            channels=tuple(sorted(self.channels)[:LOSS_CHANNELS_MAX]),
            count=self.count,
            why=why,
            hashes=tuple(self.hashes) if hashes else (),
        )


def give_way(file: OutboxFile, max_bytes: int) -> list[Loss]:
    """Free room where the file is over its limit; return the records of what was lost."""
    if file.used_bytes() <= max_bytes:
        return []
    goal = max_bytes * (1 - FREED_SHARE)
    spans: dict[int, Span] = {}
    for victims in _VICTIMS:
        while file.used_bytes() > goal:
            rows = file.db.execute(
                f"SELECT {_COLUMNS} FROM batch WHERE {victims} LIMIT ?",  # noqa: S608  (ours)
                (PASS_ROWS,),
            ).fetchall()
            if not rows:
                break
            # By halves: a row frees more than its payload, and none is to go for nothing.
            _drop(file, _enough(rows, (file.used_bytes() - goal) / 2), spans)
    return [span.loss(file.logs[no].id, "space", hashes=False) for no, span in spans.items()]


def drop_aged(file: OutboxFile, before_real_ms: int) -> int:
    """Delete settled batches cut before a date (their copy has served); return how many."""
    rows = file.db.execute(
        "SELECT id, log, seq, state, hash FROM"
        " (SELECT * FROM batch ORDER BY id LIMIT ?)"
        " WHERE state != 0 AND kept = 0 AND cut_real > 0 AND cut_real < ?",
        (AGED_LOOK_ROWS, before_real_ms),
    ).fetchall()
    file.remove(rows)
    return len(rows)


def quarantine(file: OutboxFile, row_id: int, why: str = "quarantined") -> Loss | None:
    """Set one batch aside; return its loss record, None where there is none to make.

    A refused loss record makes no further one: two sides that disagree would do so for ever.
    """
    row = file.db.execute(f"SELECT {_COLUMNS} FROM batch WHERE id = ?", (row_id,)).fetchone()  # noqa: S608
    if row is None or not file.quarantine(row_id) or row[6] == Kind.LOSS:
        return None
    span = Span()
    span.take(row[2], row[4], row[5], row[7])
    return span.loss(file.logs[row[1]].id, why, hashes=True)


def _enough(rows: Sequence[tuple[Any, ...]], over: float) -> Iterable[tuple[Any, ...]]:
    freed = 0.0
    for row in rows:
        if freed > over:
            return
        freed += len(row[7])
        yield row


def _drop(file: OutboxFile, rows: Iterable[tuple[Any, ...]], spans: dict[int, Span]) -> None:
    for row in rows:
        if row[3] == State.UNSETTLED:
            span = spans.setdefault(row[1], Span())
            span.take(row[2], row[4], row[5], row[7])
        file.remove([row[:5]])
