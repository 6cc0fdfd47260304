"""A surface that moves by 2 % around a threshold for a day, through the fold: one raise at most.

Every other pack is in `test_pack_noise`.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from rig.packbook import RIVER, judged, of_pack

from egret_core.rules.event import Phase

if TYPE_CHECKING:
    from egret_core.rules.model import BoundRule

MINUTES = 24 * 60
WARNING, GUARANTEED, HIGHEST = 15.0, 16.6, 18.0
COMMON = 'unit = "m"\ndatum = "Local"\n'
FLOOD = f"{COMMON}warning = {WARNING}\nguaranteed = {GUARANTEED}\nhighest = {HIGHEST}"


def generic(threshold: float, clear: str = "") -> BoundRule:
    return of_pack(
        "generic-level",
        RIVER,
        f'{COMMON}levels = [{{ level = "blue", raise = {threshold}{clear} }}]',
    )


def noise(around: float, seed: int, *, bursts: bool) -> list[tuple[float, float]]:
    """One reading a minute within 2 % of a level; in bursts it dwells some minutes on one side."""
    dice, side, out = random.Random(seed), 1, []
    for n in range(MINUTES):
        if bursts and dice.random() < 0.3:
            side = -side
        share = abs(dice.uniform(-0.02, 0.02)) * side if bursts else dice.uniform(-0.02, 0.02)
        out.append((60.0 * n, around * (1 + share)))
    return out


def crossings(rule: BoundRule, rank: int, rows: list[tuple[float, float]]) -> tuple[int, int]:
    """Return how often the rank was reached and how often it was proposed to leave it."""
    events = judged(rule, RIVER, rows)
    assert not [e for e in events if e.phase is Phase.REFUTED]
    said = {e.id for e in events if e.phase is Phase.PROVISIONAL and e.rank >= rank}
    ranks = [0, *(e.rank for e in events if e.phase is Phase.SETTLED)]
    pairs = list(pairwise(ranks))
    up = sum(before < rank <= after for before, after in pairs)
    assert len(said) <= up, "nothing is said at once that is not raised"
    return up, sum(after < rank <= before for before, after in pairs)


@pytest.mark.parametrize("bursts", [False, True])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("threshold", "clear"), [(3.0, ""), (15.0, ""), (15.0, ", clear = 14.9")])
def test_generic_level_with_the_packs_defaults(
    seed: int, threshold: float, clear: str, *, bursts: bool
) -> None:
    rows = noise(threshold, seed, bursts=bursts)
    up, down = crossings(generic(threshold, clear), 1, rows)
    assert up == 1
    assert down <= 1


@pytest.mark.parametrize("bursts", [False, True])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("rank", "around"), [(1, WARNING - 0.5), (2, WARNING), (3, GUARANTEED), (4, HIGHEST)]
)
def test_cn_flood_levels_with_the_packs_defaults(
    seed: int, rank: int, around: float, *, bursts: bool
) -> None:
    rows = noise(around, seed, bursts=bursts)
    up, down = crossings(of_pack("cn-flood-levels", RIVER, FLOOD), rank, rows)
    assert up == 1
    assert down <= 1


def test_without_hold_and_flap_it_would_say_it_hundreds_of_times() -> None:
    bare = of_pack(
        "generic-level",
        RIVER,
        f'{COMMON}levels = [{{ level = "blue", raise = 3.0 }}]\nhold_s = 0\nflap_s = 0',
    )
    up, down = crossings(bare, 1, noise(3.0, 1, bursts=False))
    assert up > 300
    assert down > 300


def test_with_flaps_alone_it_says_it_three_times() -> None:
    rows = noise(3.0, 1, bursts=False)
    flap = of_pack(
        "generic-level", RIVER, f'{COMMON}levels = [{{ level = "blue", raise = 3.0 }}]\nhold_s = 0'
    )
    assert crossings(flap, 1, rows) == (3, 2)
