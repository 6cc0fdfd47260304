"""Registers as the makers lay them out, read back by the gateway's own profiles."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from egret_core.quality import Flag, Reason
from egret_demo.instruments import (
    METRES,
    PLACES,
    RAIN_PER_MM,
    RAIN_START,
    RAIN_WRAP,
    TIP_MM,
    Radar,
    RainBucket,
)
from egret_demo.valley import Valley
from egret_gateway.convert import to_canonical
from egret_gateway.profiles import ChannelSettings, find, load
from egret_gateway.protocols.registers import decode

if TYPE_CHECKING:
    from egret_gateway.profiles import Item

SEED = 11
STORM_S = 80 * 60


def item(profile: str, name: str) -> Item:
    path = find(profile)
    assert path is not None
    return next(one for one in load(path).items if one.name == name)


def read(one: Item, registers: dict[int, int]) -> float:
    words = [registers[address] for address in range(one.at.address, one.at.last + 1)]
    return decode(words, one.at.kind, one.at.order)


@pytest.mark.parametrize("place", PLACES)
def test_the_radar_s_level_is_where_its_profile_looks(place: str) -> None:
    level = item("vega-vegapuls-c", "level")
    valley = Valley(SEED)
    radar = Radar(valley, place, SEED)
    for at_s in range(0, STORM_S, 300):
        moment = valley.at(at_s)
        truth = moment.weir_m if place == "weir" else moment.bridge_m
        assert read(level, radar.registers(at_s)) == pytest.approx(truth, abs=0.015)


def test_the_radar_says_good_and_metres_and_nothing_of_what_is_not_set_up() -> None:
    registers = Radar(Valley(SEED), "bridge", SEED).registers(60)
    assert registers[2000] == 0
    assert registers[104] == METRES
    assert all(registers[address] == 0 for address in (2001, *range(2004, 2010)))
    assert set(registers) == {104, *range(2000, 2010)}


def test_every_register_is_a_word() -> None:
    valley = Valley(SEED)
    for instrument in (Radar(valley, "weir", SEED), RainBucket(valley)):
        for at_s in (-10.0, 0.0, 33.3, 2400.0, 100_000.0):
            assert all(0 <= word <= 0xFFFF for word in instrument.registers(at_s).values())


def test_the_same_seed_the_same_noise_and_another_place_another() -> None:
    def noise(place: str, seed: int) -> list[dict[int, int]]:
        radar = Radar(Valley(SEED), place, seed)
        return [radar.registers(0.0) for _ in range(20)]

    assert noise("bridge", 1) == noise("bridge", 1)
    assert noise("bridge", 1) != noise("bridge", 2)
    assert len({registers[2003] for registers in noise("bridge", 1)}) > 10


def test_noise_is_small_and_has_no_bias() -> None:
    level = item("vega-vegapuls-c", "level")
    valley = Valley(SEED)
    radar = Radar(valley, "bridge", SEED)
    errors = [read(level, radar.registers(0.0)) - valley.at(0.0).bridge_m for _ in range(2000)]
    assert sum(errors) / len(errors) == pytest.approx(0.0, abs=0.0003)
    assert max(map(abs, errors)) < 0.012


def test_the_bucket_s_total_over_a_storm_is_the_storm_though_it_wraps() -> None:
    rain = item("dfrobot-sen0575", "rain")
    channel = ChannelSettings("ridge", "rain", rain)
    valley = Valley(SEED)
    bucket = RainBucket(valley)
    memory, totals = "", []
    wrapped = 0
    raws = []
    for at_s in range(0, STORM_S + 60, 60):
        raw = read(rain, bucket.registers(at_s))
        found = to_canonical(channel, raw, memory, 60.0)
        memory = found.memory or memory
        assert (found.flag, found.reasons) == (Flag.GOOD, Reason.NONE)
        assert found.value is not None
        totals.append(found.value)
        raws.append(raw)
    wrapped = sum(after < before for before, after in pairwise(raws))
    assert wrapped == 1
    assert totals == sorted(totals)
    assert totals[-1] - totals[0] == pytest.approx(valley.at(STORM_S).rain_mm, abs=2 * TIP_MM)


def test_the_counter_stands_before_its_wrap() -> None:
    assert RAIN_WRAP - RAIN_START == 40 * RAIN_PER_MM
    registers = RainBucket(Valley(SEED)).registers(0.0)
    assert decode((registers[8], registers[9]), "u32", "CDAB") == RAIN_START
    assert decode((registers[10], registers[11]), "u32", "CDAB") == 0


def test_tips_and_minutes_count_up() -> None:
    bucket = RainBucket(Valley(SEED))
    tips = []
    for minute in range(0, 81, 5):
        registers = bucket.registers(minute * 60.0)
        assert registers[12] == minute
        tips.append(decode((registers[10], registers[11]), "u32", "CDAB"))
    assert tips == sorted(tips)
    assert tips[-1] * TIP_MM == pytest.approx(Valley(SEED).at(80 * 60).rain_mm, abs=TIP_MM)
    assert bucket.registers(66_000 * 60.0 % (39 * 86_400))[12] <= 0xFFFF
