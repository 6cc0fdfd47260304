"""Rules, channels and timelines for tests of judgement: short words for long records."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from egret_core.reading import Reading
from egret_core.rules.model import (
    AbsenceLaw,
    BoundRule,
    ChannelPlace,
    Family,
    LadderLaw,
    RainLaw,
    Rung,
    WindowLevel,
)
from egret_core.rules.step import Change, Fold, Item, Receipt, Tick, step

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import Law

GATEWAY = "GW-1"
START_MS = 1_500_000_000_000
TICK_MS = 10_000
HOUR_MS = 3_600_000
LATE_MS = 30_000


def place(channel: str = "wl", quantity: str = "water_level", station: str = "st1") -> ChannelPlace:
    units = {"water_level": "m", "rain_total": "mm"}
    datum = "Local" if quantity == "water_level" else ""
    return ChannelPlace(station, channel, quantity, units[quantity], datum, GATEWAY, 30.0)


def bound(
    law: Law, family: Family, *channels: ChannelPlace, gateways: tuple[str, ...] = ()
) -> BoundRule:
    names = tuple((one.station, one.channel) for one in channels)
    word = str(family)
    return BoundRule(word, "v1", f"{word}@1", "a test", family, word, names, gateways, law)


def ladder(
    *rungs: tuple[str, float, float],
    persistence_s: float = 0,
    hold_s: float = 0,
    gap_s: float = 3600,
) -> LadderLaw:
    ms = [round(s * 1000) for s in (persistence_s, hold_s, gap_s)]
    return LadderLaw(tuple(Rung(*rung) for rung in rungs), "m", "Local", *ms)


FOUR = (("blue", 3.0, 2.8), ("yellow", 3.5, 3.3), ("orange", 4.0, 3.8), ("red", 5.0, 4.8))
SIGNALS = (("blue", 1, 12, 50), ("yellow", 2, 6, 50), ("orange", 3, 3, 50), ("red", 4, 3, 100))


def rain(*levels: tuple[str, int, float, float], dry_s: float = 3600) -> RainLaw:
    made = [
        WindowLevel(label, rank, round(hours * HOUR_MS), round(mm * 1_000_000))
        for label, rank, hours, mm in levels
    ]
    made.sort(key=lambda level: -level.rank)
    return RainLaw(tuple(made), round(dry_s * 1000))


def silence(limit_s: float) -> AbsenceLaw:
    return AbsenceLaw("fault", round(limit_s * 1000))


class Arrival(NamedTuple):
    """A reading and when the centre received it."""

    received_ms: int
    reading: Reading
    gateway: str = GATEWAY


def at(second: float) -> int:
    return START_MS + round(second * 1000)


def reading(
    second: float,
    value: float | None,
    on: ChannelPlace | None = None,
    flag: int = 1,
    reasons: int = 0,
) -> Reading:
    on = on or place()
    return Reading(on.station, on.channel, at(second), value, None, flag, reasons)


def prompt(readings: Iterable[Reading], lag_ms: int = 500) -> list[Arrival]:
    """Every reading received in order, a little after its time."""
    return [Arrival(one.time_ms + lag_ms, one) for one in readings]


def shuffled(
    readings: Iterable[Reading], seed: int, most_ms: int = LATE_MS - 1000
) -> list[Arrival]:
    """Every reading delayed by less than the lateness, so that their order is mixed."""
    dice = random.Random(seed)
    late = [Arrival(one.time_ms + dice.randrange(most_ms), one) for one in readings]
    return sorted(late, key=lambda arrival: arrival.received_ms)


def thrice(arrivals: Iterable[Arrival], seed: int) -> list[Arrival]:
    """Every arrival three times, the copies up to a minute after."""
    dice = random.Random(seed)
    copies = [
        Arrival(one.received_ms + extra, one.reading)
        for one in arrivals
        for extra in (0, dice.randrange(1, 60_000), dice.randrange(1, 60_000))
    ]
    return sorted(copies, key=lambda arrival: arrival.received_ms)


def timeline(
    arrivals: Sequence[Arrival], tail_s: float = 120, *, ticks: bool = True, head_s: float = 0
) -> list[Item]:
    """Arrivals with the centre's ticks between them, and for a while after."""
    first = START_MS - round(head_s * 1000)
    last = max((one.received_ms for one in arrivals), default=first) + round(tail_s * 1000)
    rows: list[tuple[int, int, Item]] = [
        (one.received_ms, 1, Receipt(one.gateway, one.received_ms, [one.reading]))
        for one in arrivals
    ]
    if ticks:
        rows += [(now, 0, Tick(now)) for now in range(first, last, TICK_MS)]
    rows.sort(key=lambda row: row[:2])
    return [item for _, _, item in rows]


def fold_of(
    places: Sequence[ChannelPlace], rules: Sequence[BoundRule], now_ms: int = START_MS
) -> Fold:
    fold = Fold()
    step(fold, Tick(now_ms))
    step(fold, Change(places, rules, now_ms))
    return fold


def play(fold: Fold, items: Iterable[Item]) -> list[ConditionEvent]:
    return [event for item in items for event in step(fold, item)[1]]


def outlived(
    places: Sequence[ChannelPlace],
    rules: Sequence[BoundRule],
    items: Sequence[Item],
    cuts: Container[int],
) -> tuple[list[ConditionEvent], Fold]:
    """Play with a fold that is thrown away at every cut and read back from its saved state."""
    fold = fold_of(places, rules)
    disk: dict[str, bytes | None] = {}
    out: list[ConditionEvent] = []
    for index, item in enumerate(items):
        out += step(fold, item)[1]
        if index in cuts:
            disk.update(fold.changed())
            fold = Fold()
            step(fold, Change(places, rules, 0))
            fold.restore({key: body for key, body in disk.items() if body is not None})
    return out, fold


def killed(
    places: Sequence[ChannelPlace],
    rules: Sequence[BoundRule],
    items: Sequence[Item],
    cuts: set[int],
) -> list[ConditionEvent]:
    """Return what is said by a fold that is killed at every cut."""
    return outlived(places, rules, items, cuts)[0]


def river_and_storm(
    seed: int, steps: int, silent: Sequence[tuple[int, int]] = (), step_s: int = 60
) -> list[Reading]:
    """A flashy river and a storm, one reading a step each, with spells of silence."""
    dice, level, total = random.Random(seed), 2.5, 100.0
    river, gauge, out = place(), place("rn", "rain_total"), []
    for n in range(steps):
        level = max(0.5, level + dice.choice((-0.4, -0.1, 0.0, 0.1, 0.45)) + 0.02 * (3 - level))
        total = round(total + dice.choice((0.0, 0.0, 0.2, 1.4)), 3)
        if not any(start <= n < end for start, end in silent):
            out.append(reading(step_s * n, round(level, 3), river))
            out.append(reading(step_s * n + 7, total, gauge))
    return out


def brief(
    events: Iterable[ConditionEvent], phase: str | None = "settled"
) -> list[tuple[str, str, float]]:
    """Return (change, level, seconds since the start) of the events of a phase."""
    return [
        (str(event.change), event.level, (event.time_ms - START_MS) / 1000)
        for event in events
        if phase is None or event.phase == phase
    ]
