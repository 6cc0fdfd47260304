"""Qualities, units, topics, partitions and the scaled clock: the fixed facts of the house."""

from __future__ import annotations

import re

import pytest

from egret_core import quality, topics, units
from egret_core.partition import PARTITIONS, fnv1a, partition_of
from egret_core.quality import Flag, Reason
from egret_core.timescale import REAL, SCALE_MAX, Timescale
from egret_core.topics import Leaf


def test_the_reason_bits_are_a_promise_and_its_table_is_complete() -> None:
    table = {
        name: int(bit)
        for bit, name in re.findall(
            r"^\| (\d+) \| ([A-Z_]+) \|", quality.__doc__ or "", re.MULTILINE
        )
    }
    assert table == {reason.name: int(reason) for reason in Reason if reason.name}
    assert [Reason.MAINTENANCE, Reason.RANGE, Reason.CLOCK, Reason.SENSOR_FAULT] == [1, 2, 4, 8]
    assert max(table.values()) <= quality.REASONS_MAX


def test_worst_is_an_order_of_harm_and_not_of_numbers() -> None:
    assert quality.worst(Flag.MISSING, Flag.FAIL) == Flag.FAIL
    assert quality.worst(Flag.SUSPECT, Flag.MISSING) == Flag.MISSING
    assert quality.worst(Flag.GOOD, Flag.NOT_EVALUATED) == Flag.NOT_EVALUATED
    assert set(quality.WORST_ORDER) == set(Flag)


@pytest.mark.parametrize(
    ("flag", "reasons", "counted", "good"),
    [
        (Flag.GOOD, 0, True, True),
        (Flag.NOT_EVALUATED, 0, True, True),
        (Flag.SUSPECT, Reason.SPIKE, True, False),
        (Flag.FAIL, Reason.RANGE, False, False),
        (Flag.MISSING, Reason.TIMEOUT, False, False),
        (Flag.GOOD, Reason.MAINTENANCE, False, False),
        (Flag.GOOD, Reason.MAINTENANCE | Reason.CLOCK, False, False),
        (Flag.GOOD, Reason.CLOCK, True, True),
    ],
)
def test_what_counts_and_what_ends_an_absence(
    flag: int, reasons: int, *, counted: bool, good: bool
) -> None:
    assert quality.counts(flag, reasons) is counted
    assert quality.is_good(flag, reasons) is good


@pytest.mark.parametrize(
    ("quantity", "value", "unit", "canonical"),
    [
        ("water_level", 3.0, "ft", 0.9144),
        ("water_level", 7.01 * 0.1 * 10, "ft", 2.136648),
        ("water_level", 123.4, "cm", 1.234),
        ("rain_total", 1, "in", 25.4),
        ("rain_intensity", 0.5, "mm/min", 30.0),
        ("pore_pressure", 1.0, "bar", 100.0),
        ("temperature", 212, "degF", 100.0),
        ("pressure", 1, "psi", 6.894757293),
        ("pressure", 1, "inHg", 3.386389),
        ("pressure", 1, "mH2O", 9.80665),
        ("soil_moisture", 0.2337, "m3/m3", 23.37),
        ("temperature", 273.15, "K", 0.0),
        ("discharge", 1, "ft3/s", 0.028316847),
    ],
)
def test_conversion_to_the_canonical_unit(
    quantity: str, value: float, unit: str, canonical: float
) -> None:
    assert units.convert(quantity, value, unit) == canonical


def test_every_canonical_unit_is_known_and_is_its_own_identity() -> None:
    for quantity, unit in units.CANONICAL.items():
        assert units.factor(quantity, unit) == (1.0, 0.0)


def test_unit_faults_name_the_way_out() -> None:
    with pytest.raises(units.UnitError, match=r"known: .*water_level"):
        units.canonical("waterlevel")
    with pytest.raises(units.UnitError, match=r"unknown unit 'furlong'"):
        units.convert("water_level", 1, "furlong")
    with pytest.raises(units.UnitError, match=r"cannot measure rain_total .*mm"):
        units.convert("rain_total", 1, "kPa")
    with pytest.raises(units.UnitError, match="not a number"):
        units.convert("water_level", float("nan"), "m")


@pytest.mark.parametrize("leaf", list(Leaf))
def test_topics_go_both_ways(leaf: Leaf) -> None:
    assert topics.parse(topics.of("XM-TA-0042", leaf)) == ("XM-TA-0042", leaf)
    assert topics.of("g", leaf) == f"egret/v1/g/{leaf.value}"


@pytest.mark.parametrize("bad", ["", "a/b", "a+b", "a.b", "a b", "#", "x" * 49, "é", "centre"])
def test_ids_that_would_break_a_broker_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="cannot name a gateway"):
        topics.of(bad, Leaf.DATA)
    assert topics.parse(f"egret/v1/{bad}/data") is None


@pytest.mark.parametrize("foreign", ["egret/v2/g/data", "egret/v1/g/meta", "egret/v1/g", "g/data"])
def test_foreign_topics_are_nobodys(foreign: str) -> None:
    assert topics.parse(foreign) is None
    assert not topics.is_id(7)


@pytest.mark.parametrize(
    ("gateway", "value", "partition"),
    [
        ("XM-TA-0042", 3020122291, 51),
        ("XM-TA-0043", 3003344672, 32),
        ("gw000", 2904398449, 49),
        ("gw1", 2200929174, 22),
    ],
)
def test_partitions_are_those_of_the_broker(gateway: str, value: int, partition: int) -> None:
    assert fnv1a(gateway) == value
    assert partition_of(gateway) == partition < PARTITIONS


def test_the_scaled_clock_is_a_line() -> None:
    storm = Timescale(scale=60, from_ms=1_000_000, to_ms=5_000_000)
    assert storm.at(1_000_000) == 5_000_000
    assert storm.at(1_001_000) == 5_060_000
    assert storm.real_s(60) == 1.0
    assert REAL.at(1795340000123) == 1795340000123
    for scale in (0.5, 0, -1, SCALE_MAX + 1):
        with pytest.raises(ValueError, match="between 1 and 120"):
            Timescale(scale=scale)
