"""Flat rows for dashboards: one object per row, no nesting, the columns of a list always the same.

Pure: states, catalogue and the present in ms come in, rows go out. An empty cell is null, words in
one cell are joined by commas, and what is not judged is `unknown`, never an all-clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_aggregator.api.times import rfc3339
from egret_aggregator.store.model import Note, as_of_ms
from egret_aggregator.warnings.state import OBSERVED, State
from egret_core.quality import Flag, counts
from egret_core.rules.index import Standing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from egret_aggregator.catalogue import Catalogue, Station
    from egret_aggregator.store.model import StoredReading
    from egret_aggregator.warnings.state import WarningState

    Row = dict[str, Any]

NO_WARNING = "none"  # judged lately, and nothing stands
UNKNOWN = "unknown"  # nothing stands, but nothing was judged lately either
UNKNOWN_RANK = -1
SILENT_S = 86_400.0  # a station with nothing newer is unknown: none is read more rarely than daily
_FLAG_NAMES = {int(flag): flag.name for flag in Flag}


def annotation(state: WarningState, places: Catalogue, now_ms: int) -> Row:
    """Return a warning as Grafana's five columns; one that still stands reaches to the present."""
    end_ms = now_ms if state.closed is None else state.closed.time_ms
    words = [f"{state.subject} ({_name(places, state.station)})", f"on record {state.level}"]
    if state.peak_rank > state.rank:
        words.append(f"peak {_label(state, state.peak_rank)}")
    words.append(f"{state.condition}, {state.phase}")
    if state.retrospective:
        words.append("found in late readings")
    if state.basis != OBSERVED:
        words.append(f"by {state.basis}")
    words += [
        f"{word} by {mark.by}"
        for word, mark in (("acknowledged", state.acknowledged), ("closed", state.closed))
        if mark is not None
    ]
    if state.state is State.OPEN:
        words.append("nobody has acknowledged it")
    tags = (_label(state, state.peak_rank), state.hazard, str(state.state), state.station)
    return {
        "time": rfc3339(state.onset_ms),
        "timeEnd": rfc3339(max(end_ms, state.onset_ms)),
        "text": "; ".join(words),
        "title": f"{_label(state, state.peak_rank).upper()} {state.hazard} {state.subject}",
        "tags": ",".join(tag for tag in tags if tag),
    }


def left_out(at_ms: int, shown: int) -> Row:
    """Return the annotation that says that an answer was cut."""
    at = rfc3339(at_ms)
    return {
        "time": at,
        "timeEnd": at,
        "text": f"some warnings are not shown: there are more than {shown} in this span",
        "title": "MORE WARNINGS",
        "tags": "left_out",
    }


def warning(state: WarningState, places: Catalogue, now_ms: int) -> Row:
    """Return a standing warning as one row."""
    mark = state.acknowledged
    return {
        "id": state.id,
        "level": state.level,
        "rank": state.rank,
        "state": str(state.state),
        "condition": str(state.condition),
        "holding_level": state.holding_level,
        "phase": state.phase,
        "basis": state.basis,
        "retrospective": state.retrospective,
        "hazard": state.hazard,
        "station": state.station,
        "station_name": _name(places, state.station),
        "subject": state.subject,
        "rule": state.rule,
        "onset": rfc3339(state.onset_ms),
        "opened_at": rfc3339(state.opened_ms),
        "changed_at": rfc3339(state.changed_ms),
        "acknowledged_by": None if mark is None else mark.by,
        "age_s": (now_ms - state.onset_ms) / 1000,
    }


def standing_counts(pairs: Mapping[str, int]) -> Row:
    """Return a column for each standing: pairs of rule and channel; only `ok` is a judgement."""
    return {f"standing_{standing}": pairs.get(str(standing), 0) for standing in Standing}


def standing_level(standing: Sequence[WarningState], *, judged: bool) -> tuple[str, int]:
    """Return the highest level on record and its rank; `judged` is whether judgement is current.

    What was found in late readings is of the past: it stands, and is no level of now.
    """
    live = [state for state in standing if not state.retrospective]
    if live:
        worst = max(live, key=lambda state: state.rank)
        return worst.level, worst.rank
    return (NO_WARNING, 0) if judged else (UNKNOWN, UNKNOWN_RANK)


