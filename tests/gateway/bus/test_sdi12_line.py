"""A line of SDI-12 sensors in virtual time: slow ones together, faults told, nothing disturbed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.sdi12_line import PROBE, VirtualWire

from egret_demo.sdi12_sensor import Measurement, Sensor
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Polled
from egret_gateway.bus.schedule import Schedule
from egret_gateway.bus.sdi12 import DROPPED, REFUSED, Sdi12Line, Sdi12Plan, wire_s
from egret_gateway.bus.turns import Job, Next
from egret_gateway.config import load
from egret_gateway.profiles import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

HEAD = '[gateway]\nid = "gw"\ndata = "data"\n[[bus]]\nname = "sdi0"\nprotocol = "sdi-12"\n'
PROFILE = (
    PROBE
    + """[sdi12]
crc = {crc}
ready_max_s = {ready_max_s}
[item.level]
command = "{command}"
value = {value}
quantity = "temperature"
unit = "degC"
"""
)
SECOND = '[item.other]\ncommand = "C1"\nvalue = 1\nquantity = "temperature"\nunit = "degC"\n'


class Site:
    """A plan from files, its line on a virtual wire."""

    def __init__(
        self,
        folder: Path,
        *sensors: Sensor,
        command: str = "C",
        value: int = 1,
        crc: bool = False,
        adapter: str = "native",
        ready_max_s: float = 30,
        second: str = "",
    ) -> None:
        probe = PROFILE.format(
            command=command, value=value, crc=str(crc).lower(), ready_max_s=ready_max_s
        )
        (folder / "probe.toml").write_text(probe + second)
        path = folder / "gateway.toml"
        path.write_text(HEAD + f'port = "/dev/none"\nadapter = "{adapter}"\n' + "".join(
            device(sensor.address, more=bool(second)) for sensor in sensors
        ))  # fmt: skip
        self.sensors = sensors
        self.plan = Sdi12Plan(load(path, (folder, REPOSITORY)).buses[0])
        self.wire = VirtualWire(sensors, needs_break=adapter == "native")
        self.line = Sdi12Line(self.plan, self.wire, now=self.wire.now)

    async def until_over(self, index: int = 0) -> Polled:
        polled = await self.line.poll(index)
        while polled.fault is Fault.PENDING:
            await self.line.idle(polled.free_s)
            polled = await self.line.poll(index)
        return polled

    async def run(self, for_s: float, stop: Callable[[], bool] = lambda: False) -> Log:
        """Let the schedule give turns for so long; return how each ended."""
        jobs = [Job(turn.unit, turn.period_s) for turn in self.plan.turns]
        schedule = Schedule(jobs, self.wire.now(), lambda: 0.5, deaf_neighbours=self.plan.deaf)
        log: Log = []
        end_s = self.wire.now() + for_s
        while self.wire.now() < end_s and not stop():
            pick = schedule.pick(self.wire.now())
            if pick.job is None:
                await self.line.idle(min(pick.wake_s, end_s))
                continue
            polled = await self.line.poll(pick.job)
            now_s = self.wire.now()
            turn = schedule.done(
                pick.job, now_s, polled.fault, exception=polled.exception, free_s=polled.free_s
            )
            if turn is not Next.WAITS:
                log.append((now_s, pick.job, polled))
        return log


Log = list[tuple[float, int, Polled]]


def device(address: str, *, more: bool) -> str:
    other = f'[bus.device.channels.other]\nchannel = "o{address}"\n' if more else ""
    return (
        f'[[bus.device]]\nprofile = "probe"\naddress = "{address}"\nstation = "st"\n'
        f'period_s = 60\n[bus.device.channels.level]\nchannel = "c{address}"\n{other}'
    )


def slow(address: str, ready_s: int = 10, **more: Measurement) -> Sensor:
    value = f"+{ord(address)}.25"
    return Sensor(address, {"C": Measurement((value,), ready_s), **more})


async def test_slow_sensors_take_the_time_of_the_slowest_not_the_sum(tmp_path: Path) -> None:
    sensors = [slow(address, 10 + number) for number, address in enumerate("0123456789")]
    at = Site(tmp_path, *sensors)
    schedule = [0.0] * len(sensors)
    begun_s = at.wire.now()
    free = [(await at.line.poll(index)).free_s for index in range(len(sensors))]
    for index, free_s in enumerate(free):
        await at.line.idle(free_s)
        polled = await at.line.poll(index)
        assert (polled.fault, polled.raws) == (Fault.NONE, (ord(sensors[index].address) + 0.25,))
        schedule[index] = polled.at_s - begun_s
    # Started one after the other within 3 s, the last is ready 19 s later; their sum is 145 s.
    assert max(schedule) < 19 * 1.01 + 3
    assert all(sensor.dropped == 0 for sensor in sensors)


async def test_under_the_schedule_every_sensor_is_read_each_minute(tmp_path: Path) -> None:
    sensors = [slow(address, 25) for address in "01234567"]
    at = Site(tmp_path, *sensors)
    log = await at.run(300)
    assert {polled.fault for _, _, polled in log} == {Fault.NONE}
    for index in range(len(sensors)):
        assert sum(job == index for _, job, _ in log) >= 4, "8 x 25 s would not fit one after one"
    assert all(sensor.dropped == 0 for sensor in sensors)


async def test_a_dead_neighbour_costs_the_others_no_measurement(tmp_path: Path) -> None:
    sensors = [slow(address, 20) for address in "0123"]
    sensors[2].troubles.dead = True
    at = Site(tmp_path, *sensors)
    log = await at.run(300)
    good = [job for _, job, polled in log if polled.fault is Fault.NONE]
    assert all(good.count(index) >= 4 for index in (0, 1, 3))
    assert {polled.fault for _, job, polled in log if job == 2} == {Fault.TIMEOUT}
    assert at.plan.health()["2"]["timeout"] >= 3
    assert at.plan.health()["0"]["ok"] >= 4
    assert at.plan.health()["0"]["ready_s"] == 20
    assert all(sensor.dropped == 0 for sensor in sensors)


async def test_two_measurements_of_one_sensor_never_disturb_each_other(tmp_path: Path) -> None:
    sensor = slow("0", 10, C1=Measurement(("-1.5",), 10))
    at = Site(tmp_path, sensor, second=SECOND)
    assert [work.asked.number for work in at.plan.works] == [0, 1]
    log = await at.run(300)
    assert {polled.fault for _, _, polled in log} == {Fault.NONE}
    assert {(job, polled.raws) for _, job, polled in log} == {(0, (48.25,)), (1, (-1.5,))}
    assert sensor.dropped == 0


async def test_data_that_wait_are_taken_by_their_own_turn_only(tmp_path: Path) -> None:
    sensor = slow("0", 5, C1=Measurement(("-1.5",), 5))
    at = Site(tmp_path, sensor, second=SECOND)
    begun = await at.line.poll(0)
    await at.line.idle(begun.free_s)
    other = await at.line.poll(1)
    assert other.fault is Fault.PENDING
    assert other.free_s > at.wire.now()
    assert sensor.heard == ["0C"], "its data wait: a new measurement would drop them"
    assert (await at.line.poll(0)).raws == (48.25,)
    assert (await at.until_over(1)).raws == (-1.5,)


async def test_after_a_dropped_measurement_an_adapter_is_waited_for(tmp_path: Path) -> None:
    """The line `0` may have been a service request that came late, with the data behind it."""
    sensor = slow("0", 1)
    at = Site(tmp_path, sensor, adapter="transparent")
    sensor.troubles.mute_data = True
    assert (await at.until_over()).exception == DROPPED
    sensor.troubles.mute_data = False
    assert (await at.line.poll(0)).fault is Fault.QUARANTINED


async def test_what_was_left_lying_is_measured_anew(tmp_path: Path) -> None:
    sensor = slow("0", 5)
    at = Site(tmp_path, sensor)
    begun = await at.line.poll(0)
    assert begun.fault is Fault.PENDING
    again = await at.line.poll(0)
    assert (again.fault, again.free_s) == (Fault.PENDING, begun.free_s)
    assert sensor.heard == ["0C"], "a sensor that measures is asked nothing"
    await at.line.idle(begun.free_s + 60)
    assert (await at.line.poll(0)).fault is Fault.PENDING
    assert sensor.heard == ["0C", "0C"]


async def test_m_waits_for_its_service_request_and_no_longer(tmp_path: Path) -> None:
    sensor = Sensor("0", {"M": Measurement(("+1.5",), ready_s=20, takes_s=4.0)})
    at = Site(tmp_path, sensor, command="M")
    begun_s = at.wire.now()
    polled = await at.line.poll(0)
    assert (polled.fault, polled.raws) == (Fault.NONE, (1.5,))
    assert 4.0 < polled.at_s - begun_s < 5.0
    assert sensor.heard == ["0M", "0D0"]
    assert sensor.dropped == 0


async def test_m_without_a_service_request_is_asked_when_its_time_is_over(tmp_path: Path) -> None:
    sensor = Sensor("0", {"M": Measurement(("+1.5",), ready_s=3, takes_s=3.0)})
    at = Site(tmp_path, sensor, command="M")
    at.wire.garble = lambda data: b"" if data == b"0\r\n" else data
    begun_s = at.wire.now()
    polled = await at.line.poll(0)
    assert (polled.fault, polled.raws) == (Fault.NONE, (1.5,))
    assert polled.at_s - begun_s > 3.0


@pytest.mark.parametrize("command", ["M", "C", "R0", "V"])
async def test_a_measurement_that_is_ready_at_once(tmp_path: Path, command: str) -> None:
    sensor = Sensor("z", {command: Measurement(("+1", "-2.5"))})
    at = Site(tmp_path, sensor, command=command, value=2)
    polled = await at.line.poll(0)
    assert (polled.fault, polled.raws) == (Fault.NONE, (-2.5,))
    assert polled.at_s == at.wire.last_byte_s


@pytest.mark.parametrize(("command", "many"), [("M", 9), ("C", 40), ("V", 9)])
@pytest.mark.parametrize("crc", [False, True])
async def test_data_in_several_parts(tmp_path: Path, command: str, many: int, crc: bool) -> None:  # noqa: FBT001  (a table's column)
    values = tuple(f"{n - 5:+.3f}" for n in range(many))
    at = Site(
        tmp_path,
        Sensor("0", {command: Measurement(values, 2)}),
        command=command,
        value=many,
        crc=crc,
    )
    polled = await at.until_over()
    assert (polled.fault, polled.raws) == (Fault.NONE, (float(values[-1]),))
    asked = at.sensors[0].heard
    assert asked[0] == ("0" + command + "C" if crc and command != "V" else "0" + command)
    assert len(asked) > 2


async def test_parts_that_are_alike_are_asked_for_twice_and_believed(tmp_path: Path) -> None:
    sensor = Sensor("0", {"C": Measurement(("+0.000",) * 24)})
    at = Site(tmp_path, sensor, value=24)
    polled = await at.line.poll(0)
    assert (polled.fault, polled.raws) == (Fault.NONE, (0.0,))
    assert sensor.heard == ["0C", "0D0", "0D1", "0D1"]


async def test_what_a_value_is_by_the_sensors_own_word(tmp_path: Path) -> None:
    sensor = Sensor("0", {"C": Measurement(("+1",), described=("HG,m",))})
    at = Site(tmp_path, sensor, crc=True)
    assert (await at.line.describe(0, 1)).reply == ("HG", "m")
    assert (await at.line.describe(0, 2)).fault is Fault.TIMEOUT


async def test_a_value_that_counts_is_a_whole_number(tmp_path: Path) -> None:
    sensor = Sensor("0", {"C": Measurement(("+0.29", "+1.13", "+1234.57"))})
    at = Site(tmp_path, sensor)
    (tmp_path / "probe.toml").write_text(
        PROFILE.format(command="C", value=3, crc="false", ready_max_s=30) + "decimals = 2\n"
    )
    plan = Sdi12Plan(load(tmp_path / "gateway.toml", (tmp_path,)).buses[0])
    polled = await Sdi12Line(plan, at.wire, now=at.wire.now).poll(0)
    assert polled.raws == (123457.0,)


ONE = Measurement(("+1",))


@pytest.mark.parametrize(
    ("measurements", "value", "code"),
    [
        ({}, 1, REFUSED),  # 00000: it has no such measurement
        ({"M": ONE}, 2, REFUSED),  # fewer values than the profile says
    ],
)
async def test_a_sensor_that_has_no_such_value_refuses(
    tmp_path: Path, measurements: Mapping[str, Measurement], value: int, code: int
) -> None:
    at = Site(tmp_path, Sensor("0", measurements), command="M", value=value)
    polled = await at.line.poll(0)
    assert (polled.fault, polled.exception) == (Fault.EXCEPTION, code)
    assert at.plan.counts["0"].exception == 1


async def test_a_continuous_measurement_without_the_value_refuses(tmp_path: Path) -> None:
    at = Site(tmp_path, Sensor("0", {"R0": ONE}), command="R0", value=2)
    polled = await at.line.poll(0)
    assert (polled.fault, polled.exception) == (Fault.EXCEPTION, REFUSED)


async def test_a_measurement_that_was_dropped_gives_no_value(tmp_path: Path) -> None:
    sensor = slow("0", 2)
    sensor.troubles.mute_data = True
    at = Site(tmp_path, sensor)
    polled = await at.until_over()
    assert (polled.fault, polled.exception, polled.raws) == (Fault.EXCEPTION, DROPPED, ())


async def test_a_promise_that_is_too_long_is_not_believed(tmp_path: Path) -> None:
    at = Site(tmp_path, slow("0", 999), ready_max_s=60)
    polled = await at.line.poll(0)
    assert polled.fault is Fault.CRC


@pytest.mark.parametrize("data", [b"0+1+2+3\r\n", b"0+1\r\n"])
async def test_more_or_fewer_values_than_promised_are_none(tmp_path: Path, data: bytes) -> None:
    at = Site(tmp_path, Sensor("0", {"C": Measurement(("+1", "+2"))}))
    said = iter([data])

    def garble(heard: bytes) -> bytes:
        if heard in (b"000002\r\n", b"0\r\n"):
            return heard
        return next(said, b"0\r\n")

    at.wire.garble = garble
    polled = await at.until_over()
    assert polled.fault in (Fault.CRC, Fault.EXCEPTION)
    assert polled.raws == ()


async def test_behind_an_adapter_a_late_line_is_never_anothers_value(tmp_path: Path) -> None:
    sensors = [slow("0", 2), slow("1", 2)]
    at = Site(tmp_path, *sensors, adapter="transparent")
    sensors[0].troubles.late_s = 1.9
    log = await at.run(300)
    values = {(job, polled.raws) for _, job, polled in log if polled.fault is Fault.NONE}
    assert values <= {(0, (48.25,)), (1, (49.25,))}
    assert (1, (49.25,)) in values
    assert at.plan.counts["0"].late_dropped >= 1


async def test_noise_for_an_hour_gives_no_wrong_value(tmp_path: Path) -> None:
    sensors = [slow(address, 3) for address in "012"]
    for sensor in sensors:
        sensor.troubles.crc_share, sensor.troubles.garbage_share = 0.05, 0.02
    at = Site(tmp_path, *sensors, crc=True)
    log = await at.run(3600)
    wrong = [
        (job, polled.raws)
        for _, job, polled in log
        if polled.fault is Fault.NONE and polled.raws != (ord("012"[job]) + 0.25,)
    ]
    assert wrong == []
    good = sum(polled.fault is Fault.NONE for _, _, polled in log)
    assert good >= 0.9 * 3 * 60, "and nearly all are read, at the second or third try"


async def test_who_is_there(tmp_path: Path) -> None:
    at = Site(tmp_path, slow("0"))
    heard = await at.line.identify("0")
    assert heard.reply is not None
    assert (heard.reply.version, heard.reply.maker) == ("1.4", "EGRET___")


async def test_what_a_former_process_asked_is_waited_out_behind_an_adapter(tmp_path: Path) -> None:
    at = Site(tmp_path, slow("0"), adapter="transparent")
    begun_s = at.wire.now()
    at.wire.say(begun_s + 1.0, b"0+9.9\r\n")
    await at.line.listen()
    assert at.wire.now() - begun_s >= 2.0
    assert at.plan.counts["0"].late_dropped == 1
    native = Site(tmp_path, slow("0"))
    begun_s = native.wire.now()
    await native.line.listen()
    assert native.wire.now() == begun_s, "a break ends whatever was asked"


def test_a_turns_time_on_the_wire(tmp_path: Path) -> None:
    at = Site(tmp_path, slow("0"))
    assert 0.3 < wire_s(at.plan.works[0]) < 0.6
    continuous = Site(tmp_path, slow("0"), command="R0")
    assert wire_s(continuous.plan.works[0]) < wire_s(at.plan.works[0])
