"""What happens to a rain total over years: wraps, resets, kills, exchanged and lying devices."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from rig.box_file import opened
from rig.field_box import make_outbox

from egret_core.messages import ChannelMeta
from egret_core.quality import Flag, Reason
from egret_core.screening.rain import rain_most_mm
from egret_gateway.convert import LOST, Converted, memory_of, to_canonical
from egret_gateway.profiles import ChannelSettings, Counter, Item, Register
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path

TIP_MM = 0.2
KEY = "st1/rain"
META = ChannelMeta("st1", "rain", "rain_total", "mm", period_s=60.0, formula="counter")


def bucket(bits: int = 16, max_step: int = 5000) -> ChannelSettings:
    counter = Counter(bits, max_step)
    kind = "u16" if bits <= 16 else "u32"
    item = Item("rain", Register(4, 8, kind), "rain_total", "mm", TIP_MM, counter=counter)
    return ChannelSettings("st1", "rain", item)


class Gauge:
    """A device's counter: it tips, wraps, and forgets when its power goes."""

    def __init__(self, bits: int = 16, start: int = 0) -> None:
        self.modulus = 2**bits
        self.count = start
        self.fell = 0

    def rain(self, tips: int) -> None:
        self.count = (self.count + tips) % self.modulus
        self.fell += tips

    def power_cut(self) -> None:
        self.count = 0


class Reader:
    """The gateway's side: what it says of each read, with a memory that a kill may lose."""

    def __init__(self, channel: ChannelSettings | None = None, memory: str = "") -> None:
        self.channel = channel or bucket()
        self.memory = memory
        self.said: list[Converted] = []

    def read(self, gauge: Gauge, since_s: float | None = None) -> Converted:
        found = to_canonical(self.channel, gauge.count, self.memory, since_s)
        self.memory = found.memory or self.memory
        self.said.append(found)
        return found

    @property
    def totals(self) -> list[float]:
        return [found.value for found in self.said if found.value is not None]


def jumps(reader: Reader) -> list[Converted]:
    """Reads whose total moved without a word: neither flagged nor with a reason, by too much."""
    steps = zip(reader.said, reader.said[1:], strict=False)
    return [b for a, b in steps if (b.value or 0) < (a.value or 0) and not b.reasons]


@pytest.mark.parametrize("seed", range(8))
def test_ten_thousand_reads_of_a_troubled_gauge_never_fall_and_lose_only_what_is_told(
    seed: int,
) -> None:
    dice = random.Random(seed)
    gauge, reader = Gauge(), Reader()
    told_resets = cuts = 0
    reader.read(gauge)
    for _ in range(10_000):
        gauge.rain(dice.choice((0, 0, 0, 1, 1, 2, 7, 90)))
        if dice.random() < 0.002 and gauge.count > 5000:
            gauge.power_cut()
            cuts += 1
        found = reader.read(gauge, 60.0)
        told_resets += bool(found.reasons & Reason.COUNTER_RESET)
    assert reader.totals == sorted(reader.totals)
    assert told_resets == cuts > 0
    assert reader.totals[-1] <= gauge.fell * TIP_MM + 1e-6
    missed = gauge.fell * TIP_MM - reader.totals[-1]
    assert missed <= cuts * 90 * TIP_MM, "at most what fell between the last read and the cut"


def test_killed_between_two_reads_with_a_device_reset_meanwhile(tmp_path: Path) -> None:
    channel = bucket()
    gauge = Gauge(start=40_000)
    with opened(outbox := make_outbox(tmp_path, metas=(META,))) as ear:
        reader = Reader(channel)
        for number in range(1, 4):
            gauge.rain(5)
            commit(outbox.emitter(0.0), reader.read(gauge))
            ear.until_parcels(number)
        lost = reader.read(gauge)  # read, and killed before its commit
    assert lost.value == reader.totals[-1]
    gauge.power_cut()
    gauge.rain(12)
    with opened(outbox := make_outbox(tmp_path, metas=(META,))):
        again = Reader(channel, outbox.memory()[KEY])
        found = again.read(gauge)
    assert found.reasons == Reason.COUNTER_RESET
    assert found.value == pytest.approx(lost.value + 12 * TIP_MM)


def commit(emit: Any, found: Converted) -> None:
    assert found.value is not None
    sample = Sample("st1", "rain", 1, found.value, found.raw, found.flag, found.reasons)
    emit([sample], {KEY: found.memory} if found.memory else {})


def test_killed_before_the_commit_the_same_rain_is_counted_once(tmp_path: Path) -> None:
    gauge = Gauge(start=100)
    with opened(outbox := make_outbox(tmp_path, metas=(META,))) as ear:
        reader = Reader()
        commit(outbox.emitter(0.0), reader.read(gauge))
        ear.until_parcels(1)
        gauge.rain(50)
        reader.read(gauge)  # never committed
    with opened(outbox := make_outbox(tmp_path, metas=(META,))):
        again = Reader(memory=outbox.memory()[KEY])
        gauge.rain(1)
        assert again.read(gauge).value == pytest.approx((100 + 51) * TIP_MM)


