"""Rules of storms and wet ground in the fold: one stream however it comes, history from a store."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from rig.packbook import GAUGE, bound_to
from rig.rulebook import (
    GATEWAY,
    HOUR_MS,
    START_MS,
    fold_of,
    killed,
    play,
    prompt,
    reading,
    shuffled,
    thrice,
    timeline,
)

from egret_core.rules.event import settled_hash
from egret_core.rules.step import Change, Receipt, step

if TYPE_CHECKING:
    from egret_core.reading import Reading
    from egret_core.rules.event import ConditionEvent

RULES_TOML = """
[[rule]]
id = "curve"
pack = "caine-1980"
channels = ["st1/rn"]
[rule.parameters]
levels = [{ level = "blue", raise = 0.3, clear = 0.2 }, { level = "red", raise = 0.8 }]

[[rule]]
id = "days"
pack = "usgs-seattle-p3-p15"
channels = ["st1/rn"]
[rule.parameters]
recent_h = 6
antecedent_h = 18
join_s = 600
levels = [{ level = "blue", raise = 30 }, { level = "red", raise = 60 }]

[[rule]]
id = "wet"
pack = "usgs-seattle-wetness"
channels = ["st1/rn"]
[rule.parameters]
utc_offset_h = 8
capacity_m = 0.02
warm_s = 3600
levels = [{ level = "blue", raise = 0.005 }, { level = "red", raise = 0.03 }]

[[rule]]
id = "left"
pack = "jma-effective-rainfall"
channels = ["st1/rn"]
[rule.parameters]
half_life_s = 5400
levels = [{ level = "blue", raise = 10 }, { level = "red", raise = 25 }]
"""
RULES = bound_to(RULES_TOML, GAUGE)


def showers(seed: int, steps: int = 6 * 24 * 12, silent: range = range(0)) -> list[Reading]:
    """Days of showers and dry spells, one reading every 10 minutes; gaps where it is silent."""
    dice, total, wet, out = random.Random(seed), 100.0, False, []
    for n in range(steps):
        wet = wet != (dice.random() < (0.08 if wet else 0.02))
        total = round(total + (dice.choice((0.0, 1.0, 2.5, 6.0)) if wet else 0.0), 1)
        if n not in silent:
            out.append(reading(600 * n, total, GAUGE))
    return out


def words(events: list[ConditionEvent]) -> set[tuple[str, str]]:
    return {(event.rule.partition("@")[0], event.level) for event in events}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_order_shuffled_thrice_and_killed_the_settled_events_are_the_same(seed: int) -> None:
    rows = showers(seed, silent=range(200, 260))
    plain = play(fold_of([GAUGE], RULES), timeline(prompt(rows)))
    assert len(words(plain)) >= 10  # every rule has raised both of its levels and let go of them
    expected = settled_hash(plain)
    late = timeline(shuffled(rows, seed))
    assert settled_hash(play(fold_of([GAUGE], RULES), late)) == expected
    often = timeline(thrice(prompt(rows), seed))
    assert settled_hash(play(fold_of([GAUGE], RULES), often)) == expected
    cuts = set(random.Random(seed).sample(range(len(late)), 5))
    assert settled_hash(killed([GAUGE], RULES, late, cuts)) == expected


def test_with_history_from_a_store_new_rules_speak_at_once() -> None:
    rows = showers(1)
    now_ms = rows[-1].time_ms
    fold = fold_of([GAUGE], [], START_MS)
    step(fold, Receipt(GATEWAY, now_ms + 500, rows))
    step(fold, Change([GAUGE], RULES, now_ms + 60_000))
    (warmup,) = fold.cold
    from_ms, to_ms = warmup.begin()
    warmup.feed([one for one in rows if from_ms <= one.time_ms < to_ms])
    warmup.end()
    fold.warmed(now_ms + 60_000)
    channel = fold.channels["st1"]["rn"]
    assert channel.standings() == {}
    always = fold_of([GAUGE], RULES)
    step(always, Receipt(GATEWAY, now_ms + 500, rows))
    ranks = [part.rank for part in channel.detectors]
    assert ranks == [part.rank for part in always.channels["st1"]["rn"].detectors]


def test_without_history_they_warm_up_and_each_says_so() -> None:
    fold = fold_of([GAUGE], RULES)
    one = reading(0, 100.0, GAUGE)
    step(fold, Receipt(GATEWAY, one.time_ms + 500, [one]))
    standings = fold.channels["st1"]["rn"].standings()
    assert set(standings.values()) == {"warming_up"}
    assert {name.partition("@")[0] for name in standings} == {"curve", "days", "wet", "left"}


def test_silence_is_never_an_all_clear() -> None:
    rows = [reading(600 * n, 100 + 10.0 * max(n - 180, 0), GAUGE) for n in range(200)]
    fold = fold_of([GAUGE], RULES)
    raised = play(fold, timeline(prompt(rows), tail_s=20 * HOUR_MS / 1000))
    ranks = {
        part.rule.partition("@")[0]: part.rank for part in fold.channels["st1"]["rn"].detectors
    }
    assert all(event.change in ("raised", "upgraded") for event in raised)
    assert ranks == {"curve": 2, "days": 2, "wet": 2, "left": 2}
