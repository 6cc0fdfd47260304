"""What each level of a ladder may have of its own, and what a flapping one does."""

from __future__ import annotations

from typing import Any

import pytest
from rig.packbook import RIVER, judged, of_pack, refused
from rig.rulebook import bound, brief, ladder

from egret_core.rules.ladder import FLAPS, Ladder
from egret_core.rules.model import Family, LadderLaw, Rung
from egret_core.rules.warmup import span_ms

LEVELS = """unit = "m"
datum = "Local"
hold_s = 0
flap_s = 0
levels = [
  { level = "blue", raise = 3.0, persistence_s = 600 },
  { level = "yellow", raise = 4.0, persistence_s = 300, hold_s = 900 },
  { level = "red", raise = 5.0 },
]"""
RULE = of_pack("generic-level", RIVER, LEVELS)


def said(*pairs: tuple[float, float]) -> Any:
    return brief(judged(RULE, RIVER, pairs), None)


def flapping(flap_ms: int = 3600_000, *, hold_ms: int = 0) -> Ladder:
    law = LadderLaw((Rung("blue", 3.0, 3.0),), "m", "Local", 0, hold_ms, 3600_000, flap_ms)
    return Ladder(bound(law, Family.LEVEL, RIVER), law, "st1/wl")


def test_each_level_waits_for_its_own_persistence() -> None:
    assert said((0, 4.5), (299, 4.5)) == []
    assert said((0, 4.5), (300, 4.5)) == [("raised", "yellow", 300)]
    rows = [(60 * n, 3.5) for n in range(12)]
    assert said(*rows) == [("raised", "blue", 600)]


def test_a_level_without_persistence_is_said_at_once_over_those_that_wait() -> None:
    events = said((0, 3.5), (60, 5.5))
    assert events == [("raised", "red", 60), ("raised", "red", 60)], "provisional, then settled"
    assert said((0, 4.9), (60, 4.9)) == []


def test_each_level_is_held_for_its_own_time() -> None:
    rows = [(0, 5.5), (60, 3.9), *((60 + 60 * n, 3.9) for n in range(1, 20))]
    settled = brief(judged(RULE, RIVER, rows))
    assert settled == [
        ("raised", "red", 0),
        ("eased", "yellow", 60),  # red has the rule's own hold: none
        ("eased", "blue", 60 + 900),
    ]


def test_the_evidence_tells_of_a_levels_own_wait() -> None:
    (raised,) = judged(RULE, RIVER, [(0, 4.5), (300, 4.5)])
    assert raised.reason == "held_at_or_above"
    assert raised.evidence["since_ms"] == raised.time_ms - 300_000


def test_a_level_that_rose_thrice_stays_until_below_for_the_whole_time() -> None:
    state, out = flapping(), []
    for n in range(12):
        state.settle(60_000 * n, 3.1 if n % 4 == 0 else 2.9, out)
    assert [str(e.change) for e in out] == ["raised", "returned"] * 2 + ["raised"]
    last_ms = 60_000 * 9  # below since then
    state.settle(last_ms + 3_599_000, 2.9, out)
    assert state.rank == 1
    state.settle(last_ms + 3_600_000, 2.9, out)
    assert state.rank == 0
    assert out[-1].evidence["flapped"] is True
    assert out[-1].evidence["since_ms"] == last_ms


def test_a_flapping_level_still_rises_to_the_next_at_once() -> None:
    law = LadderLaw((Rung("blue", 3, 3), Rung("red", 4, 4)), "m", "", 0, 0, 3600_000, 3600_000)
    state, out = Ladder(bound(law, Family.LEVEL, RIVER), law, "st1/wl"), []
    for n, value in enumerate((3.1, 2.9, 3.1, 2.9, 3.1, 2.9, 4.2)):
        state.settle(60_000 * n, value, out)
    assert (str(out[-1].change), out[-1].level) == ("upgraded", "red")


def test_rises_further_apart_than_the_time_are_no_flaps() -> None:
    state, out = flapping(), []
    for n in range(8):
        state.settle(1_900_000 * n, 3.1 if n % 2 == 0 else 2.9, out)
    assert [str(e.change) for e in out] == ["raised", "returned"] * 4


@pytest.mark.parametrize(("third_ms", "stays"), [(3_600_000, True), (3_600_001, False)])
def test_three_rises_within_the_time_flap_and_not_beyond_it(third_ms: int, *, stays: bool) -> None:
    state, out = flapping(), []
    for time_ms in (0, 1_800_000, third_ms):
        state.settle(time_ms, 3.1, out)
        state.settle(time_ms + 60_000, 2.9, out)
    assert (state.rank == 1) is stays


def test_after_it_eased_at_last_it_begins_anew() -> None:
    state, out = flapping(600_000), []
    times = iter(range(0, 10**9, 100_000))
    for _ in range(FLAPS):
        state.settle(next(times), 3.1, out)
        state.settle(next(times), 2.9, out)
    while state.rank:
        state.settle(next(times), 2.9, out)
    state.settle(next(times), 3.1, out)
    state.settle(next(times), 2.9, out)
    assert state.rank == 0, "one rise is no flapping"


@pytest.mark.parametrize("stop", range(1, 14))
def test_flaps_survive_a_restart(stop: int) -> None:
    whole, first, second = flapping(), flapping(), flapping()
    expected: list[Any] = []
    actual: list[Any] = []
    for n in range(80):
        value = 3.1 if n % 4 == 0 and n < 16 else 2.9
        whole.settle(60_000 * n, value, expected)
        if n == stop:
            second.restore(first.dump())
        (first if n < stop else second).settle(60_000 * n, value, actual)
    assert actual == expected
    assert len(expected) == 6


def test_a_state_from_before_there_were_flaps_is_taken() -> None:
    old, new, out = flapping(), flapping(), []
    old.settle(0, 3.1, out)
    new.restore(old.dump()[:5])
    assert new.rank == 1


def test_the_state_is_bounded() -> None:
    state = flapping(10**12)
    for n in range(1000):
        state.settle(60_000 * n, 3.1 if n % 2 else 2.9, [])
    assert len(str(state.dump())) < 200


def test_a_new_rule_takes_history_for_its_longest_waits() -> None:
    assert span_ms(RULE.law) == 600_000 + 900_000 + 5_400_000
    assert span_ms(ladder(("blue", 3, 3), hold_s=60)) == 60_000 + 3_600_000


def test_a_wrong_wait_is_refused() -> None:
    wrong = LEVELS.replace("hold_s = 900", "hold_s = -1")
    assert refused("generic-level", RIVER, wrong) == ("levels[1].hold_s", "write at least 0")
    wrong = LEVELS.replace("persistence_s = 600", 'persistence_s = "ten"')
    assert refused("generic-level", RIVER, wrong) == ("levels[0].persistence_s", "write a number")
