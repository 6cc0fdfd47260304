"""Every pack that judges a channel, in noise of 2 % around each of its levels, a day at 1/min.

At most one raise and one proposal to lower it, with the pack's own defaults; the level goes when
the noise is over; and without what protects it the same noise says it again and again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.noise import WAYS
from rig.noisy import (
    APART,
    JUDGING,
    ON,
    SITES,
    bare,
    crossings,
    judge,
    ladder_of,
    level,
    probed,
    ranks_of,
    rule_of,
    shares,
    with_ladder,
)
from rig.packbook import PACKS, RIVER, of_pack

from egret_core.rules.ladder import FLAPS
from egret_core.rules.model import IndexLaw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.model import BoundRule

MIN_MS = 60_000
NOISES = [(1, False), (2, True), (3, True)]  # seed, and whether it dwells on one side
RANKS = [(pack, rank) for pack in JUDGING for rank in ranks_of(rule_of(pack))]
LADDERS = [(pack, rank) for pack, rank in RANKS if ladder_of(rule_of(pack))]
# What need not be reached by noise around it: a stage of two lines of evidence, which meet in no
# steady movement; a surge that must stay for ten minutes.
SELDOM = {("inverse-velocity", 3), *(("surge-residual", rank) for rank in (1, 2, 3))}
# What cannot move back within a day, however it rains or creeps: a sum that only grows, the rain of
# three days, intensity over a curve that falls faster than the mean does, windows of days.
STEADY = {
    *("cn-rain-grades", "usgs-seattle-p3-p15", "usgs-seattle-intensity-duration"),
    *("generic-velocity", "xu-tangent-angle", "inverse-velocity"),
}
# A sum only grows within its day: it has nothing to flap.
FLAPPING = [(pack, rank) for pack, rank in LADDERS if pack != "cn-rain-grades"]
# Of several curves the index itself keeps the distance: below.
DISTANT = [
    pack
    for pack in JUDGING
    if "clear_ratio" in PACKS[pack].parameters and "curves" not in PACKS[pack].parameters
]
BY_STAGE = {"stage", "curves"}  # units of an index that counts: it moves by one


def handed_in(rule: BoundRule, rank: int, noise: Sequence[float]) -> list[tuple[int, float]]:
    """Return what an index would have to be, a value a minute, to be by the noise off the level."""
    ladder = ladder_of(rule)
    assert ladder is not None
    at = ladder.rungs[rank - 1].raise_at
    count = ladder.unit in BY_STAGE
    values = [at - (share < 0) if count else at * (1 + share) for share in noise]
    return [(n * MIN_MS, value) for n, value in enumerate(values)]


def test_noise_reaches_every_pack() -> None:
    assert {pack.family for pack in PACKS.values()} <= WAYS.keys() | APART
    assert len(JUDGING) >= 24


@pytest.mark.parametrize(("seed", "bursts"), NOISES)
@pytest.mark.parametrize(("pack", "rank"), RANKS)
def test_one_raise_and_one_proposal_to_lower_it(
    pack: str, rank: int, seed: int, *, bursts: bool
) -> None:
    rule = rule_of(pack)
    noisy, calm = WAYS[rule.family](rule, rank, shares(seed, bursts=bursts))
    up, down = crossings(judge(rule, noisy), rank)
    assert up == 1 or ((pack, rank) in SELDOM and up == 0)
    assert down <= up
    assert crossings(judge(rule, [*noisy, *calm]), rank) == (up, up), "it goes after it"


@pytest.mark.parametrize("pack", [pack for pack in JUDGING if pack not in STEADY])
def test_without_hold_flaps_and_distance_the_same_noise_says_it_again(pack: str) -> None:
    rule, most = bare(rule_of(pack)), 0
    for rank in ranks_of(rule):
        for seed, bursts in NOISES:
            noisy, _ = WAYS[rule.family](rule, rank, shares(seed, bursts=bursts))
            most = max(most, crossings(judge(rule, noisy), rank)[0])
    assert most > 1


@pytest.mark.parametrize(("seed", "bursts"), NOISES)
@pytest.mark.parametrize(("pack", "rank"), LADDERS)
def test_a_ladder_by_itself_holds_the_bar(pack: str, rank: int, seed: int, *, bursts: bool) -> None:
    rule = probed(rule_of(pack))
    rows = handed_in(rule, rank, shares(seed, bursts=bursts))
    up, down = crossings(judge(rule, rows), rank)
    assert up == 1 or ((pack, rank) in SELDOM and up == 0)
    assert down <= up
    up, down = crossings(judge(bare(rule), rows), rank)
    assert min(up, down) > 100, "what protects it is hold, flaps and distance"


def slow(rule: BoundRule, rank: int, cycles: int = 12) -> list[tuple[int, float]]:
    """Return an index that stays on either side for a fifth longer than the level is held."""
    ladder = ladder_of(rule)
    assert ladder is not None
    hold_ms, need_ms = ladder.hold_ms, ladder.persistence_ms
    step_ms = max(hold_ms // 50, MIN_MS)
    side = round(1.2 * max(hold_ms, need_ms) / step_ms) + 1
    signs = ([0.02] * side + [-0.02] * side) * cycles
    rows = handed_in(rule, rank, signs)
    return [(n * step_ms, value) for n, (_, value) in enumerate(rows)]


@pytest.mark.parametrize(("pack", "rank"), FLAPPING)
def test_slower_than_the_hold_flaps_end_it_where_there_is_no_distance(pack: str, rank: int) -> None:
    whole = probed(rule_of(pack))
    ladder = ladder_of(whole)
    assert ladder is not None
    rule = with_ladder(whole, level(ladder))
    assert crossings(judge(rule, slow(rule, rank)), rank) == (FLAPS, FLAPS - 1)
    never = with_ladder(rule, replace(level(ladder), flap_ms=0))
    up, down = crossings(judge(never, slow(never, rank)), rank)
    assert min(up, down) > 10


@pytest.mark.parametrize("pack", DISTANT)
def test_a_distance_alone_holds_the_bar_however_slow_the_noise(pack: str) -> None:
    rule = probed(rule_of(pack))
    ladder = ladder_of(rule)
    assert ladder is not None
    assert all(one.clear_at == pytest.approx(0.95 * one.raise_at) for one in ladder.rungs)
    alone = with_ladder(rule, replace(ladder, hold_ms=0, flap_ms=0))
    for rank in ranks_of(rule):
        assert crossings(judge(alone, slow(rule, rank)), rank) == (1, 0)


@pytest.mark.parametrize("per_h", [0.1, 0.5, 3.0])
def test_a_rise_is_said_once_where_the_readings_are_noisy_themselves(per_h: float) -> None:
    levels = f'unit = "m/h"\nlevels = [{{ level = "a", raise = {per_h} }}]'
    rule = of_pack("generic-rate-of-rise", RIVER, levels)
    short, most = of_pack("generic-rate-of-rise", RIVER, f"{levels}\nhold_s = 1800"), 0
    for seed in range(8):
        noise = shares(seed, bursts=False)
        rows = [(n * MIN_MS, 2.0 * (1 + one) + per_h / 60 * n) for n, one in enumerate(noise)]
        assert crossings(judge(rule, rows), 1) == (1, 0)
        most = max(most, crossings(judge(short, rows), 1)[0])
    assert most > 1 or per_h > 0.1, "a hold as long as the window is too short for a slow rise"


@pytest.mark.parametrize(("ratio", "most"), [(0.95, (1, 0)), (1.0, (99, 99))])
def test_of_several_curves_one_that_was_reached_counts_down_to_its_part(
    ratio: float, most: tuple[int, int]
) -> None:
    rule = rule_of("generic-intensity-duration", f"clear_ratio = {ratio}\nhold_s = 0\nflap_s = 0")
    for rank in ranks_of(rule):
        noisy, _ = WAYS[rule.family](rule, rank, shares(3, bursts=True))
        found = crossings(judge(rule, noisy), rank)
        assert found == most if most == (1, 0) else min(found) > 3


def test_a_level_with_a_clear_of_its_own_keeps_it() -> None:
    levels = 'levels = [{ level = "a", raise = 30, clear = 20 }, { level = "b", raise = 40 }]'
    own = rule_of("caine-1980", levels).law
    assert isinstance(own, IndexLaw)
    assert [one.clear_at for one in own.ladder.rungs] == [20, 38]


def test_below_zero_the_distance_is_downwards_too() -> None:
    law = rule_of("usgs-seattle-wetness", 'levels = [{ level = "a", raise = -0.1 }]').law
    assert isinstance(law, IndexLaw)
    assert law.ladder.rungs[0].clear_at == pytest.approx(-0.105)


@pytest.mark.parametrize(
    ("pack", "raises", "clears"),
    [
        ("usgs-seattle-wetness", (-0.175, 0.1), (-0.175, 0.095)),  # never drier than -0.18 m
        ("generic-rating", (20.5, 100.0), (20.5, 95.0)),  # nothing is judged below 20 m3/s
    ],
)
def test_no_clear_is_out_of_reach(
    pack: str, raises: tuple[float, float], clears: tuple[float, float]
) -> None:
    rows = ", ".join(
        f'{{ level = "{word}", raise = {at} }}' for word, at in zip("ab", raises, strict=True)
    )
    site = SITES[pack].partition("levels")[0]
    law = of_pack(pack, ON.get(PACKS[pack].family, RIVER), f"{site}\nlevels = [{rows}]").law
    assert isinstance(law, IndexLaw)
    assert [one.clear_at for one in law.ladder.rungs] == pytest.approx(clears)


def test_every_ladder_has_a_hold_and_flaps_that_outlast_it() -> None:
    for pack, _ in LADDERS:
        ladder = ladder_of(rule_of(pack))
        assert ladder is not None
        assert ladder.hold_ms >= 30 * MIN_MS, pack
        assert ladder.flap_ms > 5 * ladder.hold_ms or (pack, 1) not in FLAPPING, pack
