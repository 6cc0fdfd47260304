"""The promise of judgement holds for the second stage: same readings, same settled events."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.jointbook import PLACES, rivers_and_rain, rules
from rig.rulebook import at, fold_of, killed, play, prompt, shuffled, thrice, timeline

from egret_core.rules.event import ConditionEvent, Phase, settled_hash

if TYPE_CHECKING:
    from egret_core.rules.model import BoundRule

JOINT = """
[[rule]]
id = "two-of-three"
pack = "generic-vote"
inputs = [{ rule = "river", channels = ["st1/wl", "st2/wl", "st3/wl"] }]
parameters = { need = 2, skew_s = 400, stale_s = 900 }
[[rule]]
id = "confirmed"
pack = "two-families-red"
inputs = [{ rule = "river" }, { rule = "rain" }]
parameters = { stale_s = 900 }
[[rule]]
id = "basin"
pack = "generic-area"
area = "upper"
inputs = [{ rule = "river" }]
parameters = { share = 0.5, levels = ["yellow", "red"], stale_s = 900 }
[[rule]]
id = "rain-flood"
pack = "rain-to-flood"
inputs = [
  { rule = "rain", channels = ["st1/*"] },
  { rule = "river", channels = ["st1/wl", "st2/wl"] },
]
[rule.parameters]
stages = [{ input = "rain", level = "yellow" },
          { input = "river", level = "yellow", after_s = 120, within_s = 900 }]
stale_s = 900
[[rule]]
id = "worst"
pack = "generic-logic"
inputs = [{ rule = "two-of-three" }, { rule = "rain-flood" }, { rule = "rain" }]
[rule.parameters]
stale_s = 900
levels = [
  { level = "orange", any = { two-of-three = "yellow", rain-flood = "orange" } },
  { level = "red", all = { two-of-three = "orange" }, none = { rain = "red" } },
]
"""
RULES = rules(JOINT)
TAIL_S = 1200  # longer than any skew or window: what time alone ends has ended
SILENCE = st.dictionaries(
    st.sampled_from(("st1", "st2", "st3")),
    st.tuples(st.integers(0, 700), st.integers(20, 400)).map(lambda x: (x[0], x[0] + x[1])),
    max_size=2,
)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10_000),
    SILENCE,
    st.sets(st.integers(0, 1000), max_size=5),
    st.sampled_from((10, 10, 3, 50)),  # read every minute; often; more rarely than the lateness
)
def test_order_copies_and_kills_change_no_settled_event(
    seed: int, silent: dict[str, tuple[int, int]], cuts: set[int], step_s: int
) -> None:
    rows = rivers_and_rain(seed, 600, silent, step_s=step_s)
    whole = play(fold_of(PLACES, RULES), timeline(prompt(rows), TAIL_S))
    mixed = timeline(shuffled(rows, seed), TAIL_S)
    for other in (
        play(fold_of(PLACES, RULES), mixed),
        play(fold_of(PLACES, RULES), timeline(thrice(prompt(rows), seed), TAIL_S)),
        killed(PLACES, RULES, mixed, cuts),
    ):
        assert joint(other) == joint(whole)
        assert settled_hash(other) == settled_hash(whole)


@pytest.mark.long
def test_thirty_days_in_order_shuffled_repeated_and_killed() -> None:
    silent = {"st1": (9000, 9800), "st3": (20_000, 26_000)}
    rows = rivers_and_rain(4, 30 * 1440, silent, periods=(1, 5, 10), step_s=60)
    whole = play(fold_of(PLACES, RULES), timeline(prompt(rows), TAIL_S))
    items = timeline(thrice(shuffled(rows, 4), 4), TAIL_S)
    cuts = set(random.Random(4).sample(range(len(items)), 5))
    assert settled_hash(killed(PLACES, RULES, items, cuts)) == settled_hash(whole)
    assert len(joint(whole)) > 300


def joint(events: list[ConditionEvent]) -> list[tuple[object, ...]]:
    """Return the second stage's events, to be read where two runs differ."""
    names = {rule.name for rule in RULES if rule.inputs}
    return sorted(
        (e.time_ms - at(0), e.rule, str(e.change), e.level, str(e.evidence))
        for e in events
        if e.rule in names
    )


def test_a_kill_anywhere_gives_the_very_same_events_in_the_same_order() -> None:
    items = timeline(shuffled(rivers_and_rain(3, 700, {"st2": (200, 420)}), 3))
    expected = play(fold_of(PLACES, RULES), items)
    assert killed(PLACES, RULES, items, set(range(0, len(items), 3))) == expected
    rules_that_spoke = {event.rule for event in expected}
    assert {rule.name for rule in RULES} <= rules_that_spoke, "a scene in which all have a say"


def test_no_event_has_another_s_id() -> None:
    for seed in range(6):
        items = timeline(shuffled(rivers_and_rain(seed, 700, {}), seed))
        events = play(fold_of(PLACES, RULES), items)
        assert len({event.id for event in events}) == len(events)


Level = list[tuple[int, int]]  # from when on, which rank


def levels_of(events: list[ConditionEvent], rule: BoundRule, subject: str) -> Level:
    """Return what the first stage said of one subject, in event time."""
    return [
        (e.time_ms, e.rank)
        for e in events
        if (e.rule, e.subject, e.phase) == (rule.name, subject, Phase.SETTLED)
    ]


def voted(levels: list[Level], need: int, skew_ms: int) -> list[tuple[int, int]]:
    """Return the vote by brute force: every instant at which it could change, from the history."""
    times = {time_ms for one in levels for time_ms, _ in one}
    out: list[tuple[int, int]] = [(0, 0)]
    for now in sorted(times | {time_ms + skew_ms for time_ms in times}):
        reach = sorted((reached(one, now, skew_ms) for one in levels), reverse=True)
        if reach[need - 1] != out[-1][1]:
            out.append((now, reach[need - 1]))
    return out[1:]


def reached(levels: Level, now: int, skew_ms: int) -> int:
    """Return the highest rank that held in (now - skew, now]; it ends when the next one begins."""
    spans = zip([(-1, 0), *levels], [*(t for t, _ in levels), 10**15], strict=True)
    return max(rank for (start, rank), end in spans if start <= now and end > now - skew_ms)


def test_a_vote_and_an_area_equal_brute_force_over_the_first_stage_s_history() -> None:
    for seed in range(12):
        rows = rivers_and_rain(seed, 900, {"st3": (seed * 40, seed * 40 + 150)})
        events = play(fold_of(PLACES, RULES), timeline(shuffled(rows, seed), TAIL_S))
        river, _, vote, _, basin, *_ = RULES
        three = [levels_of(events, river, f"st{n}/wl") for n in (1, 2, 3)]
        found = [(e.time_ms, e.rank) for e in events if e.rule == vote.name]
        assert found == voted(three, 2, 400_000)
        mapped = [[(t, (0, 0, 1, 1, 2)[rank]) for t, rank in one] for one in (*three, [])]
        found = [(e.time_ms, e.rank) for e in events if e.rule == basin.name]
        assert found == voted(mapped, 2, 0)
