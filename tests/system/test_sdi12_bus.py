"""SDI-12 sensors on a pty: read together, through noise, an adapter and a pulled plug.

A pty has no parity, and a break made on it is heard by nobody: what a native adapter does with
both is tried in virtual time (tests/gateway/bus) and can be shown on real wires only.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.console import GATEWAY, typed
from rig.sdi12_field import Sdi12Field, config
from rig.sink import Sink, polling

from egret_core.quality import Reason
from egret_core.timescale import REAL
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system
SENSORS = {
    "0": {"C": (1, ["+1.234", "+11.5"])},  # quick: an OTT PLS
    "7": {"C": (3, ["+2.345", "+4.000", "+21.5", "+99.9", "+0"])},  # slow: a VEGAPULS
    "a": {"M": (1, ["+0.354", "+0.21", "+18.4"])},  # a CS650, for which the line waits
}
DEVICES = {
    "0": ("ott-pls", "level"),
    "7": ("vega-vegapuls-c-sdi12", "level"),
    "a": ("campbell-cs650", "moisture"),
}
ADAPTERS = ("native", "transparent")


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[tuple[Bus, Sink]]:
    sink = Sink()
    bus = Bus(load(path).buses[0], REAL, sink.emit, {}, lambda: False)
    async with polling(bus):
        yield bus, sink


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_quick_and_slow_sensors_are_read_together(tmp_path: Path, adapter: str) -> None:
    with Sdi12Field(tmp_path / "field", SENSORS, adapter) as field:
        path = config(tmp_path, field.port, DEVICES, adapter=adapter, period_s=6)
        async with running(path) as (bus, sink):
            await sink.until(
                lambda: all(
                    len(sink.values(name)) >= 2 for name in ("level0", "level7", "moisturea")
                )
            )
    assert set(sink.values("level0")) == {1.234}
    assert set(sink.values("level7")) == {2.345}
    assert set(sink.values("moisturea")) == {35.4}
    assert all(sample.flag == 1 for sample in sink.samples)
    units = bus.health()["units"]
    assert {address: units[address]["ok"] >= 2 for address in "07a"} == dict.fromkeys("07a", True)


async def test_damaged_replies_give_no_wrong_value(tmp_path: Path) -> None:
    sensors = {"0": SENSORS["0"], "7": SENSORS["7"]}
    devices = {address: DEVICES[address] for address in sensors}
    with Sdi12Field(tmp_path / "field", sensors) as field:
        noisy = {"crc_share": 0.2, "garbage_share": 0.1}
        field.trouble(a0=noisy, a7=noisy)
        path = config(tmp_path, field.port, devices, adapter="transparent", period_s=4)
        async with running(path) as (bus, sink):
            await sink.until(lambda: len(sink.values("level0")) >= 3)
    assert set(sink.values("level0")) == {1.234}
    assert set(sink.values("level7")) <= {2.345}
    assert sum(unit["repeated"] for unit in bus.health()["units"].values()) >= 1


async def test_a_sensor_that_falls_silent_is_told_and_comes_back(tmp_path: Path) -> None:
    sensors = {"0": SENSORS["0"], "7": {"C": (1, SENSORS["7"]["C"][1])}}
    devices = {address: DEVICES[address] for address in sensors}
    with Sdi12Field(tmp_path / "field", sensors, "native") as field:
        path = config(tmp_path, field.port, devices, adapter="native", period_s=3)
        async with running(path) as (_, sink):
            await sink.until(lambda: len(sink.values("level7")) >= 1)
            field.trouble(a7={"dead": True})
            await sink.until(lambda: sink.samples[-1].reasons == Reason.TIMEOUT)
            silent = len(sink.values("level7"))
            before = len(sink.values("level0"))
            await sink.until(lambda: len(sink.values("level0")) >= before + 1)
            field.trouble()
            await sink.until(lambda: len(sink.values("level7")) > silent)
    assert set(sink.values("level0")) == {1.234}


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_an_adapter_is_pulled_out_while_a_sensor_measures(
    tmp_path: Path, adapter: str
) -> None:
    sensors = {"7": SENSORS["7"]}
    field = Sdi12Field(tmp_path / "field", sensors, adapter)
    path = config(tmp_path, field.port, {"7": DEVICES["7"]}, adapter=adapter, period_s=5)
    async with running(path) as (bus, sink):
        for _ in range(2):
            field.plug_in()
            before = len(sink.values("level7"))
            await sink.until(lambda count=before: len(sink.values("level7")) > count)
            field.pull_out()
            await sink.until(lambda: bool(sink.samples[-1].reasons & Reason.PORT))
            assert bus.health()["fault"] in ("vanished", "missing")
    assert set(sink.values("level7")) == {2.345}


async def test_a_technician_reads_a_sensor(tmp_path: Path) -> None:
    with Sdi12Field(tmp_path / "field", SENSORS) as field:
        path = config(tmp_path, field.port, DEVICES, adapter="transparent", period_s=60)
        said = await typed(GATEWAY, "check", path)
        assert (said.code, said.err) == (0, "")
        assert "sdi0" in said.out
        said = await typed(GATEWAY, "read", path, "--unit", "0")
        assert (said.code, said.err) == (0, "")
        lines = said.out.splitlines()
        assert lines[0].endswith("unit 0 ott-pls@1")
        assert lines[1:4] == [
            "  out 0I!",
            r"  in  014EGRET___DEMO  001\r\n",
            "  version 1.4 maker EGRET___ model DEMO firmware 001 more ",
        ]
        assert "  out 0CC!" in lines
        assert r"  in  000102\r\n" in lines
        assert "  st1/level0 level: raw 1.234 = 1.234 m GOOD" in lines
        assert lines[-3:] == [
            "  out 0ICC_001!",
            r"  in  0,V1,1;MWd\r\n",
            "  the sensor says: level is V1, 1",
        ]
        said = await typed(GATEWAY, "read", path, "--unit", "a", "--json")
        report = json.loads(said.out)
        assert report["unit"] == "a"
        assert report["reads"][1]["exchanges"][0] == ["aM!", r"a0013\r\n"]
        assert report["reads"][1]["values"][0]["value"] == 35.4
        field.trouble(a0={"dead": True})
        await asyncio.sleep(0.5)
        said = await typed(GATEWAY, "read", path, "--unit", "0")
        assert said.code == 3
        assert "timeout: no answer: check the address" in said.out
        said = await typed(GATEWAY, "read", path, "--unit", "9")
        assert said.code == 2
        assert "the units are: 0, 7, a" in said.err
