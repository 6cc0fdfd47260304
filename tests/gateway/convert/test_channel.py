from __future__ import annotations

import random
from math import isfinite, nan

import pytest

from egret_core.quality import Flag, Reason
from egret_core.screening.range import Span
from egret_core.units import canonical, convert
from egret_gateway.convert import Converted, formula_of, to_canonical
from egret_gateway.convert.formula import Calibration
from egret_gateway.convert.formulas import FORMULAS
from egret_gateway.profiles import ChannelSettings, Counter, Item, Register


def level(**changes: object) -> ChannelSettings:
    facts: dict[str, object] = {"unit": "ft", "scale": 0.01, **changes}
    at = Register(3, 0, str(facts.pop("kind", "u16")))
    item = Item("stage", at, quantity="water_level", **facts)  # type: ignore[arg-type]
    return ChannelSettings("st", "wl", item, datum="D")


def bucket(
    bits: int = 16, max_step: int = 1000, scale: float = 0.2, *, clears: bool = False
) -> ChannelSettings:
    counter = Counter(bits, max_step)
    at = Register(4, 8, "u16")
    item = Item("rain", at, "rain_total", "mm", scale, counter=counter, read_clears=clears)
    return ChannelSettings("st", "rain", item)


def test_hundredths_of_a_foot_meet_a_threshold_in_feet_exactly() -> None:
    for raw in range(1001):
        converted = to_canonical(level(), raw, "")
        assert converted.value == convert("water_level", raw / 100, "ft")
        assert converted.raw == raw


def test_the_identity_carries_no_raw() -> None:
    channel = level(kind="f32", unit="m", scale=1.0)
    assert to_canonical(channel, 1.5, "") == Converted(1.5, None, 1, 0)
    assert formula_of(channel) == ("identity", {})


def test_the_staff_gauge_zero_is_added_after_conversion() -> None:
    channel = ChannelSettings("st", "wl", level().item, datum="D", datum_offset_m=12.345)
    assert to_canonical(channel, 300, "").value == pytest.approx(0.9144 + 12.345, abs=1e-9)
    assert formula_of(channel)[1]["datum_offset_m"] == 12.345


def test_the_sensor_s_span_is_without_datum_and_the_operator_s_with_it() -> None:
    item = level(kind="f32", unit="m", scale=1.0, sensor=Span(0.0, 5.0)).item
    channel = ChannelSettings("st", "wl", item, "D", 10.0, operator=Span(10.5, 12.0))
    assert to_canonical(channel, 1.0, "").flag == Flag.GOOD
    assert to_canonical(channel, 0.2, "").flag == Flag.SUSPECT
    failed = to_canonical(channel, 6.0, "")
    assert (failed.value, failed.flag, failed.reasons) == (16.0, Flag.FAIL, Reason.RANGE)


def test_no_value_is_none_and_says_why() -> None:
    channel = level(kind="f32", unit="m", scale=1.0, sentinels=(-9999.0,))
    assert to_canonical(channel, -9999.0, "") == Converted(
        None, -9999.0, Flag.MISSING, Reason.SENTINEL
    )
    assert to_canonical(channel, nan, "") == Converted(None, None, Flag.FAIL, Reason.NOT_A_NUMBER)


@pytest.mark.parametrize("raw", [1.7e308, -1.7e308, 1e300])
@pytest.mark.parametrize("changes", [{"scale": 1e9}, {"unit": "ft", "scale": 1e9}])
def test_a_number_beyond_a_float_is_no_value_and_ends_nobody(
    raw: float, changes: dict[str, object]
) -> None:
    found = to_canonical(level(kind="f64", **changes), raw, "")
    assert found == Converted(None, raw, Flag.FAIL, Reason.NOT_A_NUMBER)


