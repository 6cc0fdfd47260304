"""Devices that are fed only while they are read: one relay, several of them, and its failures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from rig.site import site, stage

from egret_core.errors import ConfigError
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Polled, Turn
from egret_gateway.bus.schedule import Schedule
from egret_gateway.bus.supply import RETRY_S, SuppliedLine, Supplies
from egret_gateway.bus.turns import Job, Next
from egret_gateway.config import load
from egret_gateway.errors import PortError, PortFault
from egret_gateway.profiles import Supply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

FEED = "supply = { unit = 20, coil = 3 }\nwarmup_s = 5\n"
RELAY = Supply(20, 3)
POLL_S = 0.1


def fed(unit: int, name: str, more: str = FEED, period_s: float = 60) -> str:
    return stage(unit, name, period_s).replace("[bus.device.ch", f"{more}[bus.device.ch")


class Cabinet:
    """A line in virtual time: relays that obey or not, devices that answer while they are fed."""

    deaf = False

    def __init__(self, folder: Path, *devices: str) -> None:
        settings = load(site(folder, devices="".join(devices))).buses[0]
        self.turns = [Turn(str(d.unit), d.channels, d.period_s) for d in settings.devices]
        self.fed_by = {str(d.unit): d.supply for d in settings.devices}
        self.supplies = Supplies(settings.devices)
        self.now_s = 1000.0
        self.on: dict[Supply, bool] = {RELAY: False}
        self.relay_fault = Fault.NONE
        self.story: list[str] = []
        self.closed = self.unplugged = False
        self.line = SuppliedLine(self, self, self, self.supplies, lambda: self.now_s)

    async def open(self) -> SuppliedLine:
        return self.line

    def health(self) -> Mapping[str, Mapping[str, Any]]:
        return {}

    async def switch(self, unit: int, coil: int, *, on: bool) -> Fault:
        if self.unplugged:
            raise PortError("/dev/x", PortFault.VANISHED, "pulled")
        self.now_s += POLL_S
        if self.relay_fault is Fault.NONE:
            self.on[Supply(unit, coil)] = on
            self.story.append("on" if on else "off")
        else:
            self.story.append("deaf relay")
        return self.relay_fault

    async def listen(self) -> None:
        self.story.append("listen")

    async def poll(self, index: int) -> Polled:
        self.now_s += POLL_S
        turn = self.turns[index]
        supply = self.fed_by[turn.unit]
        alive = supply is None or self.on[supply]
        self.story.append(f"{turn.unit} {'answers' if alive else 'is dark'}")
        fault = Fault.NONE if alive else Fault.TIMEOUT
        return Polled(fault, self.now_s, (1.0,) if alive else ())

    async def idle(self, until_s: float) -> None:
        self.now_s = until_s

    def close(self) -> None:
        self.closed = True

    async def run(self, for_s: float) -> list[str]:
        """Serve by the real schedule for so long; return what happened."""
        jobs = [Job(turn.unit, turn.period_s) for turn in self.turns]
        schedule, end_s = Schedule(jobs, self.now_s, lambda: 0.5), self.now_s + for_s
        for group in self.supplies.groups(self.turns):
            schedule.align(group)
        while self.now_s < end_s:
            pick = schedule.pick(self.now_s)
            if pick.job is None:
                await self.line.idle(min(pick.wake_s, end_s))
                continue
            polled = await self.line.poll(pick.job)
            ended = schedule.done(pick.job, self.now_s, polled.fault, free_s=polled.free_s)
            if ended is Next.FAILED:
                self.story.append(f"{self.turns[pick.job].unit} failed {polled.fault}")
        return self.story


async def test_it_is_on_before_a_read_and_off_after_it(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "wl"))
    assert await cabinet.run(119) == ["on", "7 answers", "off", "on", "7 answers", "off"]
    assert cabinet.supplies.health() == {"20/3": {"on": False, "faults": 0}}


async def test_others_are_read_while_it_warms_up(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "wl"), stage(8, "quick", 1.5))
    story = await cabinet.run(10)
    assert story[0] == "on"
    assert story.index("7 answers") - story.index("8 answers") >= 3
    assert story[story.index("7 answers") + 1] == "off"


async def test_devices_that_share_a_relay_share_its_warm_up(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "a"), fed(8, "b"), stage(9, "c"), fed(10, "d"))
    assert cabinet.supplies.groups(cabinet.turns) == [[0, 1, 3]]
    story = await cabinet.run(59)
    assert story[:5] == ["on", "7 answers", "8 answers", "10 answers", "off"]
    assert story.count("on") == 1, "once a period, not once for each of them"


async def test_the_one_with_the_longer_warm_up_keeps_it_on(tmp_path: Path) -> None:
    slow = FEED.replace("= 5", "= 20")
    cabinet = Cabinet(tmp_path, fed(7, "a", slow), fed(8, "b", FEED, 60))
    jobs = Schedule([Job("7", 60), Job("8", 60)], cabinet.now_s, lambda: 0.5)
    assert (await cabinet.line.poll(0)).fault is Fault.PENDING
    pending = await cabinet.line.poll(1)
    assert pending.fault is Fault.PENDING
    assert jobs.done(1, cabinet.now_s, pending.fault, free_s=pending.free_s) is Next.WAITS
    cabinet.now_s = pending.free_s
    assert (await cabinet.line.poll(1)).fault is Fault.NONE
    assert cabinet.on[RELAY], "the other one still warms up"
    late = await cabinet.line.poll(0)
    assert (late.fault, late.free_s) == (Fault.PENDING, pytest.approx(1020.1))
    cabinet.now_s = late.free_s
    assert (await cabinet.line.poll(0)).fault is Fault.NONE
    assert not cabinet.on[RELAY]


async def test_a_relay_that_does_not_answer_is_the_turn_s_fault(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "wl"))
    cabinet.relay_fault = Fault.TIMEOUT
    polled = await cabinet.line.poll(0)
    assert (polled.fault, polled.raws) == (Fault.TIMEOUT, ())
    assert cabinet.story == ["deaf relay"], "a device that may be dark is not asked"
    assert cabinet.supplies.health() == {"20/3": {"on": True, "faults": 1}}, "it may be on"
    cabinet.relay_fault = Fault.NONE
    assert (await cabinet.line.poll(0)).fault is Fault.PENDING


async def test_a_supply_that_could_not_be_switched_off_is_tried_again(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "wl"))
    await cabinet.line.poll(0)
    cabinet.now_s += 5
    cabinet.relay_fault = Fault.CRC
    assert (await cabinet.line.poll(0)).fault is Fault.NONE, "the reading is good"
    await cabinet.line.idle(cabinet.now_s + 1)
    assert cabinet.story == ["on", "7 answers", "deaf relay"], "not at every pause"
    cabinet.relay_fault = Fault.NONE
    cabinet.now_s += RETRY_S
    await cabinet.line.idle(cabinet.now_s + 1)
    assert cabinet.story[-1] == "off"
    assert cabinet.supplies.health() == {"20/3": {"on": False, "faults": 1}}


async def test_what_a_former_process_left_on_is_switched_off(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "wl"))
    cabinet.on[RELAY] = True
    await cabinet.line.listen()
    assert cabinet.story == ["listen", "off"]


async def test_after_a_lost_port_it_warms_up_anew(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "wl"))
    await cabinet.line.poll(0)
    cabinet.line.close()
    assert cabinet.closed
    cabinet.now_s += 5
    assert (await cabinet.line.poll(0)).fault is Fault.PENDING
    assert cabinet.story == ["on", "on"]


async def test_a_port_that_goes_before_it_is_off_takes_no_value_along(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "wl"))
    await cabinet.line.poll(0)
    cabinet.now_s += 5
    cabinet.unplugged = True
    assert (await cabinet.line.poll(0)).raws == (1.0,)
    assert cabinet.supplies.health()["20/3"]["on"], "it may be on"
    with pytest.raises(PortError):
        await cabinet.line.idle(cabinet.now_s + 1)


@pytest.mark.parametrize("unplugged", [False, True])
async def test_a_switching_off_that_somebody_interrupts_is_ended_first(
    tmp_path: Path, *, unplugged: bool
) -> None:
    class Slow(Cabinet):
        async def switch(self, unit: int, coil: int, *, on: bool) -> Fault:
            await going.wait()
            return await super().switch(unit, coil, on=on)

    going = asyncio.Event()
    going.set()
    cabinet = Slow(tmp_path, fed(7, "wl"))
    await cabinet.line.poll(0)
    cabinet.supplies.left_out(cabinet.turns[0])
    cabinet.unplugged = unplugged
    going.clear()
    pause = asyncio.create_task(cabinet.line.idle(cabinet.now_s + 1))
    await asyncio.sleep(0)
    pause.cancel()
    await asyncio.sleep(0)
    assert not pause.done()
    going.set()
    with pytest.raises(asyncio.CancelledError):
        await pause
    assert cabinet.on[RELAY] is unplugged


async def test_a_turn_that_is_left_out_in_its_warm_up_lets_go_of_its_supply(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "wl"), fed(8, "b"))
    await cabinet.line.poll(0)
    await cabinet.line.poll(1)
    cabinet.supplies.left_out(cabinet.turns[0])
    await cabinet.line.idle(cabinet.now_s + 1)
    assert cabinet.on[RELAY], "the other one still warms up"
    cabinet.supplies.left_out(cabinet.turns[1])
    await cabinet.line.idle(cabinet.now_s + 1)
    assert not cabinet.on[RELAY]


async def test_turns_that_are_laid_anew_in_the_warm_up_let_go_of_their_supply(
    tmp_path: Path,
) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "a"), fed(8, "b"))
    one, two = (turn.channels[0] for turn in cabinet.turns)
    cabinet.turns = [Turn("7", (one, two), 60)]
    await cabinet.line.poll(0)
    cabinet.turns = [Turn("7", (two,), 60), Turn("7", (one,), 60)]
    cabinet.now_s += 5
    await cabinet.line.poll(0)
    assert cabinet.on[RELAY], "the other part is still to come"
    await cabinet.line.poll(1)
    assert not cabinet.on[RELAY]
    cabinet.turns = [Turn("7", (one,), 60), Turn("7", (two,), 60)]
    await cabinet.line.poll(0)
    cabinet.turns = [Turn("7", (two, one), 60)]
    cabinet.now_s += 5
    await cabinet.line.poll(0)
    assert not cabinet.on[RELAY]


async def test_a_failing_device_does_not_keep_its_supply_on(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path, fed(7, "wl", period_s=60))
    cabinet.on[Supply(1, 1)] = False
    cabinet.fed_by["7"] = Supply(1, 1)  # fed by another one: it stays dark
    story = await cabinet.run(119)
    assert story[:3] == ["on", "7 is dark", "off"]
    assert not cabinet.on[RELAY]
    assert "7 failed timeout" in story


@pytest.mark.parametrize(
    ("more", "key", "remedy"),
    [
        ("warmup_s = 5\n", "warmup_s", "counted from the supply"),
        ("supply = { unit = 20, coil = 3 }\n", "warmup_s", "missing"),
        (FEED.replace("coil", "coyl"), "supply.coil", "is it 'coyl'"),
        (FEED.replace("20", "0"), "supply.unit", "from 1 to 255"),
        (FEED.replace("= 3", "= 65536"), "supply.coil", "to 65535"),
        (FEED.replace("= 5", "= 60"), "warmup_s", "shortest period, 60 s"),
        (f"{FEED}event_s = 5\n", "warmup_s", "shortest period, 5 s"),
        (FEED.replace("= 5", "= -1"), "warmup_s", "from 0"),
    ],
)
def test_bad_settings(tmp_path: Path, more: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(site(tmp_path, devices=fed(7, "wl", more)))
    assert caught.value.key == f"bus[0].device[0].{key}"
    assert remedy in caught.value.remedy
