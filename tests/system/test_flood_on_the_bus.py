"""Real input, the gateway's half: a libmodbus slave plays a recorded flood over a slow wire."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from rig import flood
from rig.libmodbus import LibmodbusSlave, why_missing
from rig.paced import PacedLine
from rig.sink import Sink
from rig.site import FOLDERS, QUICK, site, stage

from egret_core.timescale import REAL
from egret_core.units import convert
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load

if TYPE_CHECKING:
    from pathlib import Path

UNIT = 7
BAUD = 9600
LIMIT_S = 120.0

pytestmark = [
    pytest.mark.system,
    pytest.mark.alone,
    pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "complete"),
    pytest.mark.skipif(bool(flood.why_missing()), reason=flood.why_missing() or "complete"),
]

WATCH = 'watch_at = { value = 3.0, unit = "ft", datum = "Luoling" }\n'


async def test_every_served_sample_is_emitted_once_and_the_crossing_is_urgent(
    tmp_path: Path,
) -> None:
    stages = flood.stages()[240:]  # the four hours before midnight hold the whole rise
    with (
        PacedLine(tmp_path / "bus", 1, BAUD) as line,
        LibmodbusSlave(tmp_path, line.slave(1), UNIT, BAUD, stages) as slave,
    ):
        path = site(tmp_path, port=line.master, devices=stage(UNIT, period_s=0.05, more=WATCH))
        sink = Sink()
        bus = Bus(load(path).buses[0], REAL, sink.emit, {}, lambda: False)
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: len(sink.values()) >= len(stages) + 2, LIMIT_S)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        served = slave.served(len(sink.values()))
        # The reply that was under way at the end may have been served and not taken.
        assert len(served) - len(sink.values()) in (0, 1)
        expected = [convert("water_level", row.value / 100, "ft") for row in served]
        assert sink.values() == expected[: len(sink.values())]
        assert [row.value for row in served[: len(stages)]] == stages
        assert [row.value for row in served[len(stages) :]] == [stages[-1]] * (
            len(served) - len(stages)
        )
        assert all(sample.flag == 1 for sample in sink.samples)
        first_over = next(n for n, value in enumerate(stages) if value >= 300)
        assert [n for n, s in enumerate(sink.samples) if s.urgent] == [first_over]
        times = [sample.mono_ms for sample in sink.samples]
        assert times == sorted(set(times)), "each its own time"
        assert last_value_by_mbpoll(line) == stages[-1]


def last_value_by_mbpoll(line: PacedLine) -> int:
    """Read holding register 0 with a foreign master; its -r counts from 1."""
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is not installed")
    command = ["mbpoll", "-m", "rtu", "-a", str(UNIT), "-b", str(BAUD), "-P", "none"]
    command += ["-t", "4", "-r", "1", "-c", "1", "-1", str(line.master)]
    out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    found = re.search(r"^\[1\]:\s+(\d+)", out, re.MULTILINE)
    assert found is not None, out
    return int(found[1])


async def test_a_slave_that_goes_and_comes_back_is_read_on(tmp_path: Path) -> None:
    with PacedLine(tmp_path / "bus", 2, BAUD) as line:
        devices = stage(1, "one", 0.2, profile=QUICK) + stage(2, "two", 0.2, profile=QUICK)
        path = site(tmp_path, port=line.master, bus="post_timeout_quiet_ms = 500", devices=devices)
        sink = Sink()
        bus = Bus(load(path, FOLDERS).buses[0], REAL, sink.emit, {}, lambda: False)
        with LibmodbusSlave(tmp_path, line.slave(1), 1, BAUD):
            task = asyncio.create_task(bus.run())
            await sink.until(lambda: len(sink.values("one")) >= 5, LIMIT_S)
            assert not sink.values("two")
            with LibmodbusSlave(tmp_path, line.slave(2), 2, BAUD):
                await sink.until(lambda: len(sink.values("two")) >= 3, LIMIT_S)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    assert set(sink.values("one")) == set(sink.values("two")) == {3.048}
