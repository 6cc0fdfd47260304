"""The load of `bench/gateway.py`: devices of many registers, the profile and file that read them.

Every device of a bench has the same map: holding registers from 0, one unsigned millivolt each.
What a register holds moves as a field's values do: slowly, with the last digits in noise.
"""

from __future__ import annotations

import asyncio
import math
import random
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rig.secured import Secured

REGISTERS_MAX = 32  # a device of a bench has no more
GATEWAY = "bench-box"
PROFILE = "bench-map"
TRIP_MV = 50_000  # what the watched register shows when it trips; never reached otherwise
WATCH_MV = 40_000
MODBUS_TCP = "modbus-tcp"
HERE = Path(__file__).resolve().parent
STOP_S = 15.0
_dice = random.Random(7)  # noqa: S311  (a repeatable draw)


def level(address: int) -> int:
    """Return what a register holds now: a tide of its own, and noise in the last digit."""
    tide = math.sin(time.monotonic() / 97 + address)
    return int(12_000 + 500 * (address % 13) + 400 * tide + _dice.randint(-3, 3))


@dataclass(frozen=True)
class Device:
    """One device: on a line its unit is its number; `tags` registers are read every period."""

    number: int
    tags: int
    watched: bool = False


@dataclass(frozen=True)
class Bus:
    """One line and its devices."""

    port: str
    devices: tuple[Device, ...]
    protocol: str = "modbus-rtu"


@dataclass(frozen=True)
class Pace:
    """How fast everything goes; `scale` shortens periods and cuts, as the demo's clock does."""

    period_s: float
    cut_s: float
    scale: float = 1.0
    status_s: float = 120.0
    keepalive_s: float = 30.0


def spread(units: int, channels: int) -> tuple[Device, ...]:
    """Return so many devices on one line that share the channels as evenly as may be."""
    return tuple(
        Device(unit, channels // units + (unit <= channels % units)) for unit in range(1, units + 1)
    )


def _write_profile(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    items = "".join(
        f'[item.r{k}]\nfc = 3\naddress = {k}\ntype = "u16"\nquantity = "voltage"\nunit = "mV"\n'
        for k in range(REGISTERS_MAX)
    )
    head = (
        f'[profile]\nname = "{PROFILE}"\nversion = 1\ntitle = "a map of benches"\n'
        'tier = "simulated"\ntier_date = "2026-11-29"\nevidence = "for benches only"\n'
        'sources = ["https://modbus.org/specs.php"]\n[modbus]\n'
    )
    (folder / f"{PROFILE}.toml").write_text(head + items)


def write_config(folder: Path, buses: tuple[Bus, ...], pace: Pace, broker: str) -> Path:
    """Write a gateway's file, and return it; `broker` is the body of its `[broker]`."""
    scaled = ""
    if pace.scale > 1:
        now = time.time_ns() // 1_000_000
        scaled = f"[clock.scaled]\nscale = {pace.scale}\nfrom_ms = {now}\nto_ms = {now}\n"
    head = (
        f'[gateway]\nid = "{GATEWAY}"\ndata = "{folder / "data"}"\nstatus_s = {pace.status_s}\n'
        f"[broker]\n{broker}keepalive_s = {pace.keepalive_s}\n"
        f'[clock]\nsource = "rtc"\n{scaled}'
    )
    lines = [head]
    for index, bus in enumerate(buses):
        lines.append(
            f'[[bus]]\nname = "bus{index}"\nport = "{bus.port}"\nprotocol = "{bus.protocol}"\n'
            f"cut_s = {pace.cut_s}\n" + ("baud = 115200\n" if bus.protocol == "modbus-rtu" else "")
        )
        lines += [_device(device, index, pace) for device in bus.devices]
    path = folder / "gateway.toml"
    _write_profile(folder)
    path.write_text("".join(lines))
    return path


def _device(device: Device, bus: int, pace: Pace) -> str:
    watch = f'watch_at = {{ value = {WATCH_MV}, unit = "mV" }}\n' if device.watched else ""
    head = (
        f'[[bus.device]]\nprofile = "{PROFILE}"\nunit = {device.number}\n'
        f'station = "st{bus:02}{device.number:02}"\nperiod_s = {pace.period_s}\n'
    )
    channels = (
        f'[bus.device.channels.r{k}]\nchannel = "c{k:02}"\n{watch if k == 0 else ""}'
        for k in range(device.tags)
    )
    return head + "".join(channels)


def as_box(broker: Secured) -> str:
    """Return the `[broker]` of a gateway that the broker has just been told of."""
    account = broker.admit(GATEWAY)
    secret = broker.folder / "box.password"
    secret.write_text(broker.secrets[account])
    return (
        f'host = "localhost"\nport = {broker.port}\nca_file = "{broker.ca_file}"\n'
        f'username = "{account}"\npassword_file = "{secret}"\n'
    )


def command(config: Path) -> list[str]:
    """Return how the gateway is started: as installed, with the bench's profile beside it."""
    return [sys.executable, str(HERE / "_field_box.py"), str(config), str(config.parent)]


@contextmanager
def running(config: Path, prefix: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """Run a gateway for the time of the block; its log stands beside its file."""
    with config.with_suffix(".log").open("ab") as log:
        box = subprocess.Popen(
            [*prefix, *command(config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        yield box
        if box.poll():
            raise RuntimeError(config.with_suffix(".log").read_text()[-2000:])
    finally:
        box.terminate()
        with suppress(subprocess.TimeoutExpired):
            box.wait(STOP_S)
        box.kill()


@contextmanager
def serving(ports: int) -> Iterator[list[int]]:
    """Serve the map by Modbus TCP in another process; yield one port for each device."""
    server = subprocess.Popen(
        [sys.executable, str(HERE / "_field_tcp.py"), str(ports)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield [int(word) for word in server.stdout.readline().split()]
    finally:
        server.terminate()
        server.wait(STOP_S)
        server.stdout.close()


async def until(true: Callable[[], object], limit_s: float = 30.0) -> None:
    """Wait until `true()` is; TimeoutError where it never is."""
    async with asyncio.timeout(limit_s):
        while not true():  # noqa: ASYNC110  (seen from outside)
            await asyncio.sleep(0.02)
