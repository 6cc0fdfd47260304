"""A whole bus on a real tty, its far end a scripted device."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.scripted import ScriptedDevice as Device
from rig.sink import Sink, polling
from rig.site import FOLDERS, PATIENT, QUICK, site, stage

from egret_core.quality import Flag, Reason
from egret_core.timescale import REAL, SCALE_MAX, Timescale
from egret_gateway.bus.poll import Bus
from egret_gateway.config import BusSettings, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

FAST = 115200


def quick(path: Path) -> BusSettings:
    """Load a site whose gauges are given up soon: some of them are dead."""
    path.write_text(path.read_text().replace(PATIENT, QUICK))
    return load(path, FOLDERS).buses[0]


@asynccontextmanager
async def running(
    path: Path,
    *,
    memory: dict[str, str] | None = None,
    maintenance: Callable[[], bool] = lambda: False,
    timescale: Timescale = REAL,
) -> AsyncIterator[tuple[Bus, Sink]]:
    sink = Sink()
    bus = Bus(quick(path), timescale, sink.emit, memory or {}, maintenance)
    async with polling(bus):
        yield bus, sink


async def test_values_come_converted_with_their_raw(tmp_path: Path) -> None:
    with FarEnd(Device()) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=stage(7, period_s=0.05))
        async with running(path) as (bus, sink):
            await sink.until(lambda: len(sink.samples) >= 3)
        first = sink.samples[0]
        assert (first.station, first.channel, first.raw) == ("st0007", "wl", 700.0)
        assert first.value == pytest.approx(7.0 * 0.3048)
        assert (first.flag, first.reasons, first.urgent) == (1, 0, False)
        health = bus.health()
        assert health["fault"] == ""
        assert health["units"]["7"]["ok"] >= 3


async def test_a_dead_device_is_told_while_its_neighbour_goes_on(tmp_path: Path) -> None:
    device = Device()
    device.dead = {9}
    devices = stage(7, "wl", 0.1) + stage(9, "dead", 0.1)
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=devices)
        async with running(path) as (bus, sink):
            await sink.until(lambda: any(s.reasons == Reason.BACKED_OFF for s in sink.samples))
            before = len(sink.values())
            await sink.until(lambda: len(sink.values()) >= before + 5)
            assert bus.health()["units"]["9"]["open"]
            device.dead.clear()
            await sink.until(lambda: len(sink.values("dead")) > 0)
        missing = [s for s in sink.samples if s.channel == "dead" and s.value is None]
        assert all(s.flag == Flag.MISSING and s.raw is None for s in missing)
        assert {s.reasons for s in missing} <= {
            Reason.TIMEOUT, Reason.BACKED_OFF, Reason.TIMEOUT | Reason.GAP
        }  # fmt: skip
        assert missing[0].reasons == Reason.TIMEOUT
        assert all(s.value is not None for s in sink.samples if s.channel == "wl")


async def test_a_refusal_is_told_as_an_exception(tmp_path: Path) -> None:
    device = Device()
    device.refusing = {7}
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=stage(7, period_s=0.05))
        async with running(path) as (_, sink):
            await sink.until(lambda: len(sink.samples) >= 5)
        assert {(s.flag, s.reasons) for s in sink.samples} == {(9, Reason.EXCEPTION)}


async def test_a_watch_trips_on_crossing_and_not_above(tmp_path: Path) -> None:
    stages = [290, 300, 310, 299, 301, 301]
    device = Device(lambda _, n: stages[min(n, len(stages)) - 1])
    more = 'watch_at = { value = 3.0, unit = "ft", datum = "Luoling" }\n'
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=stage(7, period_s=0.05, more=more))
        async with running(path) as (_, sink):
            await sink.until(lambda: len(sink.samples) >= 6)
        assert [s.urgent for s in sink.samples[:6]] == [False, True, False, False, True, False]


async def test_maintenance_marks_every_sample_and_trips_nothing(tmp_path: Path) -> None:
    device = Device(lambda *_: 900)
    device.dead = {9}
    more = 'watch_at = { value = 3.0, unit = "ft", datum = "Luoling" }\n'
    devices = stage(7, "wl", 0.05, more) + stage(9, "dead", 0.05)
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=devices)
        async with running(path, maintenance=lambda: True) as (_, sink):
            await sink.until(lambda: {s.channel for s in sink.samples} == {"wl", "dead"})
        assert all(s.reasons & Reason.MAINTENANCE and not s.urgent for s in sink.samples)


async def test_the_first_value_after_a_gap_says_so(tmp_path: Path) -> None:
    device = Device()
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=stage(7, period_s=0.05))
        async with running(path) as (_, sink):
            await sink.until(lambda: len(sink.values()) >= 2)
            device.dead = {7}
            await sink.until(lambda: sum(s.value is None for s in sink.samples) >= 5)
            device.dead = set()
            count = len(sink.values())
            await sink.until(lambda: len(sink.values()) >= count + 2)
        values = [s for s in sink.samples if s.value is not None]
        assert [s.flag for s in values] == [1] * len(values)
        assert sum(bool(s.reasons & Reason.GAP) for s in values) == 1


RAIN = """
[[bus.device]]
profile = "dfrobot-sen0575"
unit = 192
station = "st0007"
period_s = 0.05
[bus.device.channels.rain]
channel = "rain"
"""


async def test_a_counter_s_memory_goes_with_its_samples_and_comes_back(tmp_path: Path) -> None:
    # One register value in both words: 1 * 65537 counts = 6.5537 mm, low word first.
    device = Device(lambda _, n: 1 if n < 3 else 2)
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=RAIN)
        async with running(path) as (_, sink):
            await sink.until(lambda: len(sink.values("rain")) >= 4)
        assert sink.values("rain")[:4] == [6.5537, 6.5537, 13.1074, 13.1074]
        assert json.loads(sink.memory["st0007/rain"]) == [131074, 13.1074]
        kept = {"st0007/rain": json.dumps([131074, 1000.0])}
        async with running(path, memory=kept) as (_, sink):
            await sink.until(lambda: len(sink.values("rain")) >= 1)
        assert sink.values("rain")[0] == 1000.0
        assert sink.memory == {}, "nothing was counted, nothing is written"


async def test_periods_scale_with_the_clock_and_the_line_s_own_times_do_not(
    tmp_path: Path,
) -> None:
    with FarEnd(Device()) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=stage(7, period_s=6.0))
        async with running(path, timescale=Timescale(scale=60)) as (_, sink):
            await sink.until(lambda: len(sink.values()) >= 4, limit_s=5.0)
        steps = [
            b.mono_ms - a.mono_ms for a, b in zip(sink.samples, sink.samples[1:], strict=False)
        ]
        assert 50 <= sum(steps) / len(steps) <= 1000


async def test_a_missing_port_is_told_and_taken_up_when_it_comes(tmp_path: Path) -> None:
    link = tmp_path / "bus0"
    with FarEnd(Device()) as far:
        path = site(tmp_path, port=link, baud=FAST, devices=stage(7, period_s=0.05))
        async with running(path) as (bus, sink):
            await sink.until(lambda: len(sink.samples) >= 1)
            assert sink.samples[0][3:7] == (None, None, Flag.MISSING, Reason.PORT)
            assert bus.health()["fault"] == "missing"
            link.symlink_to(far.path)
            await sink.until(lambda: len(sink.values()) >= 2)
            assert bus.health()["fault"] == ""


async def test_a_replugged_adapter_is_taken_up_again(tmp_path: Path) -> None:
    link = tmp_path / "bus0"
    path = site(tmp_path, port=link, baud=FAST, devices=stage(7, period_s=0.05))
    async with running(path) as (bus, sink):
        for _ in range(3):
            with FarEnd(Device()) as far:
                link.symlink_to(far.path)
                before = len(sink.values())
                await sink.until(lambda count=before: len(sink.values()) >= count + 2)
                link.unlink()
            await sink.until(lambda: bool(sink.samples[-1].reasons & Reason.PORT))
            assert bus.health()["fault"] in ("vanished", "missing")


async def test_when_every_unit_is_silent_the_port_is_opened_anew(tmp_path: Path) -> None:
    device = Device()
    device.dead = {7}
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=stage(7, period_s=0.1))
        async with running(path) as (bus, sink):
            await sink.until(lambda: bus.health()["silent"])
            device.dead = set()
            await sink.until(lambda: len(sink.values()) >= 1)
            assert not bus.health()["silent"]


async def test_a_port_that_stays_silent_is_opened_anew_now_and_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = Device()
    device.dead = {7}
    caplog.set_level("INFO")
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=stage(7, period_s=12.0))
        async with running(path, timescale=Timescale(SCALE_MAX)) as (bus, sink):
            await sink.until(lambda: caplog.text.count(" opened") >= 3)
            assert bus.health()["silent"]
    assert caplog.text.count("every unit is silent") == 1, "told once"
