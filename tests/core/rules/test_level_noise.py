"""A surface that moves by 2 % around a threshold for a day: one raise, one proposal at most."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from rig.packbook import PACKS, RIVER, judged, of_pack

from egret_core.rules.event import Phase
from egret_core.rules.model import ChannelPlace

if TYPE_CHECKING:
    from egret_core.rules.model import BoundRule

MINUTES = 24 * 60
FLAPPING = (
    *("generic-level", "cn-flood-levels", "generic-rating", "surge-residual", "muskingum-flow"),
    *("generic-rain-forecast", "generic-rate-of-rise", "generic-time-to-level", "river-nowcast"),
    *("generic-api", "jma-effective-rainfall", "jma-soil-water"),
)
WARNING, GUARANTEED, HIGHEST = 15.0, 16.6, 18.0
FLOW = ChannelPlace("st1", "q", "discharge", "m3/s", "", "GW-1", 30.0)
FORECAST = ChannelPlace("st1", "fc", "rain_forecast", "mm", "", "GW-1", 30.0)
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


def crossings(
    rule: BoundRule, rank: int, rows: list[tuple[float, float]], on: ChannelPlace = RIVER
) -> tuple[int, int]:
    """Return how often the rank was reached and how often it was proposed to leave it."""
    events = judged(rule, on, rows)
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


def test_the_defaults_are_those_of_the_packs() -> None:
    for name in FLAPPING:
        defaults = {key: one.default for key, one in PACKS[name].parameters.items()}
        assert defaults["hold_s"] >= 1800
        assert defaults["flap_s"] == 21600


RATED = """datum = "Local"
points = [{ stage = 10, flow = 20 }, { stage = 20, flow = 200 }]
levels = [{ level = "red", raise = 82.14 }]"""
STILL = """datum = "Local"
epoch = "2017-07-14T00:00:00+00:00"
constituents = [{ name = "M2", amplitude = 0.0, speed_deg_per_h = 28.98, phase_deg = 0 }]
levels = [{ level = "red", raise = 1.0 }]"""
ROUTED = 'reach = "r"\ntravel_h = 0.05\nlevels = [{ level = "red", raise = 100, clear = 99 }]'
AHEAD = 'ahead_s = 3600\nlevels = [{ level = "red", raise = 80 }]'


@pytest.mark.parametrize("bursts", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("pack", "on", "parameters", "around"),
    [
        ("generic-rating", RIVER, RATED, 15.3),
        ("surge-residual", RIVER, STILL, 1.0),
        ("surge-residual", RIVER, f"{STILL}\npersistence_s = 0", 1.0),
        ("muskingum-flow", FLOW, ROUTED, 100.0),
        ("generic-rain-forecast", FORECAST, AHEAD, 80.0),
    ],
)
def test_a_ladder_over_an_index_with_the_packs_defaults(
    pack: str, on: ChannelPlace, parameters: str, around: float, seed: int, *, bursts: bool
) -> None:
    up, down = crossings(of_pack(pack, on, parameters), 1, noise(around, seed, bursts=bursts), on)
    assert up <= 1
    assert down <= 1
