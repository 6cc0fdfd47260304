"""The valley as a process: it serves its file on a real line, and tells its fates at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from rig.paced import PacedLine

from egret_core.timescale import Timescale
from egret_demo import site, station
from egret_demo.faults import Faults
from egret_demo.instruments import Radar, RainBucket
from egret_demo.valley import Valley
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.transaction import Ask, Transactions
from egret_gateway.bus.unit import Patience, Span
from egret_gateway.config import BusSettings
from egret_gateway.ports.serial_port import open_serial
from egret_gateway.protocols.registers import decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_S = 30
BAUD = 115200
PATIENCE = Patience(least_s=0.3, most_s=0.5)
pytestmark = pytest.mark.system

VALLEY = """
seed = {seed}
port = "{port}"

[[unit]]
unit = 246
instrument = "bridge"

[[unit]]
unit = 192
instrument = "rain"
faults = {{ crc_share = 1.0 }}

[[unit]]
unit = 11
instrument = "weir"
faults = {{ dead = true }}

[clock.scaled]
scale = {scale}
from_ms = {from_ms}
to_ms = {from_ms}
"""


def valley_file(folder: Path, port: Path, scale: float = 1.0, seed: int = 5) -> Path:
    path = folder / "valley.toml"
    now = round(time.time() * 1000)
    path.write_text(VALLEY.format(seed=seed, port=port, scale=scale, from_ms=now))
    return path


class Station:
    """The process, and how it ended."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.process = subprocess.Popen(
            [sys.executable, "-m", "egret_demo.station", str(path)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> dict[str, int]:
        self.process.send_signal(how)
        _, error = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == 0, error.decode()
        fates: dict[str, int] = json.loads((self.folder / "fates.json").read_text())
        return fates


@contextlib.contextmanager
def running(path: Path) -> Iterator[Station]:
    station_ = Station(path)
    try:
        yield station_
    finally:
        if station_.process.poll() is None:
            station_.process.kill()
            station_.process.communicate()


async def asked(port: Path, *asks: Ask) -> list[Any]:
    """Ask on the line until the station is up, then once each."""
    line = open_serial(BusSettings("b", str(port), baud=BAUD))
    try:
        master = Transactions(line, {})
        first = Ask(246, 4, (Span(104, 1), Span(2000, 2)), PATIENCE)
        async with asyncio.timeout(LIMIT_S):
            while (await master.read(first)).fault is not Fault.NONE:
                await asyncio.sleep(0.05)
        return [await master.read(ask) for ask in asks]
    finally:
        line.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_its_units_and_tells_their_fates(
    tmp_path: Path, how: signal.Signals
) -> None:
    with PacedLine(tmp_path / "bus", 1, BAUD) as line:
        path = valley_file(tmp_path, line.slave(1))
        with running(path) as served:
            level, rain, dead, foreign = await asked(
                line.master,
                Ask(246, 4, (Span(2002, 2),), PATIENCE),
                Ask(192, 4, (Span(8, 2),), PATIENCE),
                Ask(11, 4, (Span(2002, 2),), PATIENCE),
                Ask(99, 4, (Span(2002, 2),), PATIENCE),
            )
            fates = await asyncio.to_thread(served.stop, how)
    assert decode(level.registers, "f32", "ABCD") == pytest.approx(
        Valley(5).at(0).bridge_m, abs=0.02
    )
    assert (rain.fault, dead.fault, foreign.fault) == (Fault.CRC, Fault.TIMEOUT, Fault.TIMEOUT)
    assert fates["192/crc"] == 1
    assert fates["11/dead"] == 1
    assert fates["246/whole"] >= 2
    assert not [name for name in fates if name.startswith("99/")]


async def test_its_clock_is_the_scaled_one(tmp_path: Path) -> None:
    with PacedLine(tmp_path / "bus", 1, BAUD) as line:
        path = valley_file(tmp_path, line.slave(1), scale=120.0)
        began = time.time()
        with running(path) as served:
            minutes = Ask(192, 4, (Span(12, 1),), PATIENCE)
            text = path.read_text().replace("faults = { crc_share = 1.0 }\n", "")
            served.process.kill()
            served.process.communicate()
            path.write_text(text)
        with running(path):
            (outcome,) = await asked(line.master, minutes)
            most = (time.time() - began) * 120 / 60
    assert 0 <= outcome.registers[0] <= most + 1


async def test_a_line_that_goes_away_ends_it_with_its_fates(tmp_path: Path) -> None:
    with PacedLine(tmp_path / "bus", 1, BAUD) as line:
        path = valley_file(tmp_path, line.slave(1))
        with running(path) as served:
            await asked(line.master)
            line.unplug()
            _, error = await asyncio.to_thread(served.process.communicate, None, LIMIT_S)
            assert served.process.returncode == 0, error.decode()
    assert json.loads((tmp_path / "fates.json").read_text())["246/whole"] >= 1


def test_a_port_that_is_not_there_is_an_error_not_a_wait(tmp_path: Path) -> None:
    with running(valley_file(tmp_path, tmp_path / "none")) as served:
        _, error = served.process.communicate(timeout=LIMIT_S)
        assert served.process.returncode == 1
        assert b"No such file" in error


def test_the_file_says_what_stands_where(tmp_path: Path) -> None:
    found = station.load(valley_file(tmp_path, tmp_path / "s1", seed=42))
    assert (found.seed, found.port) == (42, tmp_path / "s1")
    assert isinstance(found.units[246].instrument, Radar)
    assert isinstance(found.units[192].instrument, RainBucket)
    assert found.units[246].faults == Faults()
    assert found.units[11].faults == Faults(dead=True)


@pytest.mark.parametrize("missing", ["seed", "port", "scale"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, missing: str) -> None:
    path = valley_file(tmp_path, tmp_path / "s1")
    lines = [line for line in path.read_text().splitlines() if not line.startswith(missing)]
    path.write_text("\n".join(lines))
    if missing == "scale":  # the clock's own default is real time
        assert station.load(path).timescale.scale == 1.0
        return
    with pytest.raises(KeyError, match=missing):
        station.load(path)


def test_the_demo_s_own_file_has_the_faults_it_speaks_of(tmp_path: Path) -> None:
    place = site.Site(tmp_path, 8420, 1883, 7, Timescale(60, 1, 1))
    site.write(place)
    units = station.load(place.file("valley.toml")).units
    assert sorted(units) == [11, 192, 245, 246]
    assert units[246].faults == Faults(), "the bridge is heard well: it decides"
    assert units[245].faults.late_share > 0
    assert units[192].faults.crc_share > 0
    assert units[11].faults.dead
