"""A relay module and the gauge it feeds, on one real tty."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.scripted import Slave
from rig.sink import Sink
from rig.site import FOLDERS, site, stage

from egret_core.quality import Reason
from egret_core.timescale import REAL
from egret_gateway.bus.poll import Bus
from egret_gateway.bus.shed import IN_A_ROW, BatterySettings, Step
from egret_gateway.bus.shedding import Shedding
from egret_gateway.config import load
from egret_gateway.protocols.modbus_pdu import COIL_ON, WRITE_COIL, WRITE_COILS
from egret_gateway.protocols.modbus_rtu_slave import Request, exception, reply
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path

RELAY, GAUGE, COIL = 20, 7, 3
FEED = f"supply = {{ unit = {RELAY}, coil = {COIL} }}\nwarmup_s = 0.2\n"


class Cabinet(Slave):
    """The relay module with one coil, and the gauge behind it: dark while that is open."""

    def __init__(self, *, lists: bool) -> None:
        super().__init__()
        self.lists = lists
        self.on = True  # as a former process left it
        self.story: list[str] = []
        self.refuses = False

    def answered(self, request: Request) -> bytes:
        if request.unit == RELAY:
            if request.fc == WRITE_COILS and not self.lists:
                return exception(request, 1)
            if self.refuses or request.address != COIL:
                self.story.append("refused")
                return exception(request, 2)
            single = request.fc == WRITE_COIL
            self.on = request.words == COIL_ON if single else request.data == b"\x01"
            self.story.append("on" if self.on else "off")
            return reply(request, [])
        if request.unit != GAUGE:
            return reply(request, [100])
        self.story.append("read" if self.on else "dark")
        return reply(request, [300]) if self.on else b""


async def test_it_is_fed_while_it_is_read_and_only_then(tmp_path: Path) -> None:
    cabinet = Cabinet(lists=True)
    device = stage(GAUGE, "wl", 0.6, profile="stage-quick").replace("period_s", f"{FEED}period_s")
    with FarEnd(cabinet) as far:
        path = site(tmp_path, port=far.path, baud=115200, devices=device)
        sink = Sink()
        bus = Bus(load(path, FOLDERS).buses[0], REAL, sink.emit, {}, lambda: False)
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: len(sink.values()) >= 3)
        await asyncio.sleep(0.1)
        assert cabinet.story[:7] == ["off", "on", "read", "off", "on", "read", "off"]
        assert "dark" not in cabinet.story
        health = bus.health()
        assert health["supplies"] == {"20/3": {"on": False, "faults": 0}}
        assert health["units"]["20"]["open"] is False, "a relay is no device that is polled"
        cabinet.refuses = True
        await sink.until(lambda: any(s.reasons == Reason.EXCEPTION for s in sink.samples))
        assert bus.health()["supplies"]["20/3"]["faults"] > 0
        cabinet.refuses = False
        seen = len(sink.values())
        await sink.until(lambda: len(sink.values()) > seen)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_gauge_that_is_shed_in_its_warm_up_is_not_fed_any_longer(tmp_path: Path) -> None:
    cabinet = Cabinet(lists=True)
    feed = FEED.replace("0.2", "1.0")
    device = stage(GAUGE, "wl", 30.0, profile="stage-quick").replace("period_s", f"{feed}period_s")
    with FarEnd(cabinet) as far:
        path = site(tmp_path, port=far.path, baud=115200, devices=device)
        settings = load(path, FOLDERS).buses[0]
        key = settings.devices[0].channels[0].key
        low = Shedding(BatterySettings("st/battery", (Step(12.0, 12.4, (key,)),)))
        sink = Sink()
        bus = Bus(settings, REAL, sink.emit, {}, lambda: False, shedding=low)
        task = asyncio.create_task(bus.run())
        async with asyncio.timeout(10):
            while "on" not in cabinet.story:
                await asyncio.sleep(0.01)
            for _ in range(IN_A_ROW):
                low.take("st/battery", Sample("st", "battery", 0, 11.0, None, 1))
            await sink.until(lambda: len(sink.samples) == 1)
            while cabinet.on:
                await asyncio.sleep(0.01)
        assert cabinet.story == ["off", "on", "off"]
        assert sink.samples[0].reasons == Reason.SHED
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_module_that_takes_one_coil_at_a_time_is_asked_its_way(tmp_path: Path) -> None:
    """Function 5 answers with the request itself: proven only once a read told of no echo."""
    cabinet = Cabinet(lists=False)
    device = stage(GAUGE, "wl", 0.6, profile="stage-quick").replace("period_s", f"{FEED}period_s")
    with FarEnd(cabinet) as far:
        other = stage(8, "other", 0.3, profile="stage-quick")
        path = site(tmp_path, port=far.path, baud=115200, devices=other + device)
        sink = Sink()
        bus = Bus(load(path, FOLDERS).buses[0], REAL, sink.emit, {}, lambda: False)
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: len(sink.values("wl")) >= 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