def test_a_wrap_during_an_outage_goes_on(tmp_path: Path) -> None:
    gauge = Gauge(start=65_000)
    reader = Reader()
    first = reader.read(gauge)
    gauge.rain(1_000)
    assert gauge.count == 464
    found = Reader(memory=reader.memory).read(gauge)
    assert (found.flag, found.reasons) == (Flag.SUSPECT, Reason.GAP), (
        "200 mm, in who knows how long"
    )
    assert found.value == pytest.approx((first.value or 0) + 1_000 * TIP_MM)


def test_an_exchanged_device_that_counted_more_adds_no_rain_while_we_watch() -> None:
    gauge, reader = Gauge(start=100), Reader()
    reader.read(gauge)
    second = Gauge(start=4_000)  # 780 mm more: below max_step, beyond any minute's rain
    found = reader.read(second, 60.0)
    assert found.value == reader.totals[0]
    assert (found.flag, found.reasons) == (Flag.SUSPECT, Reason.COUNTER_RESET)
    second.rain(3)
    after = reader.read(second, 60.0)
    assert (after.flag, after.reasons) == (Flag.GOOD, 0)
    assert after.value == pytest.approx(reader.totals[0] + 3 * TIP_MM)


def test_an_exchanged_device_that_counted_less_adds_no_rain_that_cannot_be() -> None:
    gauge, reader = Gauge(start=60_000), Reader()
    reader.read(gauge)
    second = Gauge(start=4_000)  # looks like a reset followed by 800 mm in a minute
    found = reader.read(second, 60.0)
    assert found.value == reader.totals[0]
    assert (found.flag, found.reasons) == (Flag.SUSPECT, Reason.COUNTER_RESET)


def test_a_new_device_starts_from_zero_and_the_total_goes_on() -> None:
    gauge, reader = Gauge(start=60_000), Reader()
    reader.read(gauge)
    second = Gauge()
    second.rain(2)
    found = reader.read(second, 300.0)
    assert found.value == pytest.approx(reader.totals[0] + 2 * TIP_MM)
    assert (found.flag, found.reasons) == (Flag.GOOD, Reason.COUNTER_RESET)


def test_a_long_outage_may_bring_much_rain() -> None:
    gauge, reader = Gauge(), Reader()
    reader.read(gauge)
    gauge.rain(4_000)  # 800 mm
    assert reader.read(gauge, 12 * 3600.0).reasons == 0
    assert reader.totals[-1] == pytest.approx(800.0)


def test_after_a_restart_nobody_knows_how_long_and_the_profile_s_limit_holds() -> None:
    gauge, reader = Gauge(), Reader()
    reader.read(gauge)
    gauge.rain(4_999)
    again = Reader(memory=reader.memory)
    outage = again.read(gauge, None)
    assert outage.value == pytest.approx(reader.totals[-1] + 4_999 * TIP_MM), "it may have rained"
    assert (outage.flag, outage.reasons) == (Flag.SUSPECT, Reason.GAP), "and may not"
    gauge.rain(5_001)
    leap = again.read(gauge, None)
    assert (leap.flag, leap.reasons) == (Flag.SUSPECT, Reason.COUNTER_RESET)
    assert again.totals[-1] == again.totals[-2]


@pytest.mark.parametrize(
    ("since_s", "most_mm"),
    [(0.05, 60), (60, 60), (3600, 422), (6 * 3600, 990), (86_400, 1910), (7 * 86_400, 4800)],
)
def test_the_world_s_records_bound_the_rain(since_s: float, most_mm: float) -> None:
    assert rain_most_mm(since_s) == pytest.approx(most_mm, rel=0.02)


@pytest.mark.parametrize(
    ("minutes", "record_mm"),
    [(1, 38), (8, 126), (20, 206), (42, 305), (130, 483), (720, 1144), (1440, 1825)],
)
def test_every_rain_on_record_is_believed(minutes: int, record_mm: float) -> None:
    gauge, reader = Gauge(bits=32), Reader(bucket(bits=32, max_step=50_000))
    reader.read(gauge)
    gauge.rain(round(record_mm / TIP_MM))
    assert reader.read(gauge, minutes * 60.0).flag == Flag.GOOD
    assert reader.totals[-1] == pytest.approx(record_mm, abs=TIP_MM)


def test_a_lost_memory_is_told_and_a_first_sight_is_not() -> None:
    gauge = Gauge(start=500)
    assert Reader().read(gauge).reasons == 0
    found = Reader(memory=LOST).read(gauge)
    assert (found.value, found.flag) == (100.0, Flag.SUSPECT)
    assert found.reasons == Reason.COUNTER_RESET
    assert json.loads(found.memory) == [500, 100.0]


