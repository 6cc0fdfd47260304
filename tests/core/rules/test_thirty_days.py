"""One month of levels, rain and silence: however it came, the same settled events (DESIGN 6.8)."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
from rig.lookback import Watch, backlog, live, past
from rig.month import FORTNIGHT, GAUGE, LEVEL, SEED, STEP_S, month
from rig.rulebook import (
    FOUR,
    GATEWAY,
    HOUR_MS,
    SIGNALS,
    Arrival,
    at,
    bound,
    ladder,
    prompt,
    rain,
    shuffled,
    silence,
    thrice,
    timeline,
)

from egret_core.rules.event import settled_hash
from egret_core.rules.model import Family

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egret_core.rules.event import ConditionEvent

PLACES = [LEVEL, GAUGE]
RULES = [
    bound(ladder(*FOUR, persistence_s=1200, hold_s=3600, gap_s=7200), Family.LEVEL, LEVEL),
    bound(silence(3600), Family.ABSENCE, LEVEL, GAUGE, gateways=(GATEWAY,)),
    bound(rain(*SIGNALS), Family.RAIN, GAUGE),
]
SPELLS = ((500, 560), (2000, 2030), (3100, 3112))
KILLS = 5


def played(arrivals: list[Arrival], kills: int = 0) -> list[ConditionEvent]:
    items = timeline(arrivals, tail_s=300)
    cuts = random.Random(SEED).sample(range(len(items)), kills)
    print(f"seed {SEED}, {len(arrivals)} arrivals, killed at {sorted(cuts)}")  # noqa: T201  (DESIGN 6.8: told)
    return Watch(PLACES, RULES).play(items, cuts)


@lru_cache(maxsize=1)
def whole() -> str:
    said = played(prompt(month(SPELLS)))
    assert len(said) > 200
    assert {event.hazard for event in said} == {"level", "rain", "absence"}
    return settled_hash(said)


def test_shuffled_within_the_lateness() -> None:
    assert settled_hash(played(shuffled(month(SPELLS), SEED))) == whole()


def test_every_reading_three_times() -> None:
    assert settled_hash(played(thrice(prompt(month(SPELLS)), SEED))) == whole()


def test_killed_at_five_points() -> None:
    assert settled_hash(played(prompt(month(SPELLS)), KILLS)) == whole()


def test_shuffled_three_times_and_killed() -> None:
    rows = thrice(shuffled(month(SPELLS), SEED), SEED)
    assert settled_hash(played(rows, KILLS)) == whole()


def test_another_month_has_another_hash() -> None:
    rows = month(SPELLS)
    rows[700] = rows[700]._replace(value=9.0)
    rows[702] = rows[702]._replace(value=9.0)
    rows[704] = rows[704]._replace(value=9.0)
    assert settled_hash(played(prompt(rows))) != whole()


def fortnight() -> tuple[list[Arrival], list[Arrival]]:
    """What came in time, and what came a fortnight late: oldest first, twenty a second."""
    heard = prompt(month([FORTNIGHT]))
    known = {(one.reading.channel, one.reading.time_ms) for one in heard}
    missed = [one for one in month(()) if (one.channel, one.time_ms) not in known]
    return heard, backlog(missed, FORTNIGHT[1] * STEP_S + 2000, 0.05)


@lru_cache(maxsize=1)
def backfilled() -> tuple[ConditionEvent, ...]:
    heard, late = fortnight()
    return tuple(played(sorted([*heard, *late], key=lambda one: one.received_ms)))


def test_a_fortnights_backfill_changes_no_absence_and_is_marked() -> None:
    heard, late = fortnight()
    assert len(late) == 2 * (FORTNIGHT[1] - FORTNIGHT[0])
    without = played(heard)
    said = backfilled()
    absences = [event for event in without if event.hazard == "absence"]
    assert [event for event in said if event.hazard == "absence"] == absences
    assert len(absences) >= 6
    from_ms, to_ms = at((FORTNIGHT[0] - 1) * STEP_S), at(FORTNIGHT[1] * STEP_S + 7)
    told = past(said)
    assert {event.hazard for event in told} == {"level", "rain"}
    assert all(from_ms < event.time_ms < to_ms for event in told)
    assert all(event.evidence["retrospective"] is True for event in told)
    assert not {event.id for event in told} & {event.id for event in live(said)}
    # The storm that reaches over the end is live, with the instants of one who heard it all.
    all_heard = played(prompt(month(())))
    now = [key for key in _of(live(said), "rain") if from_ms < key[0] < to_ms]
    assert now
    assert set(now) <= set(_of(all_heard, "rain"))
    assert now[-1][0] > to_ms - 6 * HOUR_MS
    # Levels: the live fold says what it said; of the gap, what one who heard all would have said.
    assert _of(live(said), "level") == _of(without, "level")
    everything = _of(all_heard, "level")
    begun = at((FORTNIGHT[0] + 6) * STEP_S)  # the state at the gap's start is the same
    end = at(FORTNIGHT[1] * STEP_S)
    inside = [key for key in everything if begun < key[0] < end]
    assert inside == [key for key in _of(told, "level") if key[0] > begun]
    assert len(inside) > 50


@pytest.mark.parametrize("kills", [0, KILLS])
def test_a_fortnights_backfill_shuffled_three_times_and_killed(kills: int) -> None:
    heard, late = fortnight()
    again = sorted([*thrice(heard, SEED), *late], key=lambda one: one.received_ms)
    assert settled_hash(played(again, kills)) == settled_hash(backfilled())


def _of(events: Iterable[ConditionEvent], hazard: str) -> list[tuple[int, str, str]]:
    return [(e.time_ms, str(e.change), e.level) for e in events if e.hazard == hazard]
