"""Whatever the order of receipt, and however often each came: an absence settles the same."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.rulebook import (
    GATEWAY,
    START_MS,
    Arrival,
    at,
    bound,
    brief,
    fold_of,
    killed,
    place,
    play,
    prompt,
    reading,
    shuffled,
    silence,
    thrice,
    timeline,
)

from egret_core.quality import Reason
from egret_core.rules.absence import KEPT_MAX, SPELLS_MAX, Absence
from egret_core.rules.event import ConditionEvent, settled_hash
from egret_core.rules.model import AbsenceLaw, ChannelPlace, Family

if TYPE_CHECKING:
    from egret_core.reading import Reading

RULE = bound(silence(600), Family.ABSENCE, place())
HEARD = bound(silence(600), Family.ABSENCE, gateways=(GATEWAY,))
SLOW = replace(place(), late_s=330.0)
TWICE = [
    ("raised", "fault", 600),
    ("returned", "", 640),
    ("raised", "fault", 1240),
    ("returned", "", 1243),
]


def told(
    rows: list[tuple[float, Reading]], on: ChannelPlace | None = None, tail_s: float = 600
) -> list[tuple[str, str, float]]:
    """Return what is settled of (second of receipt, reading), on a channel and its gateway."""
    arrivals = sorted((Arrival(at(s), one) for s, one in rows), key=lambda row: row.received_ms)
    out = [
        brief(play(fold_of([on or place()], [rule]), timeline(arrivals, tail_s)))
        for rule in ((RULE, HEARD) if on is None else (RULE,))
    ]
    if len(out) > 1 and not any(one.reasons for _, one in rows):
        assert out[0] == out[1]
    return out[0]


def test_a_copy_of_a_return_that_waits_does_not_hide_the_next_gap() -> None:
    rows = [(0.5, 0), (660, 640), (1250, 1248), (1262, 1243), (1301, 1300)]
    once = [(second, reading(own, 1.0)) for second, own in rows]
    assert told(once, tail_s=200) == TWICE
    assert told([*once, (685, reading(640, 1.0))], tail_s=200) == TWICE


def test_two_gaps_within_one_waiting_return_are_two() -> None:
    rows = [reading(second, 1.0) for second in (0, 640, 1243, 1300)]
    for late_s in (0.5, 300):
        lags = (0.5, late_s, 0.5, 0.5)
        pairs = [(one.time_ms - START_MS) / 1000 + lag for one, lag in zip(rows, lags, strict=True)]
        assert told(list(zip(pairs, rows, strict=True)), SLOW) == TWICE


@pytest.mark.parametrize("limit", [330, 600])
def test_gaps_of_every_length_settle_the_same_in_any_order(limit: int) -> None:
    rule = bound(silence(limit), Family.ABSENCE, SLOW)
    for seed in range(12):
        dice, second, rows = random.Random(seed), 0, []
        for _ in range(25):
            second += dice.choice((5, 5, 5, limit - 2, limit + 3, limit + 40, 2 * limit))
            rows.append(reading(second, 1.0))
        whole = play(fold_of([SLOW], [rule]), timeline(prompt(rows), 1500))
        mixed = shuffled(rows, seed, 329_000)
        items = timeline(thrice(mixed, seed), 1500)
        cuts = set(dice.sample(range(len(items)), 30))
        assert len(brief(whole)) > 8
        for other in (
            play(fold_of([SLOW], [rule]), timeline(mixed, 1500)),
            play(fold_of([SLOW], [rule]), items),
            killed([SLOW], [rule], items, cuts),
        ):
            assert settled_hash(other) == settled_hash(whole), seed


def test_a_copy_of_a_maintenance_reading_pauses_nothing() -> None:
    work = reading(10, 1.0, reasons=int(Reason.MAINTENANCE))
    good = [(second + 0.5, reading(second, 1.0)) for second in (0, 20, 640)]
    expected = [("raised", "fault", 620), ("returned", "", 640)]
    assert told([*good, (10.5, work)]) == expected
    assert told([*good, (10.5, work), (300, work)]) == expected
    assert told([*good, (39, work)]) == expected  # older than what is known


@pytest.mark.parametrize("late_s", [0.5, 15, 29])
def test_when_a_maintenance_reading_came_changes_no_count(late_s: float) -> None:
    work = reading(49, 1.0, reasons=int(Reason.MAINTENANCE))
    for back, count in ((622, 0), (648, 0), (651, 2)):  # 600 s after the work: 649
        good = [(second + 0.5, reading(second, 1.0)) for second in (0, 20, back)]
        assert len(told([*good, (49 + late_s, work)])) == count


def test_what_it_remembers_is_bounded() -> None:
    absence = Absence(RULE, AbsenceLaw("fault", 1000), "st1/wl", (START_MS, 0, 900_000))
    for n in range(100):
        absence.maintained(at(n), at(n), 1000 * n)
    for n in range(300, 200, -5):
        absence.good(at(n), at(300), 300_000, [])
    kept, spells = absence.dump()[3:5]
    assert (len(kept), len(spells)) == (KEPT_MAX, SPELLS_MAX)


@pytest.mark.parametrize("back", [[None, 0, 0], [at(640), at(641), 30_000, 610_000]])
def test_a_state_that_knew_one_return_goes_on(back: list[int | None]) -> None:
    absence = Absence(RULE, AbsenceLaw("fault", 600_000), "st1/wl", (START_MS, 0, 30_000))
    absence.restore([0, [at(0), True], 30_000, 30_000, back, []])
    out: list[ConditionEvent] = []
    absence.tick(60_000, out)
    assert len(out) == (2 if back[0] is not None else 0)
