"""Muskingum routing against its worked coefficients, the water it must keep, and its own limits."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.packbook import bound_to, refusal
from rig.rulebook import GATEWAY, HOUR_MS, START_MS, fold_of, play, prompt, timeline

from egret_core.errors import ConfigError
from egret_core.reading import Reading
from egret_core.rules.index import Standing
from egret_core.rules.model import BoundRule, ChannelPlace
from egret_core.rules.muskingum import AHEAD_MAX, Reach, Routing, routed

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent

WORKED = Reach(12, 0.2, 1)
HEAD = ChannelPlace("dam", "q", "discharge", "m3/s", "", GATEWAY, 30.0)
RULE = """
    [[rule]]
    id = "town"
    pack = "muskingum-flow"
    channels = ["dam/q"]
    [rule.parameters]
    reach = "dam to town"
    travel_h = 2
    parts = 8
    levels = [{ level = "yellow", raise = 300, clear = 250 }]
"""


def bound(text: str = RULE, on: ChannelPlace = HEAD) -> BoundRule:
    return bound_to(text, on)[0]


def test_the_worked_coefficients() -> None:
    found = WORKED.coefficients(6)
    assert [round(one, 4) for one in found] == [0.0476, 0.4286, 0.5238]
    assert sum(found) == pytest.approx(1)


def test_a_step_by_hand() -> None:
    # C0 100 + C1 40 + C2 20 = 4.7619 + 17.1429 + 10.4762
    assert routed([40, 20], 100, WORKED.coefficients(6)) == [100, pytest.approx(32.38095)]


def test_with_half_the_weight_and_its_own_step_it_only_delays() -> None:
    reach = Reach(6, 0.5, 3)  # each part passes on what it took in the step before
    flows = [0.0] * 4
    for inflow, out in ((5, 0), (7, 0), (9, 0), (0, 5), (0, 7), (0, 9), (0, 0)):
        flows = routed(flows, inflow, reach.coefficients(2))
        assert flows[-1] == pytest.approx(out)


@given(
    st.floats(0.5, 100),
    st.floats(0, 0.5),
    st.integers(1, 8),
    st.lists(st.floats(0, 1e4)),
    st.floats(0, 1),
)
def test_no_water_is_made_or_lost_and_no_flow_is_beyond_the_inflow(
    travel_h: float, weight: float, parts: int, inflows: list[float], share: float
) -> None:
    reach = Reach(travel_h, weight, parts)
    least, most = (one / HOUR_MS for one in reach.steps_ms)
    dt_h = least + share * (most - least)
    if not dt_h:
        return
    coefficients, flows = reach.coefficients(dt_h), [0.0] * (parts + 1)
    stored = 0.0
    for inflow in inflows:
        after = routed(flows, inflow, coefficients)
        stored += ((flows[0] + after[0]) - (flows[-1] + after[-1])) / 2 * dt_h
        flows = after
        assert all(-1e-6 <= flow <= max(inflows) + 1e-6 for flow in flows)
    part_h = travel_h / parts
    held = sum(part_h * (weight * into + (1 - weight) * out) for into, out in pairwise(flows))
    assert held == pytest.approx(stored, rel=1e-6, abs=1e-3)


def run(routing: Routing, flows: list[float], step_min: float = 15) -> list[float | None]:
    return [
        routing.take(START_MS + round(n * step_min * 60_000), flow) for n, flow in enumerate(flows)
    ]


def test_it_warms_up_for_five_travels() -> None:
    routing = Routing(Reach(2, 0.2, 8))
    found = run(routing, [100.0] * 60)
    assert found[:40] == [None] * 40
    assert found[40:] == [pytest.approx(100)] * 20
    assert routing.standing is Standing.OK


def test_a_gap_begins_anew_and_a_reading_too_soon_is_passed_over() -> None:
    routing = Routing(Reach(2, 0.2, 8))  # steps of 6 to 24 min
    run(routing, [100.0] * 60)
    end = START_MS + 59 * 900_000
    assert routing.take(end + 300_000, 900.0) is None
    assert routing.standing is Standing.OK
    assert routing.take(end + 900_000, 100.0) == pytest.approx(100)
    assert routing.take(end + 900_000 + 1_440_001, 900.0) is None
    assert routing.standing is Standing.WARMING_UP
    assert run(Routing(Reach(2, 0, 1)), [1.0, 2.0], 0) == [None, None]


def test_a_flow_that_no_river_has_is_invalid_and_begins_anew() -> None:
    routing = Routing(Reach(2, 0.2, 8))
    run(routing, [100.0] * 60)
    assert routing.take(START_MS + 60 * 900_000, 2e7) is None
    assert routing.standing is Standing.INVALID
    assert routing.take(START_MS + 61 * 900_000, 100.0) is None
    assert routing.standing is Standing.WARMING_UP


def test_ahead_of_now_the_inflow_is_held() -> None:
    now, ahead = Routing(Reach(2, 0.2, 8)), Routing(Reach(2, 0.2, 8, 2 * HOUR_MS, "a to b"))
    flows = [100.0] * 60 + [400.0] * 9
    here, there = run(now, flows), run(ahead, flows)
    # After 8 steps more at 400 the flow out now is what was said 2 h before.
    assert there[60] == pytest.approx(here[68])
    assert there[60] > here[60]  # type: ignore[operator]
    said = ahead.evidence()
    assert (said["basis"], said["lead_s"], said["reach"]) == ("forecast", 7200, "a to b")
    assert said["forecast_for_ms"] == START_MS + 68 * 900_000 + 7_200_000
    assert "basis" not in now.evidence()


def test_a_look_ahead_has_an_end() -> None:
    routing = Routing(Reach(0.05, 0, 1, 10**12))
    run(routing, [1.0] * 1000, 1)
    assert routing.standing is Standing.OK
    assert routing.evidence()["lead_s"] == AHEAD_MAX * 60


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 900_000, 900_000, 3_000_000]),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=60,
    ),
    st.integers(0),
)
def test_any_finite_reading_and_a_restart_anywhere(rows: list[tuple[int, float]], cut: int) -> None:
    reach = Reach(0.5, 0.2, 2, HOUR_MS)
    whole, parts, now = Routing(reach), Routing(reach), START_MS
    for n, (wait_ms, value) in enumerate(rows):
        now += wait_ms
        if n == cut % len(rows):
            saved = json.loads(json.dumps(parts.dump(), allow_nan=False))
            parts = Routing(reach)
            parts.restore(saved)
        assert whole.take(now, value) == parts.take(now, value)
        assert whole.standing == parts.standing
        assert whole.dump() == parts.dump()


def flood(rule: BoundRule) -> list[ConditionEvent]:
    flows = [100.0] * 60 + [400.0] * 60
    rows = [Reading("dam", "q", START_MS + n * 900_000, flow) for n, flow in enumerate(flows)]
    return play(fold_of([HEAD], [rule]), timeline(prompt(rows), ticks=False))


def test_the_town_is_warned_when_the_water_is_there_or_by_the_lead_before() -> None:
    (now,) = flood(bound())
    (ahead,) = flood(bound(RULE.replace("parts = 8", "parts = 8\nlead_s = 5400")))
    assert now.time_ms - ahead.time_ms == 5_400_000
    assert START_MS + 66 * 900_000 <= now.time_ms <= START_MS + 70 * 900_000
    evidence = now.evidence
    assert (evidence["index"], evidence["unit"], evidence["inflow_m3_s"]) == (
        "routed_flow",
        "m3/s",
        400,
    )
    assert evidence["value"] == evidence["outflow_m3_s"] >= 300
    assert ahead.evidence["outflow_m3_s"] < 300 <= ahead.evidence["value"]


@pytest.mark.parametrize(
    ("change", "key", "remedy"),
    [
        (("parts = 8", "parts = 2.5"), "parts", "whole number"),
        (("parts = 8", "parts = 65"), "parts", "at most 64"),
        (("parts = 8", "weight = 0.46"), "weight", "at most 0.45"),
        (("travel_h = 2", "travel_h = 0"), "travel_h", "at least 0.05"),
        (("parts = 8", 'unit = "m"'), "levels[0].raise", "m"),
        (('reach = "dam to town"', ""), "reach", "needs it"),
    ],
)
def test_bad_parameters_are_refused_by_key_with_a_remedy(
    change: tuple[str, str], key: str, remedy: str
) -> None:
    with refusal(key, remedy):
        bound(RULE.replace(*change))


def test_only_a_flow_is_routed() -> None:
    level = ChannelPlace("dam", "q", "water_level", "m", "Local", GATEWAY)
    with pytest.raises(ConfigError, match="water_level"):
        bound(on=level)
