"""The rules of a first season in the fold: order, copies, kills, any finite number, bounds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.packbook import GAUGE, RIVER, bound_to
from rig.rulebook import (
    GATEWAY,
    START_MS,
    fold_of,
    killed,
    play,
    prompt,
    reading,
    river_and_storm,
    shuffled,
    thrice,
    timeline,
)

from egret_core.quality import Reason
from egret_core.reading import Reading
from egret_core.rules.event import settled_hash
from egret_core.rules.step import Fold, Receipt, step

AHEAD = replace(GAUGE, channel="rf", quantity="rain_forecast")
PLACES = [RIVER, GAUGE, AHEAD]
TEXT = """
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl"]
parameters = { unit = "m", datum = "Local", hold_s = 300, flap_s = 3600, levels = [
  { level = "blue", raise = 2.8, persistence_s = 300 },
  { level = "red", raise = 3.4, hold_s = 900 },
] }
[[rule]]
id = "flood"
pack = "cn-flood-levels"
channels = ["st1/wl"]
parameters = { unit = "m", datum = "Local", warning = 2.9, guaranteed = 3.3, highest = 3.8 }
[[rule]]
id = "fast"
pack = "generic-rate-of-rise"
channels = ["st1/wl"]
parameters = { unit = "m/h", hold_s = 0, levels = [{ level = "fast", raise = 1.0 }] }
[[rule]]
id = "soon"
pack = "generic-time-to-level"
channels = ["st1/wl"]
parameters = { unit = "m", datum = "Local", hold_s = 0, levels = [{ level = "soon", raise = 3.4 }] }
[[rule]]
id = "storm"
pack = "fujian-rain-signals"
channels = ["st1/rn"]
parameters = { place = "coast", dry_s = 0, levels = [
  { level = "orange", window_h = 1, sum = 28, and = [{ window_h = 0.5, over = 15 }] },
] }
[[rule]]
id = "day"
pack = "cn-rain-grades"
channels = ["st1/rn"]
parameters = { starts_at = "08:00", utc_offset = "+05:00" }
[[rule]]
id = "ahead"
pack = "generic-rain-forecast"
channels = ["st1/rf"]
parameters = { ahead_s = 3600, levels = [{ level = "red", raise = 30 }] }
[[rule]]
id = "silent"
pack = "absence"
channels = ["st1/wl", "gateway/GW-1"]
parameters = { limit_s = 600, alarm_s = 1500 }
"""
RULES = bound_to(TEXT, *PLACES)
SPELLS = st.lists(
    st.tuples(st.integers(0, 100), st.integers(15, 60)).map(lambda x: (x[0], x[0] + x[1])),
    max_size=2,
)


def stream(seed: int, silent: Any) -> list[Reading]:
    rows = river_and_storm(seed, 160, silent)
    return [*rows, *(reading(1800 * n + 3, float(7 * n), AHEAD) for n in range(6))]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), SPELLS, st.sets(st.integers(0, 800), max_size=5))
def test_order_copies_and_kills_change_no_settled_event(
    seed: int, silent: Any, cuts: set[int]
) -> None:
    rows = sorted(stream(seed, silent), key=lambda one: one.time_ms)
    whole = play(fold_of(PLACES, RULES), timeline(prompt(rows)))
    expected = settled_hash(whole)
    mixed = timeline(shuffled(rows, seed))
    assert settled_hash(play(fold_of(PLACES, RULES), mixed)) == expected
    copies = timeline(thrice(prompt(rows), seed))
    assert settled_hash(play(fold_of(PLACES, RULES), copies)) == expected
    assert settled_hash(killed(PLACES, RULES, mixed, cuts)) == expected


def test_the_stream_lets_every_rule_speak() -> None:
    rows = sorted(stream(3, [(60, 100)]), key=lambda one: one.time_ms)
    events = play(fold_of(PLACES, RULES), timeline(prompt(rows)))
    assert {e.rule.partition("@")[0] for e in events} == {rule.id for rule in RULES}
    assert any(e.level == "alarm" for e in events)


def test_what_is_poured_in_maintenance_is_no_rain_and_no_rise() -> None:
    fold, poured = fold_of(PLACES, RULES), int(Reason.MAINTENANCE)
    for n in range(200):
        tips = 100.0 + min(max(n - 50, 0), 100)  # 100 mm poured, a tip a step
        why = poured if 40 < n < 160 else 0
        rows = [reading(30 * n, tips, GAUGE, reasons=why)]
        rows.append(reading(30 * n, 1.0 + (0.2 * n if why else 0), RIVER, reasons=why))
        events = step(fold, Receipt(GATEWAY, rows[0].time_ms + 500, rows))[1]
        assert events == []
    day = next(p for p in fold.channels["st1"]["rn"].detectors if p.rule.startswith("day@"))
    storm = next(p for p in fold.channels["st1"]["rn"].detectors if p.rule.startswith("storm@"))
    assert day.dump()[0][0][0] == 0, "mm of the day"
    assert storm.dump()[5] == [], "no rain in any window"


FINITE = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [1.7976931348623157e308, -1.7976931348623157e308, 1e303, 5e-324, 1e9, -0.0]
)
STEPS = st.sampled_from([0, 1, 60, 600, 3600, 90_000])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(STEPS, FINITE, st.sampled_from(["wl", "rn", "rf"])), max_size=40))
def test_no_finite_reading_ends_it(rows: list[tuple[int, float, str]]) -> None:
    fold, now = fold_of(PLACES, RULES), START_MS
    for wait_s, value, channel in rows:
        now += wait_s * 1000
        out = step(fold, Receipt(GATEWAY, now, [Reading("st1", channel, now, value)]))[1]
        assert all(math.isfinite(e.evidence.get("value", 0.0)) for e in out)
    saved = {key: body for key, body in fold.changed().items() if body is not None}
    for body in saved.values():
        json.loads(body)
    again = fold_of(PLACES, RULES)
    again.restore(saved)
    assert isinstance(again, Fold)


@pytest.mark.parametrize("step_s", [5, 60])
def test_the_state_stays_bounded(step_s: int) -> None:
    """Two days of wet weather and a restless river: not larger at the end than after one."""
    fold, sizes = fold_of(PLACES, RULES), []
    for day in range(2):
        for n in range(86_400 // step_s):
            at_s = day * 86_400 + n * step_s
            rows = [reading(at_s, 2 + (n % 97) / 50, RIVER), reading(at_s, 0.2 * n + day, GAUGE)]
            step(fold, Receipt(GATEWAY, rows[0].time_ms + 500, rows))
        fold.changed()
        sizes.append(
            sum(
                len(json.dumps(one.dump()))
                for here in fold.channels.values()
                for one in here.values()
            )
        )
    assert sizes[1] <= 1.2 * sizes[0] + 1000
    assert sizes[1] < 400_000
