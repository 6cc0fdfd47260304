"""The entries of a batch, one reader and one writer per kind; a bad entry is set aside by name.

A reading entry: `s` station, `c` channel, `t` ms relative to `bt` (absent where it can never be
dated), `v` value or null, `r` raw (only where conversion is not the identity), `q` quality flag
(omitted when 1), `f` reason bits (omitted when 0). Fields of later versions stay in the batch.
"""

from __future__ import annotations

import json
from dataclasses import fields
from math import isfinite
from operator import itemgetter
from sys import float_info
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.codec import is_log, is_plain_json
from egret_core.messages import (
    INTEGER_MAX,
    TIME_MAX_MS,
    TIME_MIN_MS,
    BadEntry,
    Batch,
    ChannelMeta,
    Loss,
)
from egret_core.quality import FLAGS, REASONS_MAX
from egret_core.reading import Reading, Undated
from egret_core.seqranges import told
from egret_core.topics import is_id
from egret_core.units import UnitError, canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

_DURATION_MAX_S = 31 * 86_400.0  # a longer cut would hold judgement back for ever
_TEXT_MAX = 2000  # characters of a bad entry that are kept
_GOOD = 1
_PLAIN = itemgetter("s", "c", "t", "v")
_PLAIN_KEYS = 4
_FLOAT_MAX = float_info.max


class Readings(NamedTuple):
    """What a batch of kind `readings` holds."""

    dated: list[Reading]
    undated: list[Undated]
    bad: list[BadEntry]


class Metas(NamedTuple):
    """What a batch of kind `meta` holds."""

    channels: list[ChannelMeta]
    bad: list[BadEntry]


class Losses(NamedTuple):
    """What a batch of kind `loss` holds."""

    records: list[Loss]
    bad: list[BadEntry]


def reading_entry(reading: Reading, base_ms: int) -> dict[str, Any]:
    """Return a dated reading as an entry; ValueError for NaN or infinity."""
    entry = _value_entry(reading.station, reading.channel, reading.value, reading.raw)
    entry["t"] = reading.time_ms - base_ms
    return _with_quality(entry, reading.flag, reading.reasons)


def undated_entry(reading: Undated) -> dict[str, Any]:
    """Return a reading that can never be dated as an entry: it has no `t`."""
    entry = _value_entry(reading.station, reading.channel, reading.value, reading.raw)
    return _with_quality(entry, reading.flag, reading.reasons)


def read_readings(batch: Batch) -> Readings:
    """Return the readings of a batch; every entry ends in exactly one of the three lists."""
    out = Readings([], [], [])
    base = batch.base_ms
    ids: set[str] = set()  # seen to be ids in this batch: most entries then take the short way
    add, make = out.dated.append, tuple.__new__
    span = (max(-INTEGER_MAX, TIME_MIN_MS - base), min(INTEGER_MAX, TIME_MAX_MS - base))
    first, last = span
    for index, entry in enumerate(batch.entries):
        if _is_plain(entry, ids):
            s, c, t, v = _PLAIN(entry)
            if first <= t <= last:
                add(make(Reading, (s, c, base + t, v, None, _GOOD, 0)))
                continue
        why = _why_bad(entry, span)
        if why:
            out.bad.append(BadEntry(index, why, _text(entry)))
            continue
        ids.update((entry["s"], entry["c"]))
        get = entry.get
        value, raw = get("v"), get("r")
        value = None if value is None else float(value)
        raw = None if raw is None else float(raw)
        offset = get("t")
        flag, reasons = get("q", _GOOD), get("f", 0)
        if offset is None:
            out.undated.append(Undated(index, entry["s"], entry["c"], value, raw, flag, reasons))
        else:
            out.dated.append(
                Reading(entry["s"], entry["c"], base + offset, value, raw, flag, reasons)
            )
    return out


def meta_entry(meta: ChannelMeta) -> dict[str, Any]:
    """Return channel facts as an entry; unknown facts ride along."""
    entry = {f.name: getattr(meta, f.name) for f in fields(meta) if f.name != "extra"}
    return {**entry, "constants": dict(meta.constants), **meta.extra}


def read_metas(batch: Batch) -> Metas:
    """Return the channel facts of a batch; facts of later versions are kept in `extra`."""
    out = Metas([], [])
    known = {f.name for f in fields(ChannelMeta)} - {"extra"}
    for index, entry in enumerate(batch.entries):
        why = _why_bad_meta(entry)
        if why:
            out.bad.append(BadEntry(index, why, _text(entry)))
            continue
        facts = {key: value for key, value in entry.items() if key in known}
        extra = {key: value for key, value in entry.items() if key not in known}
        out.channels.append(ChannelMeta(**facts, extra=extra))
    return out


def loss_entry(loss: Loss) -> dict[str, Any]:
    """Return a loss record as an entry."""
    return {f.name: getattr(loss, f.name) for f in fields(loss)}


