"""The promise of judgement: same readings, same settled events, however they came."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rig.rulebook import (
    FOUR,
    GATEWAY,
    SIGNALS,
    bound,
    fold_of,
    killed,
    ladder,
    place,
    play,
    prompt,
    rain,
    river_and_storm,
    shuffled,
    silence,
    thrice,
    timeline,
)

from egret_core.rules.event import settled_hash
from egret_core.rules.model import Family

LEVEL, GAUGE = place(), place("rn", "rain_total")
PLACES = [LEVEL, GAUGE]
RULES = [
    bound(ladder(*FOUR), Family.LEVEL, LEVEL),
    bound(silence(900), Family.ABSENCE, LEVEL, GAUGE, gateways=(GATEWAY,)),
    bound(rain(*SIGNALS), Family.RAIN, GAUGE),
]
SLOW = bound(ladder(*FOUR, persistence_s=600, hold_s=1200, gap_s=1800), Family.LEVEL, LEVEL)


SPELLS = st.lists(
    st.tuples(st.integers(0, 80), st.integers(25, 60)).map(lambda x: (x[0], x[0] + x[1])),
    max_size=2,
)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), SPELLS, st.sets(st.integers(0, 400), max_size=5), st.integers(0, 1))
def test_order_copies_and_kills_change_no_settled_event(
    seed: int, silent: Any, cuts: set[int], slow: int
) -> None:
    rules = [SLOW, *RULES[1:]] if slow else RULES
    rows = river_and_storm(seed, 140, silent)
    whole = play(fold_of(PLACES, rules), timeline(prompt(rows)))
    expected = settled_hash(whole)
    mixed = timeline(shuffled(rows, seed))
    assert settled_hash(play(fold_of(PLACES, rules), mixed)) == expected
    assert (
        settled_hash(play(fold_of(PLACES, rules), timeline(thrice(prompt(rows), seed)))) == expected
    )
    assert settled_hash(killed(PLACES, rules, mixed, cuts)) == expected


def test_thirty_days_in_order_shuffled_repeated_and_killed() -> None:
    rows = river_and_storm(1, 30 * 144, [(500, 560), (2000, 2030)], step_s=600)
    whole = play(fold_of(PLACES, RULES), timeline(prompt(rows)))
    assert len(whole) > 100
    items = timeline(thrice(shuffled(rows, 1), 1))
    cuts = set(random.Random(1).sample(range(len(items)), 5))
    assert settled_hash(killed(PLACES, RULES, items, cuts)) == settled_hash(whole)


def test_a_kill_gives_the_very_same_events_provisional_ones_too() -> None:
    items = timeline(shuffled(river_and_storm(7, 300), 7))
    expected = play(fold_of(PLACES, RULES), items)
    assert killed(PLACES, RULES, items, set(range(0, len(items), 3))) == expected


def test_the_hash_sees_a_difference() -> None:
    rows = river_and_storm(7, 300)
    other = [one._replace(value=9.0) if n == 100 else one for n, one in enumerate(rows)]
    hashes = {
        settled_hash(play(fold_of(PLACES, RULES), timeline(prompt(x)))) for x in (rows, other)
    }
    assert len(hashes) == 2
