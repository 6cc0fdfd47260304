"""What the uplink costs in a month, counted on a wire of its own.

The gateway runs in a network namespace whose only way out is a veth pair at MTU 1500; counted is
every IP byte of both directions: handshake, TLS records, TCP's own, keepalive, statuses of both
sides, batches, acks. Everything that has a period runs `speed` times faster, each by its own
setting, so that hours' pattern passes in minutes. The centre beyond the wire is a real one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from _field import Bus, Device, Pace, as_box, running, until, write_config
from _field_line import FieldLine
from _gateway_centre import Centre, centre

from egret_aggregator.intake import intake

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICES, TAGS = 4, 5  # 20 channels
PERIOD_S = 60.0
MONTH_S = 30 * 86_400.0
RECONNECTIONS_A_DAY = 1.0
ETHERNET_B = 14  # of a frame that is not IP's
NETNS = "/run/netns"
NETWORK = "10.213"  # of private use; the process's own number makes it one run's
MTU = 1500
START_S = 30.0


def why_not() -> str:
    """Return why no wire can be laid here, "" where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "unshare", "mount"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        with tempfile.TemporaryDirectory(prefix="egret-bench-") as folder, wire(Path(folder)):
            return ""
    except subprocess.CalledProcessError as error:
        return f"no network namespace: {error.stderr.decode().strip()}"


class Tariff(NamedTuple):
    """What a link costs decides how long things wait.

    Attributes:
        cut_s, status_s, keepalive_s: as in a gateway's file; speed: how many times faster it runs.
    """

    cut_s: float
    status_s: float
    keepalive_s: float
    speed: float

    @property
    def cut_real_s(self) -> float:
        return self.cut_s / self.speed


METERED = Tariff(600.0, 480.0, 300.0, 60.0)  # ten minutes for what is not urgent
DEFAULT = Tariff(1.0, 120.0, 30.0, 15.0)  # its keepalive can be shortened no more


class Counted(NamedTuple):
    """Bytes of IP since the wire was laid: to the gateway and from it."""

    down: int
    up: int

    @property
    def both(self) -> int:
        return self.down + self.up


@dataclass
class Wire:
    """The near end of the pair, and what a command is led through to be beyond it."""

    device: str
    prefix: tuple[str, ...]

    def counted(self) -> Counted:
        def of(word: str) -> int:
            folder = Path(f"/sys/class/net/{self.device}/statistics")
            frames = int((folder / f"{word}_packets").read_text())
            return int((folder / f"{word}_bytes").read_text()) - ETHERNET_B * frames

        return Counted(down=of("tx"), up=of("rx"))


@contextmanager
def wire(folder: Path) -> Iterator[Wire]:
    """Lay a veth pair into a namespace of its own; there `localhost` is our end of it.

    A scaled clock is taken for a broker of this host alone, and the certificate names it too: so
    the gateway finds a file of hosts in which that name leads over the wire.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"egret{os.getpid()}"
    near, far = f"eb{os.getpid()}", f"ef{os.getpid()}"
    net = f"{NETWORK}.{os.getpid() % 256}"
    hosts = folder / "hosts"
    inside = ("ip", "netns", "exec", name)
    try:
        _ip("netns", "add", name)
        _ip(
            "link",
            "add",
            near,
            "mtu",
            str(MTU),
            "type",
            "veth",
            "peer",
            "name",
            far,
            "mtu",
            str(MTU),
        )
        _ip("link", "set", far, "netns", name)
        for host, device, led in ((1, near, ()), (2, far, inside)):
            # A packet counted is a packet sent: none is cut after it passed the counter.
            _ip("link", "set", device, "gso_max_segs", "1", "addrgenmode", "none", led=led)
            _ip("addr", "add", f"{net}.{host}/30", "dev", device, led=led)
            _ip("link", "set", device, "up", led=led)
        hosts.write_text(f"{net}.1 localhost\n")
        bound = f'mount --bind {hosts} /etc/hosts && exec "$@"'
        yield Wire(near, (*inside, "unshare", "-m", "sh", "-c", bound, "sh"))
    finally:
        subprocess.run(["ip", "link", "del", near], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        # `ip netns add` leaves its folder mounted on itself, and mounts it again when it must.
        if not list(Path(NETNS).glob("*")):
            subprocess.run(["umount", NETNS], check=False, capture_output=True)


def netns_mounted() -> bool:
    """Tell whether the folder of named network namespaces is a mount of its own."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == NETNS for line in lines)


def _ip(*words: str, led: tuple[str, ...] = ()) -> None:
    subprocess.run([*led, "ip", *words], check=True, capture_output=True)


async def uplink(folder: Path, seconds: float, tariff: Tariff = METERED) -> dict[str, float]:
    """Return what a month costs, and how long a tripped watch took while the cut was far."""
    devices = tuple(Device(unit, TAGS, watched=unit == 1) for unit in range(1, DEVICES + 1))
    speed = tariff.speed
    pace = Pace(PERIOD_S, tariff.cut_s, speed, tariff.status_s / speed, tariff.keepalive_s / speed)
    usual_s, intake.STATUS_S = intake.STATUS_S, intake.STATUS_S / speed
    try:
        with FieldLine() as line, wire(folder) as link:
            async with centre(folder) as there:
                bus = Bus(line.port, devices)
                config = write_config(folder, (bus,), pace, as_box(there.broker))
                with running(config, link.prefix):
                    return await _count(link, there, line, seconds, tariff)
    finally:
        intake.STATUS_S = usual_s


async def _count(
    link: Wire, there: Centre, line: FieldLine, seconds: float, tariff: Tariff
) -> dict[str, float]:
    await until(lambda: there.batches() > 0, START_S)
    connect_b = link.counted().both
    await until(lambda: there.batches() > 1, START_S + tariff.cut_real_s)
    before, first, batches, began = (
        link.counted(),
        await there.readings(),
        there.batches(),
        time.monotonic(),
    )
    await asyncio.sleep(seconds)
    after, took_s = link.counted(), time.monotonic() - began
    readings, batches = await there.readings() - first, there.batches() - batches
    month_b = (after.both - before.both) / (took_s * tariff.speed) * MONTH_S
    month_b += connect_b * RECONNECTIONS_A_DAY * MONTH_S / 86_400
    return {
        "uplink_mb_per_month": round(month_b / 1e6, 2),
        "uplink_up_share": round((after.up - before.up) / (after.both - before.both), 3),
        "uplink_connect_bytes": connect_b,
        "uplink_bytes_per_reading": round((after.both - before.both) / readings, 1),
        "uplink_readings": readings,
        "uplink_batches": batches,
        "uplink_hours": round(took_s * tariff.speed / 3600, 2),
        "uplink_cut_s": tariff.cut_s,
        "uplink_status_s": tariff.status_s,
        "uplink_keepalive_s": tariff.keepalive_s,
        **await _trip(there, line, tariff),
    }


async def _trip(there: Centre, line: FieldLine, tariff: Tariff) -> dict[str, float]:
    """Trip a watch right after a cut; return seconds from its read to the centre's journal."""
    before = there.batches()
    await until(lambda: there.batches() > before, 2 * tariff.cut_real_s + START_S)
    before = there.batches()
    line.tripping = True
    await until(lambda: there.batches() > before, 2 * tariff.cut_real_s + START_S)
    return {
        "watch_trip_s": round(time.monotonic() - line.tripped_s, 3),
        "watch_trip_next_cut_s": round(tariff.cut_real_s, 1),
    }
