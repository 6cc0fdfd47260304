"""One month with a rule of every family, screening on: however it came, the same settled events.

In order, shuffled within the lateness, three times over, and killed at random points (DESIGN 6.8).
"""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any, NamedTuple

import pytest
from rig.lookback import Watch
from rig.rulebook import Arrival, prompt, shuffled, thrice, timeline
from rig.valley_month import LATE_MS, NONSENSE, PLACES, RULES, SEED, valley

from egret_core.rules.event import Phase, settled_hash
from egret_core.rules.model import Family

KILLS = 5
MANY_KILLS = 60  # five miss most of what can be half-way: a storm is a tenth of the month
TAIL_S = 14_700  # longer than any skew, window or limit: what time alone ends has ended
STEPS = {  # settled events of each family that this month must have, so that equality says much
    Family.LEVEL: 40,
    Family.RAIN: 20,
    Family.ABSENCE: 10,
    Family.VOTE: 16,
    Family.AREA: 10,
    Family.CHAIN: 10,
}


class Said(NamedTuple):
    """What a month led to.

    Attributes:
        settled: hash of the settled events; flags: of the screened river, counted by reason.
        families: how many settled events each had; doubted: how many rest on a doubtful value.
    """

    settled: str
    flags: dict[str, list[int]]
    families: dict[Family, int]
    doubted: int


def played(arrivals: list[Arrival], kills: int = 0) -> Said:
    items = timeline(arrivals, TAIL_S)
    cuts = random.Random(SEED).sample(range(len(items)), kills)
    print(f"seed {SEED}, {len(arrivals)} arrivals, killed at {sorted(cuts)}")  # noqa: T201  (DESIGN 6.8: told)
    watch = Watch(PLACES, RULES)
    events = watch.play(items, cuts)
    settled = [event for event in events if event.phase is Phase.SETTLED]
    families: dict[Family, int] = dict.fromkeys(Family, 0)
    names = {rule.name: rule.family for rule in RULES}
    for event in settled:
        families[names[event.rule]] += 1
    screen: Any = watch.fold.channels["st1"]["wl"].screen
    doubted = sum("screening" in event.evidence for event in settled)
    return Said(settled_hash(events), screen.counts, families, doubted)


@lru_cache(maxsize=1)
def whole() -> Said:
    return played(prompt(valley()))


def test_a_rule_of_every_family_has_its_say() -> None:
    assert {rule.family for rule in RULES} == set(Family)
    families = whole().families
    assert not [family for family, count in families.items() if not count]
    assert not [family for family, least in STEPS.items() if families[family] < least]


def test_screening_fails_and_doubts_readings_of_the_month() -> None:
    flags = whole().flags
    assert set(flags) >= {"range", "spike", "rate", "flat_line", "neighbour"}
    assert flags["range"][1] >= len(NONSENSE), "nonsense fails"
    assert flags["flat_line"][1] >= 5, "so does a stuck sensor"
    assert whole().doubted >= 3


@pytest.mark.parametrize(
    ("shuffle", "copies", "kills"),
    [
        (True, True, MANY_KILLS),  # all at once, every day; each by itself where there is time
        pytest.param(True, False, 0, marks=pytest.mark.long),
        pytest.param(False, True, 0, marks=pytest.mark.long),
        pytest.param(False, False, KILLS, marks=pytest.mark.long),
    ],
    ids=["all of it", "shuffled", "thrice", "killed"],
)
def test_however_it_came(*, shuffle: bool, copies: bool, kills: int) -> None:
    rows = shuffled(valley(), SEED, LATE_MS - 1000) if shuffle else prompt(valley())
    brook = [one.reading.time_ms for one in rows if one.reading.station == "st6"]
    assert (brook != sorted(brook)) == shuffle
    assert played(thrice(rows, SEED) if copies else rows, kills) == whole()


@pytest.mark.long
def test_another_month_has_another_hash() -> None:
    rows = valley()
    at = next(n for n, one in enumerate(rows) if one.channel == "dx" and n > len(rows) // 2)
    rows[at] = rows[at]._replace(value=0.0)
    assert played(prompt(rows)).settled != whole().settled
