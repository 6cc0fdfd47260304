"""A battery that runs down: steps with hysteresis, told each time; rain and level go last."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.scripted import ScriptedDevice
from rig.sheets import bench, channel, logger
from rig.sink import Sink
from rig.site import FOLDERS, site

from egret_core.errors import ConfigError
from egret_core.quality import Flag, Reason
from egret_core.timescale import REAL
from egret_gateway.bus.latest import Latest
from egret_gateway.bus.poll import Bus
from egret_gateway.bus.shed import IN_A_ROW, Battery, BatterySettings, Step, Stepped
from egret_gateway.bus.shedding import Shedding
from egret_gateway.config import load
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path

STEPS = (Step(12.0, 12.4, ("st/a",)), Step(11.5, 11.9, ("st/b", "st/c")))


def fed(battery: Battery, *volts: float) -> list[Stepped]:
    return [found for one in volts if (found := battery.take(one)) is not None]


def test_each_step_takes_three_readings_in_a_row() -> None:
    battery = Battery(STEPS)
    assert fed(battery, 11.9, 11.9, 12.0, 11.9, 11.9) == []
    assert battery.shed == frozenset()
    assert fed(battery, 11.8) == [Stepped(0, 1, 11.8)]
    assert battery.shed == {"st/a"}
    assert fed(battery, 11.4, 11.4, 11.4) == [Stepped(1, 2, 11.4)]
    assert battery.shed == {"st/a", "st/b", "st/c"}
    assert fed(battery, *[0.0] * 9) == [], "there is no further step"


def test_a_step_is_taken_back_only_well_above_it() -> None:
    battery = Battery(STEPS)
    fed(battery, *[11.0] * 2 * IN_A_ROW)
    assert battery.step == 2
    assert fed(battery, *[11.89] * 9) == [], "between the limits nothing changes"
    assert fed(battery, 12.0, 12.0, 11.8, 12.0, 12.0) == []
    assert fed(battery, 12.0) == [Stepped(2, 1, 12.0)]
    assert fed(battery, *[12.39] * 9) == []
    assert fed(battery, *[12.4] * 3) == [Stepped(1, 0, 12.4)]
    assert battery.shed == frozenset()


def test_a_box_without_steps_never_sheds() -> None:
    battery = Battery()
    assert fed(battery, *[0.0] * 9) == []
    assert Shedding().facts() == {}
    assert not Shedding().all_shed(())


def sample(volts: float | None, flag: int = 1, name: str = "battery") -> Sample:
    return Sample("st", name, 0, volts, None, flag)


def give(shedding: Shedding, one: Sample) -> None:
    shedding.take(f"{one.station}/{one.channel}", one)


def test_only_good_readings_of_the_battery_move_it(caplog: pytest.LogCaptureFixture) -> None:
    shedding = Shedding(BatterySettings("st/battery", STEPS))
    for _ in range(5):
        give(shedding, sample(11.0, name="other"))
        give(shedding, sample(None, Flag.MISSING))
        give(shedding, sample(11.0, Flag.FAIL))
    assert shedding.facts() == {"step": 0, "shed": []}
    for _ in range(3):
        give(shedding, sample(11.0))
    assert shedding.facts() == {"step": 1, "shed": ["st/a"]}
    for _ in range(9):
        give(shedding, sample(None, Flag.MISSING))
    assert shedding.facts()["step"] == 1, "a battery that is not read changes nothing"
    found = [record.getMessage() for record in caplog.records]
    assert found == ["event=battery_step was=0 now=1 volts=11.00 shed=1"]


BATTERY = """
[battery]
channel = "st0007/volts"
[[battery.step]]
below_v = 12.0
back_v = 12.4
shed = ["st0007/angle"]
"""


async def test_a_shed_device_is_not_asked_and_says_why(tmp_path: Path) -> None:
    millivolts = [11_000]
    device = ScriptedDevice(lambda request, _: millivolts[0] if request.unit == 7 else 0)
    with FarEnd(device) as far:
        lines = logger(channel("volts"), unit=7, period_s=0.05)
        lines += logger(channel("angle"), unit=8, period_s=0.05) + BATTERY
        settings = load(site(tmp_path, port=far.path, baud=115200, devices=lines), FOLDERS)
        sink, shedding = Sink(), Shedding(settings.battery)
        bus = Bus(settings.buses[0], REAL, sink.emit, {}, lambda: False, shedding=shedding,
                  latest=Latest(REAL, (), [shedding.take]))  # fmt: skip
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: sum(s.reasons == Reason.SHED for s in sink.samples) >= 5)
        shed = [s for s in sink.samples if s.reasons == Reason.SHED]
        assert {(s.channel, s.value, s.flag) for s in shed} == {("angle", None, Flag.MISSING)}
        asked = device.asked.count(8)
        await sink.until(lambda: sum(s.reasons == Reason.SHED for s in sink.samples) >= 10)
        assert device.asked.count(8) == asked, "its power is what is to be saved"
        assert not bus.health()["units"]["8"]["open"], "and that is no fault of it"
        millivolts[0] = 13_000
        await sink.until(lambda: device.asked.count(8) >= asked + 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def box(folder: Path, battery: str) -> BatterySettings | None:
    loop = 'formula = "loop-4-20"\nquantity = "water_level"\nunit = "m"\nlow = 0\nhigh = 10\n'
    wire = 'formula = "vw-linear-r1-r0"\nquantity = "pore_pressure"\nunit = "kPa"\ng = 1\n'
    wire += 'r0 = 1\ns0 = 100\nbarometer = { item = "baro", max_age_s = 60 }\n'
    channels = [
        channel("volts"),
        channel("angle"),
        channel("baro"),
        channel("wire", wire),
        channel("loop", loop, name="wl", more='datum = "D"'),
    ]
    return bench(folder, logger(*channels), battery).battery


def test_a_good_order_is_kept(tmp_path: Path) -> None:
    last = '[[battery.step]]\nbelow_v = 11\nback_v = 12\nshed = ["st0007/wire", "st0007/baro"]\n'
    last += '[[battery.step]]\nbelow_v = 10\nback_v = 12\nshed = ["st0007/wl"]\n'
    found = box(tmp_path, BATTERY + last)
    assert found is not None
    assert [(step.below_v, step.shed) for step in found.step] == [
        (12.0, ("st0007/angle",)),
        (11.0, ("st0007/wire", "st0007/baro")),
        (10.0, ("st0007/wl",)),
    ]


@pytest.mark.parametrize(
    ("swap", "key", "remedy"),
    [
        (("st0007/volts", "st0007/volt"), "channel", "measured here: st0007/volts"),
        (("st0007/volts", "st0007/angle"), "channel", "name a voltage"),
        (("[[battery.step]]", "[[battery.stepp]]"), "step", "is it 'stepp'"),
        (("back_v = 12.4", "back_v = 12.0"), "step[0].back_v", "to and fro"),
        (("back_v = 12.4", "back_v = 11"), "step[0].back_v", "from 12"),
        (("below_v = 12.0", "below_v = 200"), "step[0].below_v", "to 100"),
        (('["st0007/angle"]', "[]"), "step[0].shed", "name the channels"),
        (("st0007/angle", "st0007/angel"), "step[0].shed", "did you mean 'st0007/angle'"),
        (("st0007/angle", "st0007/volts"), "step[0].shed", "the battery itself"),
        (("st0007/angle", "st0007/wl"), "step[0].shed", "rain and level go last"),
        (("st0007/angle", "st0007/baro"), "step[0].shed", "'st0007/wire' needs 'st0007/baro'"),
        (("back_v", "back"), "step[0].back_v", "is it 'back'"),
    ],
)
def test_bad_settings(tmp_path: Path, swap: tuple[str, str], key: str, remedy: str) -> None:
    assert swap[0] in BATTERY
    with pytest.raises(ConfigError) as caught:
        box(tmp_path, BATTERY.replace(*swap))
    assert caught.value.key == f"battery.{key}"
    assert remedy in caught.value.remedy


def test_a_later_step_lies_lower(tmp_path: Path) -> None:
    again = '[[battery.step]]\nbelow_v = 12.1\nback_v = 12.5\nshed = ["st0007/wire"]\n'
    with pytest.raises(ConfigError, match="from 0 to 12"):
        box(tmp_path, BATTERY + again)


LEVEL = """
[[derived]]
station = "st0007"
channel = "sum"
formula = "sum"
of = ["st0007/angle"]
max_age_s = 120
[[derived]]
station = "st0007"
channel = "stage"
formula = "linear"
of = ["st0007/sum"]
quantity = "QUANTITY"
unit = "UNIT"
scale = 0.1
max_age_s = 120
"""


def test_what_a_level_is_made_of_goes_last_as_the_level_would(tmp_path: Path) -> None:
    harmless = LEVEL.replace("QUANTITY", "crack_width").replace("UNIT", "mm")
    assert box(tmp_path, BATTERY + harmless) is not None
    stage = LEVEL.replace("QUANTITY", "water_depth").replace("UNIT", "m")
    with pytest.raises(ConfigError) as caught:
        box(tmp_path, BATTERY + stage)
    assert caught.value.key == "battery.step[0].shed"
    assert "rain and level go last" in caught.value.remedy
    assert "'st0007/angle'" in caught.value.remedy
    rest = BATTERY.replace('"st0007/angle"', '"st0007/wire", "st0007/baro"')
    last = '[[battery.step]]\nbelow_v = 10\nback_v = 12\nshed = ["st0007/angle", "st0007/wl"]\n'
    found = box(tmp_path, rest + last + stage)
    assert found is not None
    assert found.step[1].shed == ("st0007/angle", "st0007/wl")
