"""Readings that other systems hand in by HTTP: checked one by one, journalled as one batch.

Who hands in is a source: `feed:NAME` for a bureau's system, whose channels the catalogue gives it
(`feed = "NAME"`), and `import:NAME` for an administrator, who brings in history of any channel;
that is stored, noted and not judged. No gateway's id has a colon, so none is taken for another.
A batch is known by the sender's own word for it, in the same commit as its readings.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_aggregator.api.times import parsed
from egret_aggregator.journal.receipt import Handed, Incoming, Verdict
from egret_core.codec import encode_batch, payload_hash
from egret_core.entries import entries_of
from egret_core.messages import TIME_MAX_MS, TIME_MIN_MS, Batch, ClockStamp, Kind
from egret_core.quality import FLAGS, Flag, Reason
from egret_core.reading import Reading
from egret_core.sources import FEED, IMPORT
from egret_core.topics import Leaf
from egret_core.units import UnitError, convert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.journal import Journal
    from egret_core.rules.model import ChannelPlace

READINGS_MAX = 1000  # of one request: far below the 64 kB of a batch once compressed
FRESH_MS = 600_000  # newer ones go ahead of backlog when the journal is short of room
_SEQ_MAX = 2**53 - 1
_KEYS = frozenset(
    ("station", "channel", "time", "value", "unit", "datum", "raw", "flag", "reasons")
)
_SEEN_MAX = 60  # characters of what is refused that are shown again


class Refused(NamedTuple):
    """An entry that is not taken: where it stood, a stable word, and what to do about it."""

    at: int
    why: str
    detail: str


class Checked(NamedTuple):
    """What a list of entries holds; every entry is in one of the two."""

    readings: list[Reading]
    refused: list[Refused]


class FeedAnswer(NamedTuple):
    """What became of a batch; `body` is what was answered at first."""

    verdict: Verdict
    body: Mapping[str, Any]


class EntryError(ValueError):
    """An entry that cannot be taken; `why` is a stable word."""

    def __init__(self, why: str, detail: str) -> None:
        self.why = why
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Feed:
    """The way in for other systems: to whom a channel belongs, where it goes, what time it is."""

    journal: Journal
    places: Catalogue
    now_ms: Callable[[], int]

    async def take(self, source: str, batch: str, entries: Sequence[Any]) -> FeedAnswer:
        """Journal what can be taken; return once that is durable.

        The same batch and content again is answered as at first, and journalled once.

        Raises:
            JournalError: the commit failed, nothing was taken.
            ValueError: the readings are larger than a batch may be.
        """
        try:
            text = json.dumps(entries, sort_keys=True)
        except RecursionError:
            raise ValueError("an entry is deeper than can be read") from None
        readings, refused = checked(entries, self.places, source)
        body = {"accepted": len(readings), "refused": [item._asdict() for item in refused]}
        if not readings:
            return FeedAnswer(Verdict.NEW, body)
        now_ms = self.now_ms()
        newest_ms = max(reading.time_ms for reading in readings)
        lane = Leaf.DATA if newest_ms > now_ms - FRESH_MS else Leaf.BACKLOG

        def made(seq: int) -> Incoming:
            return _incoming(source, seq, readings, lane, now_ms)

        made(_SEQ_MAX)  # too large a batch is found before the commit
        digest = hashlib.sha256(text.encode()).hexdigest()
        handed = Handed(source, batch, _log(source), digest, json.dumps(body).encode())
        verdict, told = await self.journal.feed(handed, made, now_ms)
        return FeedAnswer(verdict, json.loads(told))


def source_of(name: str, *, imports: bool) -> str:
    """Return the source that a token's name stands for."""
    return f"{IMPORT if imports else FEED}{name}"


def checked(entries: Sequence[Any], places: Catalogue, source: str) -> Checked:
    """Return the readings in entries, in canonical units, and what cannot be taken. Pure."""
    out = Checked([], [])
    seen: dict[tuple[str, str, int], Reading] = {}
    for at, entry in enumerate(entries):
        try:
            reading = _reading(entry, places, source)
        except EntryError as error:
            out.refused.append(Refused(at, error.why, str(error)))
            continue
        known = seen.setdefault(reading[:3], reading)
        if known is reading:
            out.readings.append(reading)
        else:
            why = "duplicate" if known == reading else "conflict"
            detail = "the batch has this station, channel and time already"
            out.refused.append(Refused(at, why, detail))
    return out