def read_losses(batch: Batch) -> Losses:
    """Return the loss records of a batch."""
    out = Losses([], [])
    for index, entry in enumerate(batch.entries):
        try:
            out.records.append(_loss(entry))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            out.bad.append(BadEntry(index, f"loss: {error}"[:80], _text(entry)))
    return out


def _value_entry(
    station: str, channel: str, value: float | None, raw: float | None
) -> dict[str, Any]:
    for number in (value, raw):
        if number is not None and not isfinite(number):
            raise ValueError(f"{station}/{channel}: {number} cannot travel")
    entry: dict[str, Any] = {"s": station, "c": channel, "v": value}
    if raw is not None:
        entry["r"] = raw
    return entry


def _with_quality(entry: dict[str, Any], flag: int, reasons: int) -> dict[str, Any]:
    if flag != _GOOD:
        entry["q"] = int(flag)
    if reasons:
        entry["f"] = int(reasons)
    return entry


def _is_plain(entry: object, ids: set[str]) -> bool:
    """Tell whether an entry is nothing but s, c, t and v, of known ids: good at first sight."""
    if type(entry) is not dict or len(entry) != _PLAIN_KEYS:
        return False
    try:
        s, c, t, v = _PLAIN(entry)
        return (
            type(v) is float
            and -_FLOAT_MAX <= v <= _FLOAT_MAX
            and type(t) is int
            and s in ids
            and c in ids
        )
    except (KeyError, TypeError):
        return False


def _why_bad(entry: object, span: tuple[int, int]) -> str:
    """Return why a reading entry is set aside, "" for a good one; `t` must lie in the span."""
    if not isinstance(entry, dict):
        return "not an object"
    if not (is_id(entry.get("s")) and is_id(entry.get("c"))):
        return "s or c is not an id"
    if not (_is_time(entry.get("t")) and _is_number(entry.get("v")) and _is_number(entry.get("r"))):
        return "t, v or r is not a number"
    offset = entry.get("t")
    if offset is not None and not span[0] <= offset <= span[1]:
        return "t is not within the years 1 to 9998"
    flag, reasons = entry.get("q", _GOOD), entry.get("f", 0)
    if type(flag) is not int or flag not in FLAGS:
        return "q is not a QARTOD flag"
    if type(reasons) is not int or not 0 <= reasons <= REASONS_MAX:
        return "f is not a set of reason bits"
    return ""


def _is_number(value: object) -> bool:
    if value is None:
        return True
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INTEGER_MAX


def _is_time(value: object) -> bool:
    return value is None or (_is_number(value) and isinstance(value, int))


def _why_bad_meta(entry: object) -> str:
    if not isinstance(entry, dict):
        return "not an object"
    if not (is_id(entry.get("station")) and is_id(entry.get("channel"))):
        return "station or channel is not an id"
    try:
        home = canonical(str(entry.get("quantity")))
    except UnitError:
        return "unknown quantity"
    if entry.get("unit") != home:
        return f"unit is not {home}"
    for key in ("datum", "profile", "formula"):
        if not isinstance(entry.get(key, ""), str):
            return f"{key} is not text"
    if not is_plain_json(entry):
        return "a fact is not plain JSON"
    return _why_bad_facts(entry)


def _why_bad_facts(entry: dict[str, Any]) -> str:
    numbers: tuple[Any, ...] = (
        entry.get("period_s", 0.0),
        entry.get("cut_s", 1.0),
        entry.get("watch_at"),
    )
    if not all(_is_number(number) for number in numbers) or None in numbers[:2]:
        return "period_s, cut_s or watch_at is not a number"
    if not all(0 <= number <= _DURATION_MAX_S for number in numbers[:2]):
        return "period_s or cut_s is not within a month"
    if not isinstance(entry.get("constants", {}), dict):
        return "constants is not an object"
    return ""


def _loss(entry: dict[str, Any]) -> Loss:
    if not is_plain_json(entry):
        raise ValueError("not plain JSON")
    if not is_log(entry["log"]):
        raise ValueError("log is not 32 hex digits")
    times = (entry["from_ms"], entry["to_ms"])
    if not all(_is_time(time) for time in times):
        raise ValueError("from_ms or to_ms is not a time")
    return Loss(
        log=entry["log"],
        seqs=told(entry["seqs"]),
        from_ms=times[0],
        to_ms=times[1],
        channels=tuple(str(name) for name in entry["channels"]),
        count=int(entry["count"]),
        why=str(entry["why"]),
        hashes=tuple(str(text) for text in entry.get("hashes", ())),
    )


def _text(entry: object) -> str:
    try:
        text = json.dumps(entry, ensure_ascii=False)[:_TEXT_MAX]
    except RecursionError:
        return "(deeper than can be written)"
    return text.encode("utf-8", "backslashreplace").decode()


def entries_of(readings: Sequence[Reading], base_ms: int) -> tuple[dict[str, Any], ...]:
    """Return the entries of dated readings, in order."""
    return tuple(reading_entry(reading, base_ms) for reading in readings)
