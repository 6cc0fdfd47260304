"""`./dev bench gateway` in small: its parts run, and count what they say they count."""

# ruff: noqa: E402  (the bench is found first)
from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import _field
import _gateway_cost
import _gateway_peers
import _gateway_uplink
import _process
import _thingsboard

from egret_gateway import config

NO_WIRE = _gateway_uplink.why_not()
HIGH_MV, LOW_MV = 20_000, 10_000


@pytest.mark.parametrize(("units", "channels"), [(32, 200), (4, 20), (3, 7), (1, 1)])
def test_channels_are_spread_evenly_over_the_units(units: int, channels: int) -> None:
    found = _field.spread(units, channels)
    tags = [device.tags for device in found]
    assert ([device.number for device in found], sum(tags)) == (
        list(range(1, units + 1)),
        channels,
    )
    assert max(tags) - min(tags) <= 1


def test_the_file_of_a_bench_is_one_that_a_gateway_takes(tmp_path: Path) -> None:
    devices = (_field.Device(1, 3, watched=True), _field.Device(2, 2))
    buses = (_field.Bus("/dev/ttyS0", devices), _field.Bus("tcp://h:502", devices, "modbus-tcp"))
    pace = _field.Pace(60.0, 600.0, 60.0, 10.0, 5.0)
    path = _field.write_config(tmp_path, buses, pace, 'host = "localhost"\n')
    found = config.load(path, [tmp_path])
    assert [len(bus.devices) for bus in found.buses] == [2, 2]
    assert (found.clock.timescale.scale, found.status_s, found.broker.keepalive_s) == (60, 10, 5)
    watched = [meta.watch_at for meta in found.channels()]
    assert watched == [_field.WATCH_MV / 1000, None, None, None, None] * 2
    assert all(_field.level(k) < _field.WATCH_MV < _field.TRIP_MV for k in range(32))


def test_what_a_register_shows_is_a_field_s() -> None:
    assert all(LOW_MV < _field.level(k) < HIGH_MV for k in range(_field.REGISTERS_MAX))


def devices() -> list[str]:
    return [path.name for path in Path("/sys/class/net").iterdir()]


async def test_memory_is_the_process_s_own(tmp_path: Path) -> None:
    found = await _gateway_cost.memory(tmp_path, 1.0, units=2)
    assert found["rss_readings"] > 0
    assert 15 < found["rss_now_mb"] <= found["rss_mb"] < 200


async def test_a_start_ends_with_a_byte_on_the_line(tmp_path: Path) -> None:
    found = await _gateway_cost.starts(tmp_path, units=1, times=1)
    assert found["start_cpu_s"] > 0
    assert 0 < found["start_s"] == found["start_highest_s"]


async def test_what_is_written_is_counted_until_the_process_has_ended(tmp_path: Path) -> None:
    found = await _gateway_cost.disk(tmp_path, 1.0, 1.0)
    assert found.readings > 0
    assert found.bytes == 0 or found.bytes > 100 * found.readings, "0: a file system in memory"


@pytest.mark.skipif(bool(NO_WIRE), reason=NO_WIRE)
async def test_the_wire_counts_both_ways_and_a_trip_crosses_it(
    tmp_path: Path,
) -> None:
    usual_s = _gateway_uplink.intake.STATUS_S
    found = await _gateway_uplink.uplink(tmp_path, 2.0, _gateway_uplink.METERED._replace(cut_s=60))
    assert usual_s == _gateway_uplink.intake.STATUS_S
    assert found["uplink_readings"] > 0
    assert found["uplink_connect_bytes"] > 2000, "a TLS handshake and a certificate"
    assert found["uplink_bytes_per_reading"] > 10
    assert 0.2 < found["uplink_up_share"] < 0.95
    assert found["watch_trip_s"] > 0
    assert not any(name.startswith(("eb", "ef")) and str(os.getpid()) in name for name in devices())


async def test_peers_are_measured_on_the_same_devices(tmp_path: Path) -> None:
    # One of them tells its count once a second: a shorter look may see none.
    found = await _gateway_peers.figures(tmp_path, 3.0, 2, with_thingsboard=False)
    assert "not run" in str(found["thingsboard"])
    for name in ("cpu_readings_per_s", "pymodbus_one_tag_readings_per_s"):
        assert 10 < float(found[name]) < 200, "two devices of twenty tags a second"
    assert "cpu_ratio_to_thingsboard" not in found


def test_thingsboard_is_told_of_every_device_and_tag(tmp_path: Path) -> None:
    _thingsboard.write_config(tmp_path, [1001, 1002], 20, 1.0, 1883)
    told = json.loads((tmp_path / "modbus.json").read_text())["master"]["slaves"]
    assert [slave["port"] for slave in told] == [1001, 1002]
    assert [len(slave["timeseries"]) for slave in told] == [20, 20]
    assert _thingsboard.cache().parent.name == "egret", "never in our own environment"


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_the_wire_leaves_no_mount_behind() -> None:
    _gateway_uplink.why_not()
    others = list(Path(_gateway_uplink.NETNS).glob("*"))  # of those who run beside us
    assert others or not _gateway_uplink.netns_mounted()


async def test_cpu_time_counts_children(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(1, flush=True)\ninput()"
    script = tmp_path / "parent.py"
    script.write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])")
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        script,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert parent.stdout is not None
        await parent.stdout.readline()
        # User and system time are rounded down to a tick, each of its own.
        assert _process.cpu_of(parent.pid) >= 0.3 - 2 * _process.TICK_S
    finally:
        assert parent.stdin is not None
        parent.stdin.write(b"\n")
        await parent.wait()
