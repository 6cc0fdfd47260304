"""Plays a timeline through the fold and compares what was said with what was expected. Pure.

The centre ticks every 10 s but where the timeline says that it was down; what came meanwhile is
taken at the end of that. Readings that came together from one gateway are one receipt. After the
last reading it is played on until all of it is settled. A rise that no `expect` names is a finding
too, unless the timeline leaves others alone: a false alarm is as wrong as a warning that did not
come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from egret_core.instants import length, rfc3339
from egret_core.reading import Reading
from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.explain import sentence
from egret_core.rules.model import CUT_S
from egret_core.rules.order import default_late_ms
from egret_core.rules.packs import meant
from egret_core.rules.step import Change as Rules
from egret_core.rules.step import Fold, Item, Receipt, Tick, step
from egret_core.rules.timeline_checks import refuse_idle
from egret_core.units import UnitError, canonical, convert

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from egret_core.rules.model import BoundRule, ChannelPlace
    from egret_core.rules.timeline import Expected, Script, Series

TICK_MS = 10_000  # as the intake ticks (DESIGN 7)
SEEN_MAX = 3  # events that a finding shows
_RISES = (Change.RAISED, Change.UPGRADED)
_RESTART = "restart"


class Finding(NamedTuple):
    """What is not as expected.

    Attributes:
        line: of the timeline; 0 for a rise that no line names.
        expected: the line's words; seen: what was said instead; remedy: what to do.
    """

    line: int
    expected: str
    seen: str
    remedy: str


@dataclass(slots=True)
class Played:
    """What came of a timeline: events in the order they were said, and findings."""

    events: list[ConditionEvent] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def play(script: Script, places: Sequence[ChannelPlace], rules: Sequence[BoundRule]) -> Played:
    """Return what the rules say over a timeline.

    Raises:
        ConfigError: a channel, unit, rule, subject or level that is not there, or a line that
            tests nothing (`timeline_checks`); names file and line.
    """
    by_key = {(place.station, place.channel): place for place in places}
    receipts = _receipts(script, by_key)
    refuse_idle(script, rules)
    end_ms = _end(script, places, receipts)
    events = _fold(script, (places, rules), _items(script, receipts, end_ms))
    return Played(events, _compared(script, events))


def readings(series: Series, place: ChannelPlace, start_ms: int) -> list[tuple[int, Reading]]:
    """Return (receipt, reading) of a series, canonical; a rise adds to the reading before.

    Raises:
        UnitError: its unit cannot measure the channel's quantity.
    """
    unit = series.unit or canonical(place.quantity)
    out: list[tuple[int, Reading]] = []
    last = 0.0
    for sample in series.samples:
        value = None
        if sample.number is not None:
            last = round(last + sample.number, 9) if sample.rises else sample.number
            value = convert(place.quantity, last, unit)
        time_ms, flag, reasons = start_ms + sample.time_ms, sample.flag, sample.reasons
        one = Reading(series.station, series.channel, time_ms, value, None, flag, reasons)
        out.append((start_ms + sample.received_ms, one))
    return out


def _receipts(
    script: Script, places: Mapping[tuple[str, str], ChannelPlace]
) -> dict[tuple[int, str], list[Reading]]:
    """Return the readings by receipt time and gateway."""
    out: dict[tuple[int, str], list[Reading]] = {}
    for series in script.series:
        place = places.get((series.station, series.channel))
        if place is None:
            name = f"{series.station}/{series.channel}"
            known = [one.name for one in places.values()]
            raise script.told(series.line, name, meant(name, known, "unknown channel"))
        try:
            for received_ms, reading in readings(series, place, script.start_ms):
                heard_ms = _heard_ms(script, received_ms)
                out.setdefault((heard_ms, place.gateway), []).append(reading)
        except UnitError as error:
            raise script.told(series.line, series.unit, str(error)) from None
    return out


def _heard_ms(script: Script, received_ms: int) -> int:
    """Return when the centre takes what comes at an instant: while it is down, at its end."""
    after_ms = received_ms - script.start_ms
    for first_ms, last_ms in sorted(script.down):
        if first_ms <= after_ms < last_ms:
            after_ms = last_ms
    return script.start_ms + after_ms


def _end(
    script: Script,
    places: Sequence[ChannelPlace],
    receipts: Mapping[tuple[int, str], Sequence[Reading]],
) -> int:
    """Return until when to play, ms since 1970."""
    if script.until_ms is not None:
        return script.start_ms + script.until_ms
    late_ms = max((default_late_ms(place, CUT_S) for place in places), default=0)
    last_ms = max((at for at, _ in receipts), default=script.start_ms)
    wanted_ms = script.start_ms + max(one.to_ms for one in script.expected)
    return max(last_ms, wanted_ms) + late_ms + 3 * TICK_MS


def _items(
    script: Script, receipts: Mapping[tuple[int, str], Sequence[Reading]], end_ms: int
) -> Iterator[Item | str]:
    """Yield what the journal would hold, in its order; ticks stand before what comes with them."""
    start_ms = script.start_ms
    down = [(start_ms + first, start_ms + last) for first, last in script.down]
    rows: list[tuple[int, int, Item | str]] = [
        (at_ms, 1, Receipt(gateway, at_ms, rows))
        for (at_ms, gateway), rows in receipts.items()
        if at_ms <= end_ms
    ]
    rows += [(start_ms + at_ms, 2, _RESTART) for at_ms in script.restarts]
    rows += [
        (now_ms, 0, Tick(now_ms))
        for now_ms in range(start_ms, end_ms + 1, TICK_MS)
        if not any(first <= now_ms < last for first, last in down)
    ]
    rows.sort(key=lambda row: row[:2])
    return iter([item for _, _, item in rows])


def _fold(
    script: Script,
    bound: tuple[Sequence[ChannelPlace], Sequence[BoundRule]],
    items: Iterator[Item | str],
) -> list[ConditionEvent]:
    fold = Fold()
    kept: dict[str, bytes | None] = {}
    out: list[ConditionEvent] = []
    step(fold, Tick(script.start_ms))
    step(fold, Rules(*bound, script.start_ms))
    for item in items:
        if isinstance(item, str):
            kept.update(fold.changed())
            fold = Fold()
            step(fold, Rules(*bound, 0))
            fold.restore({key: body for key, body in kept.items() if body is not None})
        else:
            out += step(fold, item)[1]
    return out


def _compared(script: Script, events: Sequence[ConditionEvent]) -> list[Finding]:
    out: list[Finding] = []
    named: set[int] = set()
    for one in script.expected:
        met = [at for at, event in enumerate(events) if _meets(script, one, event)]
        if one.change is None:
            out += [_unwanted(script, one, events[at]) for at in met[:1]]
        elif met:
            named.update(met)
        else:
            out.append(_missed(script, one, events))
    if not script.others:
        out += [
            _unnamed(script, event)
            for at, event in enumerate(events)
            if at not in named and event.phase is Phase.SETTLED and event.change in _RISES
        ]
    return out


def _meets(script: Script, one: Expected, event: ConditionEvent) -> bool:
    """Tell whether an event is what a line speaks of."""
    at_ms = event.time_ms - script.start_ms
    who = one.rule in ("", event.rule.partition("@")[0]) and one.subject in ("", event.subject)
    if not who:
        return False
    if one.change is None:
        return one.from_ms <= at_ms < one.to_ms and event.phase is not Phase.REFUTED
    changes = (Change(one.change),) if one.change else _RISES
    return (
        event.change in changes
        and one.level in ("", event.level)
        and str(event.phase) == one.phase
        and one.from_ms <= at_ms <= one.to_ms
        and one.reason in ("", event.reason)
    )


def _told(script: Script, event: ConditionEvent) -> str:
    after = length(event.time_ms - script.start_ms)
    return f"{event.phase}, {after} after the start: {sentence(event, script.offset_min)['en']}"


def _unwanted(script: Script, one: Expected, event: ConditionEvent) -> Finding:
    remedy = "change the rule, or expect it here"
    return Finding(one.line, one.text, _told(script, event), remedy)


def _missed(script: Script, one: Expected, events: Sequence[ConditionEvent]) -> Finding:
    """Return the finding with the events that come nearest: same change and level first."""
    changes = (Change(one.change),) if one.change else _RISES
    middle_ms = script.start_ms + (one.from_ms + one.to_ms) // 2

    def distance(event: ConditionEvent) -> tuple[bool, bool, int]:
        away_ms = abs(event.time_ms - middle_ms)
        return event.change not in changes, one.level not in ("", event.level), away_ms

    near = sorted(events, key=distance)[:SEEN_MAX]
    seen = " | ".join(_told(script, event) for event in near) or "no event at all"
    at = rfc3339(middle_ms, script.offset_min)
    return Finding(one.line, one.text, seen, f"that is {at}: correct the rule, or the line")


def _unnamed(script: Script, event: ConditionEvent) -> Finding:
    at = rfc3339(event.time_ms, script.offset_min)
    rule = event.rule.partition("@")[0]
    level = f'"{event.level}"' if " " in event.level else event.level
    line = f"expect {level} of {rule} on {event.subject} at {at} because {event.reason}"
    remedy = f"if it is right, write: {line}; if rises do not matter here: expect others"
    return Finding(0, "no other rise", _told(script, event), remedy)
