"""Writes batches into the file: readings, drafts and their sealing, meta, losses, a new log.

Every method runs inside one transaction of its caller.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from egret_core.codec import canonical_json, decode_batch, encode_batch, payload_hash
from egret_core.entries import loss_entry, meta_entry
from egret_core.messages import Batch, Kind
from egret_gateway.convert import COUNTERS, LOST
from egret_gateway.outbox import cutting, space
from egret_gateway.outbox.cutting import Draft, Identity
from egret_gateway.outbox.model import LOSS_RANGES_MAX, META_CHANNELS_MAX, NewRow, State
from egret_gateway.outbox.salvage import last_counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.messages import ChannelMeta, Loss
    from egret_gateway.clock import Clock
    from egret_gateway.outbox.file import OutboxFile
    from egret_gateway.outbox.model import Parcel
    from egret_gateway.sample import Sample

STEP_ROWS = 256  # rows sealed or cut anew in one transaction: the writer is never away for long


class Scribe:
    """Knows whose batches these are, what dates them, and which meta is in force."""

    def __init__(self, gateway: str, clock: Clock, metas: Sequence[ChannelMeta]) -> None:
        self.gateway = gateway
        self.clock = clock
        self._meta_entries = [meta_entry(meta) for meta in metas]
        self.meta_version = payload_hash(canonical_json(self._meta_entries)) if metas else ""

    def readings(self, file: OutboxFile, samples: Sequence[Sample]) -> list[Parcel]:
        """Cut samples into batches; those that cannot be dated yet wait as drafts."""
        return [self._portion(file, portion) for portion in cutting.portions(samples)]

    def meta(self, file: OutboxFile, older: Sequence[str] = ()) -> list[Parcel]:
        """Put our meta in force where another one is; tell the older logs we still hold."""
        if not self.meta_version or file.current.meta == self.meta_version:
            return []
        file.set_meta(self.meta_version, self._real_now())
        pieces = [
            self._meta_entries[at : at + META_CHANNELS_MAX]
            for at in range(0, len(self._meta_entries), META_CHANNELS_MAX)
        ]
        out = []
        for number, piece in enumerate(pieces):
            extra = {"older": list(older)} if older and number == 0 else {}
            out.append(self._special(file, Kind.META, tuple(piece), extra))
        return out

    def losses(self, file: OutboxFile, losses: Sequence[Loss]) -> list[Parcel]:
        """Record what was given up, one batch for each record that fits one."""
        return [
            self._special(file, Kind.LOSS, (loss_entry(piece),), {})
            for loss in losses
            for piece in _pieces(loss)
        ]

    def recall(self, file: OutboxFile) -> None:
        """Give counters whose memory was lost the one that their last batches still show."""
        known = file.memory()
        lost = {
            f"{entry['station']}/{entry['channel']}"
            for entry in self._meta_entries
            if entry["formula"] in COUNTERS
        } - set(known)
        if not lost:
            return
        found = last_counts(file, lost)
        file.remember({key: found.get(key, LOST) for key in lost})

    def seal_some(self, file: OutboxFile) -> int | None:
        """Date some drafts of this boot, end some of other boots; return the first one's id."""
        rows = file.db.execute(
            "SELECT id, log, seq, payload FROM batch WHERE state = 0 AND hash = ''"
            " AND (boot != ? OR ?) ORDER BY id LIMIT ?",
            (file.boot, self.clock.stamp(self.clock.mono_ms()) is not None, STEP_ROWS),
        ).fetchall()
        for row_id, log, seq, body in rows:
            draft = cutting.read_draft(body)
            who = Identity(self.gateway, file.logs[log].id, seq)
            file.seal(row_id, self._late_payload(who, draft, file.boot), self._real_now())
        return rows[0][0] if rows else None

    def move_in(self, file: OutboxFile) -> list[str]:
        """Open a log of our own where the file's batches name another gateway; return its logs."""
        foreign = file.foreign_logs(self.gateway)
        if file.current.id in foreign:
            file.open_log()
            self.meta(file)
        return foreign

    def new_log(self, file: OutboxFile) -> list[Parcel]:
        """Open a new log; its first meta names the older ones that still have batches here."""
        file.open_log()
        return self.meta(file, file.older())

    def recut_some(self, file: OutboxFile, former: str) -> int:
        """Cut some unsettled batches of a former log anew under the current one; how many.

        A batch whose bytes are no longer those that were committed is set aside, not spread.
        """
        log = next((row.no for row in file.logs.values() if row.id == former), file.current.no)
        if log == file.current.no:
            return 0
        rows = file.db.execute(
            "SELECT id, log, seq, state, hash, kind, urgent, readings, cut_mono, boot, cut_real,"
            " payload FROM batch WHERE log = ? AND state = ? ORDER BY id LIMIT ?",
            (log, State.UNSETTLED, STEP_ROWS),
        ).fetchall()
        last_real = file.last_real
        for row in rows:
            digest, kind, urgent, readings, cut_mono, boot, cut_real, payload = row[4:]
            draft = digest == ""
            if not draft and payload_hash(payload) != digest:
                loss = space.quarantine(file, row[0], "damaged")
                self.losses(file, [loss] if loss else [])
                continue
            file.remove([row[:5]])
            if not draft:
                batch = decode_batch(payload)
                if kind == Kind.META and batch.meta_version == file.current.meta:
                    continue  # the new log began with it
                log_now = file.current
                batch = replace(
                    batch, gateway=self.gateway, log=log_now.id, seq=log_now.next_seq, extra={}
                )
                payload = encode_batch(batch)
            new = NewRow(kind, bool(urgent), False, readings, cut_mono, boot, cut_real)
            file.add(new, payload, draft=draft)
        if rows:
            # The newest rows bear old dates now: they no longer tell when we last committed.
            file.last_real = last_real
            file.mark()
        return len(rows)

    def _portion(self, file: OutboxFile, samples: tuple[Sample, ...]) -> Parcel:
        now = self.clock.mono_ms()
        draft = Draft(file.boot, now, file.current.meta, samples)
        dates = cutting.dates_of(draft, self.clock.stamp)
        real = self._real_now()
        new = NewRow(
            kind=Kind.READINGS,
            urgent=any(sample.urgent for sample in samples),
            kept=False,
            readings=len(samples),
            cut_mono=now,
            boot=file.boot,
            cut_real=real,
        )
        cut = self.clock.stamp(now)
        if dates is None or cut is None:
            return file.add(new, cutting.write_draft(draft), draft=True)
        payload = cutting.sealed(self._next(file), draft, dates, cut, self.clock.stamped())
        return file.add(new, payload, draft=False)

    def _late_payload(self, who: Identity, draft: Draft, boot: str) -> bytes:
        dates = cutting.dates_of(draft, self.clock.stamp) if draft.boot == boot else None
        cut = self.clock.stamp(draft.cut_mono_ms)
        if dates is None or cut is None:
            return cutting.undated(who, draft)
        return cutting.sealed(who, cutting.worked_out(draft), dates, cut, self.clock.stamped())

    def _special(
        self, file: OutboxFile, kind: Kind, entries: tuple[object, ...], extra: Mapping[str, object]
    ) -> Parcel:
        now = self.clock.mono_ms()
        who = self._next(file)
        batch = Batch(
            gateway=who.gateway,
            log=who.log,
            seq=who.seq,
            kind=kind,
            meta_version=file.current.meta,
            cut_ms=self.clock.stamp(now) or 0,
            base_ms=0,
            clock=self.clock.stamped(),
            entries=entries,
            extra=extra,
        )
        new = NewRow(kind, False, kind == Kind.META, 0, now, file.boot, self._real_now())
        return file.add(new, encode_batch(batch), draft=False)

    def _next(self, file: OutboxFile) -> Identity:
        return Identity(self.gateway, file.current.id, file.current.next_seq)

    def _real_now(self) -> int:
        return self.clock.real_ms(self.clock.mono_ms()) or 0


def _pieces(loss: Loss) -> list[Loss]:
    """Return a record as records of at most so many ranges; the first one bears the count."""
    rest = range(LOSS_RANGES_MAX, len(loss.seqs), LOSS_RANGES_MAX)
    first = replace(loss, seqs=loss.seqs[:LOSS_RANGES_MAX])
    return [
        first,
        *(
            replace(
                loss, seqs=loss.seqs[at : at + LOSS_RANGES_MAX], count=0, channels=(), hashes=()
            )
            for at in rest
        ),
    ]
