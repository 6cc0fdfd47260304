"""The promise of judgement: same readings, same settled events, however they came."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
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
    reading,
    shuffled,
    silence,
    thrice,
    timeline,
)

from egret_core.rules.event import settled_hash
from egret_core.rules.model import Family

if TYPE_CHECKING:
    from egret_core.reading import Reading

LEVEL, GAUGE = place(), place("rn", "rain_total")
PLACES = [LEVEL, GAUGE]
RULES = [
    bound(ladder(*FOUR), Family.LEVEL, LEVEL),
    bound(silence(900), Family.ABSENCE, LEVEL, GAUGE, gateways=(GATEWAY,)),
    bound(rain(*SIGNALS), Family.RAIN, GAUGE),
]
SLOW = bound(ladder(*FOUR, persistence_s=600, hold_s=1200, gap_s=1800), Family.LEVEL, LEVEL)


def river_and_rain(seed: int, steps: int, silent: Any = ()) -> list[Reading]:
    """A flashy river and a storm, one reading a minute each, with spells of silence."""
    dice, level, total, out = random.Random(seed), 2.5, 100.0, []
    for n in range(steps):
        level = max(0.5, level + dice.choice((-0.4, -0.1, 0.0, 0.1, 0.45)) + 0.02 * (3 - level))
        total = round(total + dice.choice((0.0, 0.0, 0.2, 1.4)), 3)
        if not any(start <= n < end for start, end in silent):
            out.append(reading(60 * n, round(level, 3), LEVEL))
            out.append(reading(60 * n + 7, total, GAUGE))
    return out


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
    rows = river_and_rain(seed, 140, silent)
    whole = play(fold_of(PLACES, rules), timeline(prompt(rows)))
    expected = settled_hash(whole)
    mixed = timeline(shuffled(rows, seed))
    assert settled_hash(play(fold_of(PLACES, rules), mixed)) == expected
    assert (
        settled_hash(play(fold_of(PLACES, rules), timeline(thrice(prompt(rows), seed)))) == expected
    )
    assert settled_hash(killed(PLACES, rules, mixed, cuts)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_a_month_in_order_shuffled_repeated_and_killed(seed: int) -> None:
    rows = river_and_rain(seed, 30 * 24 * 4, [(500, 560), (2000, 2030)])
    whole = play(fold_of(PLACES, RULES), timeline(prompt(rows)))
    assert len(whole) > 100
    items = timeline(thrice(shuffled(rows, seed), seed))
    cuts = set(random.Random(seed).sample(range(len(items)), 5))
    assert settled_hash(killed(PLACES, RULES, items, cuts)) == settled_hash(whole)


def test_a_kill_gives_the_very_same_events_provisional_ones_too() -> None:
    items = timeline(shuffled(river_and_rain(7, 300), 7))
    expected = play(fold_of(PLACES, RULES), items)
    assert killed(PLACES, RULES, items, set(range(0, len(items), 3))) == expected


def test_the_hash_sees_a_difference() -> None:
    rows = river_and_rain(7, 300)
    other = [one._replace(value=9.0) if n == 100 else one for n, one in enumerate(rows)]
    hashes = {
        settled_hash(play(fold_of(PLACES, RULES), timeline(prompt(x)))) for x in (rows, other)
    }
    assert len(hashes) == 2