def _reading(entry: object, places: Catalogue, source: str) -> Reading:
    if not isinstance(entry, dict):
        raise EntryError(
            "not_an_object", "write an object with station, channel, time, value, unit"
        )
    unknown = entry.keys() - _KEYS
    if unknown:
        raise EntryError(
            "unknown_key", f"{_seen(min(unknown))}: known are {', '.join(sorted(_KEYS))}"
        )
    place = _place(entry, places, source)
    value, raw = _number(entry, "value"), _number(entry, "raw")
    flag, reasons = _quality(entry, missing=value is None)
    if value is not None:
        value = _canonical(entry, place, value)
    return Reading(place.station, place.channel, _time(entry), value, raw, flag, reasons)


def _place(entry: Mapping[str, Any], places: Catalogue, source: str) -> ChannelPlace:
    station, channel = entry.get("station"), entry.get("channel")
    place = None
    if isinstance(station, str) and isinstance(channel, str):
        place = places.place(station, channel)
    if place is None:
        raise EntryError(
            "unknown_channel",
            f"the catalogue has no channel {_seen(f'{station}/{channel}')}: have it added",
        )
    if place.gateway != source and not source.startswith(IMPORT):
        raise EntryError(
            "not_yours", f"{place.name} belongs to {place.gateway}: readings of it come from there"
        )
    return place


def _time(entry: Mapping[str, Any]) -> int:
    text = entry.get("time")
    try:
        time_ms = parsed(text) if isinstance(text, str) else None
    except ValueError as error:
        raise EntryError("bad_time", f"time {_seen(text)}: {error}") from None
    if time_ms is None or not TIME_MIN_MS <= time_ms <= TIME_MAX_MS:
        raise EntryError("bad_time", f"time {_seen(text)}: write an RFC 3339 time with an offset")
    return time_ms


def _number(entry: Mapping[str, Any], key: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        remedy = "write a number with a decimal point, or null for a missing one"
        raise EntryError("not_a_number", f"{key} {_seen(value)}: {remedy}")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise EntryError("not_a_number", f"{key} is not finite: write null and a flag of 9 or 4")
    return number


def _canonical(entry: Mapping[str, Any], place: ChannelPlace, value: float) -> float:
    unit, datum = entry.get("unit"), entry.get("datum", "")
    if not isinstance(unit, str):
        raise EntryError("wrong_unit", f"unit {_seen(unit)}: write the unit, e.g. {place.unit!r}")
    if datum != place.datum:
        raise EntryError(
            "wrong_datum", f"datum {_seen(datum)}: {place.name} is measured from {place.datum!r}"
        )
    try:
        number = convert(place.quantity, value, unit)
    except UnitError as error:
        raise EntryError("wrong_unit", str(error)[:300]) from None
    if not isfinite(number):
        raise EntryError("not_a_number", f"{value} {unit} is beyond a number")
    return number


def _quality(entry: Mapping[str, Any], *, missing: bool) -> tuple[int, int]:
    flag = entry.get("flag", int(Flag.MISSING if missing else Flag.GOOD))
    names = entry.get("reasons", [])
    if type(flag) is not int or flag not in FLAGS:
        raise EntryError("bad_quality", f"flag {_seen(flag)}: write 1, 2, 3, 4 or 9")
    if missing and flag not in (Flag.FAIL, Flag.MISSING):
        raise EntryError("bad_quality", "a value that is missing has flag 9 or 4")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise EntryError("bad_quality", f"reasons {_seen(names)}: write a list of names")
    unknown = [name for name in names if name not in Reason.__members__]
    if unknown:
        raise EntryError("bad_quality", f"no reason is called {_seen(unknown[0])}")
    bits = 0
    for name in names:
        bits |= int(Reason[name])
    return flag, bits


def _incoming(
    source: str, seq: int, readings: Sequence[Reading], lane: Leaf, now_ms: int
) -> Incoming:
    base_ms = min(reading.time_ms for reading in readings)
    log = _log(source)
    batch = Batch(
        gateway=source.partition(":")[0],
        log=log,
        seq=seq,
        kind=Kind.READINGS,
        meta_version="",
        cut_ms=now_ms,
        base_ms=base_ms,
        clock=ClockStamp(),
        entries=entries_of(readings, base_ms),
    )
    payload = encode_batch(batch)
    return Incoming(source, log, seq, payload_hash(payload), payload, lane, batch, {})


def _log(source: str) -> str:
    """Return a source's one log for ever, so that its seqs stay one range."""
    return hashlib.sha256(source.encode()).hexdigest()[:32]


def _seen(value: object) -> str:
    return repr(value)[:_SEEN_MAX]
