"""A tick passes over whoever has nothing to do, and nothing is said later or otherwise for it."""

from __future__ import annotations

import dataclasses
import random
from math import inf
from typing import TYPE_CHECKING

import pytest
from rig.rulebook import (
    FOUR,
    GATEWAY,
    SIGNALS,
    START_MS,
    TICK_MS,
    bound,
    fold_of,
    ladder,
    place,
    rain,
    reading,
    silence,
)

from egret_core.rules.model import Family
from egret_core.rules.screening_table import screening_of
from egret_core.rules.step import Change, Fold, Item, Receipt, Tick, step

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import ChannelPlace
    from egret_core.screening.law import ScreeningLaw

RIVER, GAUGE = place(), place("rn", "rain_total")
RULES = (
    bound(ladder(*FOUR, persistence_s=120, hold_s=60), Family.LEVEL, RIVER),
    bound(rain(*SIGNALS), Family.RAIN, GAUGE),
    bound(silence(300), Family.ABSENCE, RIVER, gateways=(GATEWAY,)),
)
# A limit shorter than the lateness: what wakes for the one must not sleep through the other.
SCREENING = screening_of(
    *("f", "k"),
    {
        "unit": "m",
        "range": {"fail": [0.0, 4.5], "suspect": [0.0, 4.0]},
        "flat_line": {"tolerance": 0.001, "suspect_s": 60, "fail_s": 120},
    },
    "water_level",
)
QUICK = (*RULES[:2], bound(silence(10), Family.ABSENCE, RIVER, GAUGE, gateways=(GATEWAY,)))


def stream(seed: int, minutes: int = 240) -> list[Item]:
    """Readings with every doubt there is, late ones, silences, and a centre that is down."""
    dice = random.Random(seed)
    rows: list[tuple[int, int, Item]] = []
    level, total, silent = 2.5, 100.0, 0
    for n in range(minutes * 2):
        second = 30 * n
        silent = silent - 1 if silent else dice.choice((0,) * 40 + (5, 15, 40))
        level = max(0.5, level + dice.choice((-0.4, 0.0, 0.41)) + 0.02 * (3 - level))
        total = round(total + dice.choice((0.0, 0.0, 0.5, 2.0)), 3)
        if silent:
            continue
        flag, reasons = dice.choice(((1, 0),) * 8 + ((3, 0), (4, 0), (1, 1)))
        delay_ms = dice.choice((500, 500, 500, 20_000, 40_000, 400_000))
        for one in (
            reading(second, round(level, 3), RIVER, flag, reasons),
            reading(second + 3, total, GAUGE, flag, reasons),
        ):
            at_ms = one.time_ms + delay_ms
            rows.append((at_ms, 1, Receipt(GATEWAY, at_ms, [one])))
    down = dice.randrange(minutes * 60)
    rows += [
        (now_ms, 0, Tick(now_ms))
        for now_ms in range(START_MS, START_MS + minutes * 60_000 + 900_000, TICK_MS)
        if not down <= (now_ms - START_MS) / 1000 < down + 400
    ]
    rows.sort(key=lambda row: row[:2])
    return [item for _, _, item in rows]


def played(
    items: list[Item], rules: tuple[object, ...], *, awake: bool, river: ChannelPlace = RIVER
) -> list[ConditionEvent]:
    """Play with a restart on the way; `awake`: every subject is ticked every time."""
    places = [river, GAUGE]
    fold = fold_of(places, rules)  # type: ignore[arg-type]
    out: list[ConditionEvent] = []
    disk: dict[str, bytes | None] = {}
    for at, item in enumerate(items):
        if at == len(items) // 2:
            disk.update(fold.changed())
            fold = Fold()
            step(fold, Change(places, rules, 0))  # type: ignore[arg-type]
            fold.restore({key: body for key, body in disk.items() if body is not None})
        if awake:
            for subject in fold._subjects:
                subject.wake_ms = -inf
        out += step(fold, item)[1]
    return out


@pytest.mark.parametrize("screening", [None, SCREENING], ids=["plain", "screened"])
@pytest.mark.parametrize("rules", [RULES, QUICK], ids=["usual", "quick"])
@pytest.mark.parametrize("seed", range(6))
def test_who_sleeps_says_the_same_at_the_same_item(
    seed: int, rules: tuple[object, ...], screening: ScreeningLaw | None
) -> None:
    items, river = stream(seed), dataclasses.replace(RIVER, screening=screening)
    slept = played(items, rules, awake=False, river=river)
    assert slept == played(items, rules, awake=True, river=river)
    assert len({event.hazard for event in slept}) >= 3


def test_most_ticks_are_slept_through() -> None:
    fold = fold_of([RIVER, GAUGE], RULES)
    ticked = 0
    for item in stream(1):
        if isinstance(item, Tick):
            running_ms = fold.running.at(item.now_ms)
            ticked += sum(running_ms >= subject.wake_ms for subject in fold._subjects)
        step(fold, item)
    ticks = sum(isinstance(item, Tick) for item in stream(1))
    assert ticked < 0.5 * 3 * ticks


def test_a_tick_that_settles_a_reading_is_saved_and_one_that_does_nothing_is_not() -> None:
    fold = fold_of([RIVER], [RULES[0]])
    fold.changed()
    step(fold, Receipt(GATEWAY, START_MS + 500, [reading(0, 1.0, RIVER)]))
    assert "channel/st1/wl" in fold.changed()
    late_ms = fold.channels["st1"]["wl"].late_ms
    saved = []
    for n in range(1, 12):
        step(fold, Tick(START_MS + n * TICK_MS))
        if "channel/st1/wl" in fold.changed():
            saved.append(n)
    assert len(saved) == 1, "when it is settled, and never again"
    assert saved[0] * TICK_MS - TICK_MS <= late_ms + 500 <= saved[0] * TICK_MS
    assert fold.channels["st1"]["wl"].settled_ms == START_MS