def test_what_is_kept_is_what_is_read_back() -> None:
    gauge, reader = Gauge(start=123), Reader()
    found = reader.read(gauge)
    assert found.memory == memory_of(123.0, found.value or 0.0) == "[123, 24.6]"
    assert reader.read(gauge).memory == "", "nothing new, nothing written"


def test_a_number_that_flickers_for_one_read_costs_no_false_rain() -> None:
    gauge, reader = Gauge(start=1_000), Reader()
    reader.read(gauge)
    wrong = Gauge(start=33_000)
    assert reader.read(wrong, 60.0).flag == Flag.SUSPECT
    back = reader.read(gauge, 60.0)
    assert back.value == reader.totals[0]
    assert back.reasons == Reason.COUNTER_RESET
    assert jumps(reader) == []


def test_no_value_leaves_the_memory_as_it_is() -> None:
    channel = bucket()
    missing = ChannelSettings(
        "st1", "rain",
        Item("rain", Register(4, 8, "u16"), "rain_total", "mm", TIP_MM, sentinels=(65535.0,),
             counter=channel.item.counter),
    )  # fmt: skip
    reader = Reader(missing, memory="[10, 2.0]")
    found = reader.read(Gauge(start=65_535))
    assert (found.value, found.memory, found.flag) == (None, "", Flag.MISSING)
    assert reader.read(Gauge(start=11)).value == pytest.approx(2.2)


@pytest.mark.parametrize("raw", [-9999.0, -1.0, 12.6, 65_536.0, 1e300])
@pytest.mark.parametrize("memory", ["", "[10, 2.0]", LOST])
def test_a_number_that_no_counter_is_at_is_no_value_and_moves_nothing(
    raw: float, memory: str
) -> None:
    found = to_canonical(bucket(), raw, memory, 60.0)
    fault = int(Reason.SENSOR_FAULT)
    assert found == Converted(None, raw, int(Flag.FAIL), fault, memory="")
    reader = Reader(memory="[10, 2.0]")
    assert reader.read(Gauge(start=11)).value == pytest.approx(2.2), "it goes on from before"


@pytest.mark.parametrize("since_s", [None, 60.0, 3600.0])
@pytest.mark.parametrize("zeros", [1, 3])
def test_a_zero_that_flickers_counts_no_rain_twice(since_s: float | None, zeros: int) -> None:
    gauge, reader = Gauge(start=250), Reader()
    before = reader.read(gauge)
    for _ in range(zeros):
        reader.read(Gauge(start=0), since_s)
    gauge.rain(2)
    back = reader.read(gauge, since_s)
    assert back.value == pytest.approx((before.value or 0) + 2 * TIP_MM)
    assert (back.flag, back.reasons) == (Flag.SUSPECT, Reason.COUNTER_RESET)
    gauge.rain(1)
    after = reader.read(gauge, since_s)
    assert (after.flag, after.reasons) == (Flag.GOOD, 0)
    assert after.value == pytest.approx((before.value or 0) + 3 * TIP_MM)


def test_a_leap_of_one_read_counts_nothing_on_its_way_back() -> None:
    gauge, reader = Gauge(start=100), Reader()
    before = reader.read(gauge)
    assert reader.read(Gauge(start=4_000), 60.0).value == before.value
    back = reader.read(gauge, 60.0)
    assert (back.value, back.flag) == (before.value, Flag.SUSPECT)


@pytest.mark.parametrize("former", [3, 40, 250, 4_000])
def test_a_true_reset_in_a_storm_loses_none_of_it(former: int) -> None:
    gauge, reader = Gauge(start=former), Reader()
    reader.read(gauge)
    gauge.power_cut()
    reader.read(gauge, 60.0)
    for _ in range(120):
        gauge.rain(5)  # 60 mm an hour, minute by minute, past where it had been
        reader.read(gauge, 60.0)
    assert reader.totals[-1] == pytest.approx(reader.totals[0] + 600 * TIP_MM)


def test_a_memory_that_knows_a_former_count_survives_a_restart() -> None:
    assert memory_of(0, 50.0, 250) == "[0, 50.0, 250]"
    back = Reader(memory="[0, 50.0, 250]").read(Gauge(start=251))
    assert back.value == pytest.approx(50.0 + TIP_MM)
    assert json.loads(back.memory) == [251, back.value]


@pytest.mark.parametrize(("mm", "flag"), [(0.2, Flag.GOOD), (59, Flag.GOOD), (62, Flag.SUSPECT)])
def test_a_leap_over_a_restart_is_doubted_beyond_a_minute_s_rain(mm: float, flag: Flag) -> None:
    gauge, reader = Gauge(), Reader()
    reader.read(gauge)
    gauge.rain(round(mm / TIP_MM))
    found = Reader(memory=reader.memory).read(gauge, None)
    assert found.flag == flag
    assert found.value == pytest.approx(mm)
