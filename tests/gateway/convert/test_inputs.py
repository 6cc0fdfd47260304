"""Inputs of a conversion: fresh, doubtful, old, gone; and the order in which channels are made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.sheets import STEINHART, bench, channel, logger
from rig.sheets import WIRE as THERMAL

from egret_core.quality import Flag, Reason
from egret_core.timescale import Timescale
from egret_gateway.bus.latest import Latest
from egret_gateway.bus.line import Turn
from egret_gateway.bus.sampler import Sampler
from egret_gateway.convert.inputs import HELD_AGES, ordered

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.profiles import ChannelSettings
    from egret_gateway.sample import Sample

WIRE = """formula = "vw-linear-r1-r0"
quantity = "pore_pressure"
unit = "kPa"
g = -0.04
r0 = 8900
s0 = 100
barometer = { channel = "st0007/baro", max_age_s = 60 }
"""
STALE = Reason.INPUT | Reason.STALE


class Field:
    """A wire on one line and a barometer on another, read when a test says so."""

    def __init__(self, folder: Path, *, scale: float = 1.0) -> None:
        config = bench(
            folder,
            logger(channel("wire_digits", WIRE, name="pore"), unit=7),
            logger(channel("baro"), unit=8),
        )
        devices = config.buses[0].devices
        self.wire, self.baro = (device.channels for device in devices)
        timescale = Timescale(scale, 0, 0)
        self.latest = Latest(timescale)
        self.lines = [Sampler(timescale, {}, lambda: False, self.latest) for _ in range(2)]

    def pressure(self, at_s: float) -> Sample:
        """Read the wire: 20 kPa before the barometer."""
        return self.lines[0].values(Turn("7", self.wire, 600), [8400.0], at_s).samples[0]

    def barometer(self, raw: float, at_s: float) -> None:
        self.lines[1].values(Turn("8", self.baro, 600), [raw], at_s)

    def silence(self, at_s: float) -> None:
        self.lines[1].missing(self.baro, Reason.TIMEOUT, at_s)


HPA_1013 = 2137.5  # raw of 101.3 kPa


def test_a_barometer_on_another_line_corrects(tmp_path: Path) -> None:
    field = Field(tmp_path)
    field.barometer(HPA_1013, 100)
    found = field.pressure(160)
    assert (found.value, found.flag, found.reasons) == (pytest.approx(18.7), Flag.GOOD, 0)


def test_an_old_number_is_never_used_in_silence(tmp_path: Path) -> None:
    field = Field(tmp_path)
    field.barometer(HPA_1013, 100)
    for age_s, flag, reasons in (
        (60.001, Flag.SUSPECT, STALE),
        (60 * HELD_AGES, Flag.SUSPECT, STALE),
    ):
        found = field.pressure(100 + age_s)
        assert (found.value, found.flag, found.reasons) == (pytest.approx(18.7), flag, reasons)
    found = field.pressure(100 + 60 * HELD_AGES + 0.001)
    assert (found.value, found.raw) == (None, 8400.0), "what was measured still travels"
    assert (found.flag, found.reasons) == (Flag.FAIL, Reason.INPUT)


def test_an_input_that_was_never_seen_gives_no_value(tmp_path: Path) -> None:
    found = Field(tmp_path).pressure(100)
    assert (found.value, found.flag, found.reasons) == (None, Flag.FAIL, Reason.INPUT)


def test_a_missing_input_grows_old_and_comes_back(tmp_path: Path) -> None:
    field = Field(tmp_path)
    field.barometer(HPA_1013, 100)
    field.silence(150)
    assert field.pressure(155).flag == Flag.GOOD, "one poll lost: the number is still young"
    field.silence(210)
    assert field.pressure(215).reasons == STALE
    field.barometer(HPA_1013, 220)
    assert field.pressure(225)[:6] == ("st0007", "pore", 225_000, pytest.approx(18.7), 8400.0, 1)


def test_a_doubtful_input_makes_the_result_doubtful(tmp_path: Path) -> None:
    field = Field(tmp_path)
    field.barometer(HPA_1013, 100)
    key = "st0007/baro"
    field.latest._held[key] = field.latest._held[key]._replace(flag=Flag.SUSPECT)
    found = field.pressure(110)
    assert (found.value, found.flag) == (pytest.approx(18.7), Flag.SUSPECT)
    assert found.reasons == Reason.INPUT


def test_a_failed_input_is_not_taken(tmp_path: Path) -> None:
    field = Field(tmp_path)
    field.barometer(HPA_1013, 100)
    for raw in (float("nan"), 5000.0):  # no number, and one that no barometer measures
        field.barometer(raw, 105)
        assert field.pressure(110).value == pytest.approx(18.7)
    assert field.pressure(161).reasons == STALE


def test_ages_are_scaled_seconds(tmp_path: Path) -> None:
    field = Field(tmp_path, scale=60)
    field.barometer(HPA_1013, 100)
    assert field.pressure(100.9).flag == Flag.GOOD
    assert field.pressure(101.1).reasons == STALE


def three(folder: Path) -> tuple[ChannelSettings, ...]:
    """A piezometer that needs a wire barometer, which needs the thermistor named last."""
    baro = THERMAL.replace("pore_pressure", "pressure")
    wire = WIRE.replace("st0007/baro", "st0007/wire")
    config = bench(
        folder,
        logger(
            channel("wire_digits", wire),
            channel("wire", baro),
            channel("thermistor", STEINHART),
        ),
    )
    return config.buses[0].devices[0].channels


def test_what_is_needed_is_made_first_whatever_the_file_s_order(tmp_path: Path) -> None:
    channels = three(tmp_path)
    assert ordered(channels) == [2, 1, 0]
    assert ordered(channels[:1]) == [0]
    sampler = Sampler(Timescale(1, 0, 0), {}, lambda: False)
    turn = Turn("7", channels, 60)
    first = sampler.values(turn, [8400.0, 2800.0, 5.781], 100).samples
    assert [sample.channel for sample in first] == ["thermistor", "wire", "wire_digits"]
    assert all(sample.flag == Flag.GOOD for sample in first), "all of one and the same read"
    warm, air, pore = (sample.value or 0.0 for sample in first)
    assert air == pytest.approx(-0.04 * (7840 - 8900) + 0.05 * (warm - 20))
    assert pore == pytest.approx(20 - (air - 100))


def test_that_something_was_lost_is_told_by_the_next_number(tmp_path: Path) -> None:
    warm = three(tmp_path)[2]
    warm = replace(warm, item=replace(warm.item, sentinels=(9999.0,)))
    sampler, turn = Sampler(Timescale(1, 0, 0), {}, lambda: False), Turn("7", (warm,), 60)

    def read(raw: float, at_s: float, *, lost: bool = False) -> Sample:
        return sampler.values(turn, [raw], at_s, lost=lost).samples[0]

    none = read(9999.0, 100, lost=True)
    assert none.value is None
    first = read(5.781, 160)
    assert (first.flag, first.reasons & Reason.GAP) == (Flag.SUSPECT, Reason.GAP)
    assert read(5.781, 220).flag == Flag.GOOD


def test_what_was_read_in_maintenance_corrects_nothing_after_it(tmp_path: Path) -> None:
    field = Field(tmp_path)
    field.barometer(HPA_1013, 100)
    field.lines[1]._maintenance = lambda: True
    field.barometer(HPA_1013 / 2, 130)
    field.lines[1]._maintenance = lambda: False
    found = field.pressure(150)
    assert (found.value, found.flag) == (pytest.approx(18.7), Flag.GOOD), "by the one before it"
