"""Samples to batches: where a cut ends, how undated samples wait, how times are sealed. Pure.

An undated batch waits as a draft, JSON `{"boot", "cut", "mv", "e": [sample fields]}` with monotonic
times; it becomes a payload once, when its boot's clock is known or its boot is over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from egret_core.codec import canonical_json, encode_batch
from egret_core.entries import entries_of, undated_entry
from egret_core.messages import Batch, ClockStamp, Kind
from egret_core.quality import Flag, Reason
from egret_core.reading import Reading, Undated
from egret_gateway.outbox.model import BATCH_PLAIN_MAX_B, BATCH_READINGS_MAX
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ENTRY_FRAME_B = 110  # keys, numbers and quality of one entry, beside its two ids


@dataclass(frozen=True, slots=True)
class Draft:
    """A batch whose readings have no dates yet.

    Attributes:
        boot: whose monotonic clock stamped them; cut_mono_ms: when it was cut.
        meta_version: in force at the cut; samples: in order of arrival.
    """

    boot: str
    cut_mono_ms: int
    meta_version: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose batch it is: gateway, log and seq."""

    gateway: str
    log: str
    seq: int


def portions(samples: Sequence[Sample]) -> Iterator[tuple[Sample, ...]]:
    """Yield the samples in portions of at most 200 readings and 32 kB of JSON."""
    portion: list[Sample] = []
    size = 0
    for sample in samples:
        need = _ENTRY_FRAME_B + len(sample.station) + len(sample.channel)
        if portion and (
            len(portion) >= BATCH_READINGS_MAX or size + need > BATCH_PLAIN_MAX_B - _ENTRY_FRAME_B
        ):
            yield tuple(portion)
            portion, size = [], 0
        portion.append(_sound(sample))
        size += need
    if portion:
        yield tuple(portion)


def sealed(
    who: Identity,
    draft: Draft,
    dates: Sequence[int],
    cut_ms: int,
    clock: ClockStamp,
) -> bytes:
    """Return the payload of a draft whose samples have these dates, ms since 1970."""
    readings = [
        Reading(s.station, s.channel, date, s.value, s.raw, s.flag, s.reasons)
        for s, date in zip(draft.samples, dates, strict=True)
    ]
    base = dates[0]
    return _encoded(
        who, draft, cut_ms=cut_ms, base_ms=base, clock=clock, entries=entries_of(readings, base)
    )


def undated(who: Identity, draft: Draft) -> bytes:
    """Return the payload of a draft that can never be dated: no times, and flagged so."""
    entries = tuple(
        undated_entry(
            Undated(i, s.station, s.channel, s.value, s.raw, s.flag, s.reasons | Reason.UNDATED)
        )
        for i, s in enumerate(draft.samples)
    )
    return _encoded(who, draft, cut_ms=0, base_ms=0, clock=ClockStamp(), entries=entries)


def dates_of(draft: Draft, stamp: Callable[[int], int | None]) -> list[int] | None:
    """Return the date of every sample, None while even one has none."""
    dates: list[int] = []
    for sample in draft.samples:
        date = stamp(sample.mono_ms)
        if date is None:
            return None
        dates.append(date)
    return dates


def worked_out(draft: Draft) -> Draft:
    """Mark the samples of a draft that is dated after its cut."""
    samples = tuple(s._replace(reasons=s.reasons | Reason.CLOCK) for s in draft.samples)
    return Draft(draft.boot, draft.cut_mono_ms, draft.meta_version, samples)


def write_draft(draft: Draft) -> bytes:
    """Return a draft as the bytes that wait in the file."""
    return canonical_json(
        {
            "boot": draft.boot,
            "cut": draft.cut_mono_ms,
            "mv": draft.meta_version,
            "e": [list(sample) for sample in draft.samples],
        }
    )


def read_draft(body: bytes) -> Draft:
    """Return the draft in the file's own bytes."""
    value = json.loads(body)
    samples = tuple(Sample(*fields) for fields in value["e"])
    return Draft(value["boot"], value["cut"], value["mv"], samples)


def _encoded(
    who: Identity,
    draft: Draft,
    *,
    cut_ms: int,
    base_ms: int,
    clock: ClockStamp,
    entries: tuple[dict[str, Any], ...],
) -> bytes:
    return encode_batch(
        Batch(
            gateway=who.gateway,
            log=who.log,
            seq=who.seq,
            kind=Kind.READINGS,
            meta_version=draft.meta_version,
            cut_ms=cut_ms,
            base_ms=base_ms,
            clock=clock,
            entries=entries,
        )
    )


def _sound(sample: Sample) -> Sample:
    """Return the sample as JSON can carry it: NaN and infinity become a failed reading."""
    numbers = (sample.value, sample.raw)
    if all(number is None or isfinite(number) for number in numbers):
        return sample._replace(flag=int(sample.flag), reasons=int(sample.reasons))
    return sample._replace(
        value=None,
        raw=None,
        flag=int(Flag.FAIL),
        reasons=int(sample.reasons | Reason.NOT_A_NUMBER),
    )
