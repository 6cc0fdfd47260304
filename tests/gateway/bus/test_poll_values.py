"""Registers that explain one another, bits, and a device that is not ready: on a real tty."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.sink import Sink, polling
from rig.site import FOLDERS, site

from egret_core.quality import Flag, Reason
from egret_core.timescale import REAL
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.modbus import BUSY_AGAIN_S, ModbusPlan
from egret_gateway.bus.poll import Bus
from egret_gateway.cli import main
from egret_gateway.config import load
from egret_gateway.protocols.modbus_pdu import Write
from egret_gateway.protocols.modbus_rtu_slave import find_request, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DEVICE = """
[[bus.device]]
profile = "explained-quick"
unit = 7
station = "st1"
period_s = {period_s}
"""
CHANNEL = '[bus.device.channels.{0}]\nchannel = "{0}"\n'


class Registers:
    """A device with registers by (function, address); `asked` keeps what it was asked."""

    def __init__(self) -> None:
        self.words = {
            (3, 3): 2, (3, 4): 0x04D2, (3, 10): 0, (3, 11): 55, (3, 500): 2, (4, 20): 1013,
            (1, 7): 1, (2, 8): 0,
        }  # fmt: skip
        self.asked: list[tuple[int, int, int]] = []
        self._pending = b""

    def __call__(self, data: bytes) -> bytes:
        self._pending += data
        request = find_request(self._pending, {7})
        if request is None:
            return b""
        self._pending = self._pending[request.end :]
        self.asked.append((request.fc, request.address, request.words))
        if request.fc == 6:
            self.words[3, request.address] = request.words
        span = range(request.address, request.address + request.words)
        words = [self.words.get((request.fc, address), 0) for address in span[:200]]
        return reply(request, words)


@asynccontextmanager
async def running(
    folder: Path, device: Registers, *names: str, period_s: float = 0.05
) -> AsyncIterator[Sink]:
    channels = "".join(CHANNEL.format(name) for name in names)
    with FarEnd(device) as far:
        devices = DEVICE.format(period_s=period_s) + channels
        path = site(folder, port=far.path, baud=115200, devices=devices)
        sink = Sink()
        bus = Bus(load(path, FOLDERS).buses[0], REAL, sink.emit, {}, lambda: False)
        async with polling(bus):
            yield sink


async def test_decimals_unit_and_bits_become_values(tmp_path: Path) -> None:
    device = Registers()
    names = ("depth", "pressure", "pump", "float")
    async with running(tmp_path, device, *names) as sink:
        await sink.until(lambda: all(sink.values(name) for name in names))
    assert sink.values("depth")[0] == pytest.approx(0.1234)
    assert sink.values("pressure")[0] == pytest.approx(101.3), "mbar, the device says"
    assert (sink.values("pump")[0], sink.values("float")[0]) == (1.0, 0.0)
    assert {"depth", "pressure", "pump", "float"} == {s.channel for s in sink.samples}
    at = device.asked.index((4, 20, 1))
    assert device.asked[at - 1] == (3, 500, 1), "its unit is read just before"


async def test_a_unit_that_changes_never_makes_a_wrong_value(tmp_path: Path) -> None:
    device = Registers()
    async with running(tmp_path, device, "pressure") as sink:
        await sink.until(lambda: len(sink.values("pressure")) >= 2)
        device.words[3, 500] = 9
        await sink.until(lambda: sink.samples[-1].flag == Flag.FAIL)
        device.words[3, 500], device.words[4, 20] = 1, 101
        await sink.until(lambda: sink.samples[-1].value == 101.0)
    assert {s.value for s in sink.samples} == {101.3, None, 101.0}
    assert {s.reasons & Reason.NOT_A_NUMBER for s in sink.samples if s.value is None} == {
        Reason.NOT_A_NUMBER
    }


async def test_a_device_that_is_not_ready_is_asked_again_within_its_period(
    tmp_path: Path,
) -> None:
    device = Registers()
    device.words[3, 10] = 1
    async with running(tmp_path, device, "settlement", period_s=2.0) as sink:
        while len(device.asked) < 2:
            await asyncio.sleep(0.01)
        assert sink.samples == []
        device.words[3, 10], device.words[3, 11] = 0, 66
        await sink.until(lambda: len(sink.samples) >= 1)
    assert sink.samples[0].value == 66.0, "never the 55 of before it was ready"
    assert BUSY_AGAIN_S == 0.5


async def test_a_device_that_is_never_ready_is_missing_and_its_neighbour_value_is_not(
    tmp_path: Path,
) -> None:
    device = Registers()
    device.words[3, 10] = 1
    async with running(tmp_path, device, "settlement", "status", period_s=0.4) as sink:
        await sink.until(lambda: len(sink.samples) >= 6)
    assert sink.values("settlement") == []
    assert set(sink.values("status")) == {1.0}
    missing = {(s.flag, s.reasons) for s in sink.samples if s.channel == "settlement"}
    assert missing == {(Flag.MISSING, Reason.TIMEOUT)}


def test_read_shows_what_a_register_makes_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_gateway.profiles.folders", lambda: FOLDERS)
    monkeypatch.setattr("egret_gateway.profiles.folder.folders", lambda: FOLDERS)
    with FarEnd(Registers()) as far:
        devices = DEVICE.format(period_s=1) + CHANNEL.format("depth") + CHANNEL.format("pressure")
        path = site(tmp_path, port=far.path, baud=115200, devices=devices)
        assert main(["read", str(path), "--json"]) == 0
    reads = json.loads(capsys.readouterr().out)["reads"]
    values = {value["item"]: value["value"] for read in reads for value in read["values"]}
    assert values == {"depth": pytest.approx(0.1234), "pressure": pytest.approx(101.3)}


async def test_a_line_writes_for_commissioning(tmp_path: Path) -> None:
    device = Registers()
    with FarEnd(device) as far:
        devices = DEVICE.format(period_s=1) + CHANNEL.format("depth")
        path = site(tmp_path, port=far.path, baud=115200, devices=devices)
        plan = ModbusPlan(load(path, FOLDERS).buses[0])
        line = await plan.open()
        assert (await line.write(Write(7, 6, 3, (1,)))).fault is Fault.UNPROVEN
        taken = await line.take(plan.blocks[0])
        assert taken.raws == (123.4,)
        await line.idle(asyncio.get_running_loop().time() + 4.5)
        assert (await line.write(Write(7, 6, 3, (3,)))).fault is Fault.NONE
        assert (await line.take(plan.blocks[0])).raws == (1.234,)
        line.close()
