"""Ladder and rain rule against the plainest possible reckoning of the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from rig.rulebook import FOUR, HOUR_MS, SIGNALS, bound, ladder, place, rain

from egret_core.rules.event import Phase
from egret_core.rules.ladder import Ladder
from egret_core.rules.model import Family
from egret_core.rules.rain import Rain
from egret_core.rules.total import NM_PER_MM

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent

GAUGE = place("rn", "rain_total")
STEPS_S = st.sampled_from([60, 60, 300, 3600, 4 * 3600, 13 * 3600])


def ranks(events: list[ConditionEvent]) -> list[tuple[int, int]]:
    """Return (time, rank) of every settled step."""
    return [(e.time_ms, e.rank) for e in events if e.phase is Phase.SETTLED]


@given(st.lists(st.floats(0, 6).map(lambda x: round(x, 2)), max_size=80))
def test_a_ladder_without_delays_is_the_textbook_one(values: list[float]) -> None:
    law = ladder(*FOUR)
    machine, out = Ladder(bound(law, Family.LEVEL, place()), law, "st1/wl"), []
    expected, rank = [], 0
    for n, value in enumerate(values):
        if not machine.quiet_from <= value < machine.quiet_below:
            machine.settle(n, value, out)
        up = sum(value >= on for _, on, _ in FOUR)
        down = rank
        while down and value < FOUR[down - 1][2]:
            down -= 1
        new = up if up > rank else down
        if new != rank:
            expected.append((n, new))
        rank = new
    assert ranks(out) == expected


@given(st.lists(st.tuples(st.sampled_from([60, 300, 700]), st.sampled_from([2.0, 2.9, 3.1, 4.1]))))
def test_persistence_is_a_stretch_without_a_reading_below(rows: list[tuple[int, float]]) -> None:
    law = ladder(("blue", 3.0, 0.0), persistence_s=600, gap_s=650)
    machine, out = Ladder(bound(law, Family.LEVEL, place()), law, "st1/wl"), []
    now, readings = 0, []
    for wait_s, value in rows:
        now += wait_s * 1000
        readings.append((now, value))
        machine.settle(now, value, out)
    expected = None
    for at, (ms, _) in enumerate(readings):
        start = at
        while start >= 0 and readings[start][1] >= 3.0:
            if ms - readings[start][0] >= 600_000:
                expected = ms
                break
            start -= 1
        if expected is not None:
            break
    assert ranks(out) == ([(expected, 1)] if expected is not None else [])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(STEPS_S, st.integers(-1, 60)), max_size=60))
def test_rain_levels_are_the_sums_of_their_windows(rows: list[tuple[int, int]]) -> None:
    law = rain(*SIGNALS)
    machine, out = Rain(bound(law, Family.RAIN, GAUGE), law, "st1/rn"), []
    now, total, falls = 0, 500, []
    machine.settle(now, total, out)
    expected, rank, wet_ms = [], 0, 0
    for wait_s, mm in rows:
        now += wait_s * 1000
        if mm < 0:
            total = 500  # a new device: what it shows is a new base
        else:
            total += mm
            falls.append((now, mm, wait_s * 1000))
            wet_ms = now if mm else wet_ms
        machine.settle(now, total, out)
        top = 0
        for _, level, hours, depth in SIGNALS:
            length = hours * HOUR_MS
            inside = sum(
                f for ms, f, gap in falls if ms > now - length and gap <= length + length // 20
            )
            if inside >= depth:
                top = max(top, level)
        if top > rank or (top < rank and now - wet_ms >= HOUR_MS):
            expected.append((now, top))
            rank = top
    assert ranks(out) == expected


@given(st.lists(st.tuples(STEPS_S, st.integers(0, 60)), min_size=2, max_size=40))
def test_what_is_said_provisionally_of_the_next_total_is_settled_by_it(
    rows: list[tuple[int, int]],
) -> None:
    law = rain(*SIGNALS)
    machine, now, total = Rain(bound(law, Family.RAIN, GAUGE), law, "st1/rn"), 0, 0
    for wait_s, mm in rows:
        now += wait_s * 1000
        total += mm
        out: list[ConditionEvent] = []
        said = machine.alert(now, total)
        machine.settle(now, total, out)
        raised = [e for e in out if e.rank and str(e.change) != "eased"]
        assert [e.provisional_id for e in raised] == ([said.id] if said else [])
        if said:
            assert said.evidence == raised[0].evidence
            assert said.evidence["value"] * NM_PER_MM >= 50 * NM_PER_MM