def station(
    place: Station,
    standing: Sequence[WarningState],
    latest: Mapping[tuple[str, str], StoredReading],
    now_ms: int,
    *,
    judged: bool,
    ruled: Collection[tuple[str, str]] = (),
) -> Row:
    """Return a station with its level, and how recent what is known of it is.

    One silent channel of those that rules judge (`ruled`; all, where they judge none here) leaves
    the level unknown.
    """
    rows = [
        latest[place.id, channel] for channel in place.channels if (place.id, channel) in latest
    ]
    newest = max((as_of_ms(row) for row in rows), default=None)
    good = [row for row in rows if _judged(row)]
    lately = {row.channel for row in good if now_ms - as_of_ms(row) <= SILENT_S * 1000}
    needed = {one for one in place.channels if (place.id, one) in ruled} or set(place.channels)
    heard = bool(lately) and needed <= lately
    level, rank = standing_level(standing, judged=judged and heard)
    return {
        "id": place.id,
        "name": place.name,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "level": level,
        "rank": rank,
        "warnings": len(standing),
        "unacknowledged": sum(state.state is State.OPEN for state in standing),
        "channels": len(place.channels),
        "channels_heard": len(good),
        "newest": None if newest is None else rfc3339(newest),
        "newest_age_s": None if newest is None else (now_ms - newest) / 1000,
    }


def latest(key: tuple[str, str], row: StoredReading | None, places: Catalogue, now_ms: int) -> Row:
    """Return the newest value of a channel, nulls for one that never spoke."""
    place = places.place(*key)
    return {
        "station": key[0],
        "station_name": _name(places, key[0]),
        "channel": key[1],
        "quantity": None if place is None else place.quantity,
        "unit": None if place is None else place.unit,
        "datum": None if place is None else place.datum or None,
        "known": place is not None,
        "time": None if row is None else rfc3339(row.time_ms),
        "value": None if row is None else row.value,
        "flag": None if row is None else row.flag,
        "flag_name": None if row is None else _FLAG_NAMES.get(row.flag, f"FLAG_{row.flag}"),
        "age_s": None if row is None else (now_ms - as_of_ms(row)) / 1000,
    }


def gateway(
    id_: str, status: Mapping[str, Any] | None, channels: int, last_seen_age_s: float | None
) -> Row:
    """Return a gateway as one row; `status` is None for one that never spoke."""
    told = status or {}
    outbox, clock, buses = told.get("outbox", {}), told.get("clock", {}), told.get("buses", {})
    return {
        "id": id_,
        "state": _gateway_state(status),
        "known": channels > 0,
        "channels": channels,
        "last_seen": told.get("last_seen"),
        "last_seen_age_s": last_seen_age_s,
        "missing_batches": told.get("missing_batches"),
        "outbox_bytes": outbox.get("bytes"),
        "outbox_unsettled": outbox.get("unsettled"),
        "outbox_oldest_s": _seconds(outbox.get("oldest_ms")),
        "clock_source": clock.get("source"),
        "clock_offset_s": _seconds(clock.get("offset_ms")),
        "buses": len(buses),
        "bus_faults": ",".join(
            f"{name}: {bus['fault']}" for name, bus in sorted(buses.items()) if bus.get("fault")
        ),
    }


def _judged(row: StoredReading) -> bool:
    """Tell whether a reading can be behind an all-clear: a failed or a foreign one is silence."""
    unjudged = row.notes & (Note.IMPORTED | Note.UNKNOWN_CHANNEL)
    return row.value is not None and counts(row.flag, row.reasons) and not unjudged


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _gateway_state(status: Mapping[str, Any] | None) -> str:
    if status is None:
        return "never_heard"
    if status.get("clone"):
        return "clone"
    return "online" if status.get("online") else "offline"


def _label(state: WarningState, rank: int) -> str:
    """Return a rank's own word in this warning, the level on record where it is not known."""
    return next((label for label, of in state.levels.items() if of == rank), state.level)


def _name(places: Catalogue, station: str) -> str:
    place = places.stations.get(station)
    return station if place is None else place.name