@pytest.mark.parametrize("formula", sorted(FORMULAS))
@pytest.mark.parametrize("raw", [1.7e308, -1.7e308, 1e200, 5e-324])
def test_no_law_ends_on_a_number_that_is_finite(formula: str, raw: float) -> None:
    law = FORMULAS[formula]
    if law.counts:
        return
    numbers = {one.name: min(1e12, one.high) for one in law.constants}
    quantity = (law.takes or ("pressure",))[0]
    gives = (law.gives or ("pressure",))[0]
    unit, own = law.unit or canonical(gives), canonical(quantity)
    item = Item("x", Register(3, 0, "f64"), quantity, own)
    sheet = Calibration(law, numbers, gives, unit, own)
    found = to_canonical(ChannelSettings("st", "x", item, calibration=sheet), raw, "")
    assert found.value is None or isfinite(found.value)
    assert found.value is not None or found.flag == Flag.FAIL


def totals(channel: ChannelSettings, counts: list[int]) -> list[Converted]:
    memory, found = "", []
    for raw in counts:
        converted = to_canonical(channel, raw, memory)
        memory = converted.memory or memory
        found.append(converted)
    return found


def test_a_bucket_counts_wraps_and_goes_on() -> None:
    found = totals(bucket(), [65530, 65535, 4, 4, 10])
    assert [c.value for c in found] == [13106.0, 13107.0, 13108.0, 13108.0, 13109.2]
    assert all(c.flag == Flag.GOOD and c.reasons == 0 for c in found)
    assert [c.raw for c in found] == [65530, 65535, 4, 4, 10]


def test_a_reset_is_told_and_the_total_goes_on() -> None:
    found = totals(bucket(), [5000, 5003, 2, 3])
    assert [c.value for c in found] == [1000.0, 1000.6, 1001.0, 1001.2]
    assert [c.reasons for c in found] == [0, 0, Reason.COUNTER_RESET, 0]


def test_a_leap_that_no_rain_makes_adds_nothing_and_is_suspect() -> None:
    found = totals(bucket(), [100, 40000, 40001])
    assert [c.value for c in found] == [20.0, 20.0, 20.2]
    assert (found[1].flag, found[1].reasons) == (Flag.SUSPECT, Reason.COUNTER_RESET)


def test_memory_is_sent_only_when_it_changed() -> None:
    found = totals(bucket(), [7, 7, 8])
    assert [bool(c.memory) for c in found] == [True, False, True]


def test_a_total_never_decreases_and_loses_no_tip_over_wraps() -> None:
    dice = random.Random(3)
    channel = bucket(bits=16, max_step=1000, scale=0.2)
    true, counts = 0, [0]
    for _ in range(2000):
        true += dice.randint(0, 900)
        counts.append(true % 65536)
    found = totals(channel, counts)
    values = [c.value for c in found if c.value is not None]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(true * 0.2, abs=1e-6)


def test_a_memory_that_cannot_be_read_makes_the_total_doubtful_not_the_task_dead() -> None:
    for memory in ("{", "[1]", "[null, 2]", '{"a": 1, "b": 2}'):
        converted = to_canonical(bucket(), 25, memory)
        assert (converted.value, converted.flag) == (5.0, Flag.SUSPECT)
        assert converted.reasons == Reason.COUNTER_RESET


def test_it_goes_on_from_memory_after_a_restart() -> None:
    before = totals(bucket(), [10, 20])[-1]
    after = to_canonical(bucket(), 25, before.memory)
    assert after.value == pytest.approx(5.0)


def test_what_reading_clears_is_added_and_not_differenced() -> None:
    channel, memory, totals = bucket(clears=True), "", []
    for raw in (3, 0, 5, 5, 2):
        converted = to_canonical(channel, raw, memory)
        memory = converted.memory or memory
        totals.append(converted.value)
        assert (converted.raw, converted.flag, converted.reasons) == (raw, Flag.GOOD, 0)
    assert totals == pytest.approx([0.6, 0.6, 1.6, 2.6, 3.0])
    assert formula_of(channel)[1]["read_clears"] == 1.0
    odd = to_canonical(channel, 1001, memory)
    assert (odd.value, odd.flag, odd.reasons) == (3.0, Flag.SUSPECT, Reason.COUNTER_RESET)
