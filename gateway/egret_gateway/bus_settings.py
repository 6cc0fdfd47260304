"""The lines and connections of a box: `[[bus]]`, its devices and their channels.

| port | protocol | line |
|---|---|---|
| `/dev/...` | `modbus-rtu` | a tty of this box |
| `tcp://HOST:PORT` | `modbus-rtu` | a tty of a serial server; baud, parity and stop_bits are its |
| `/dev/...` or `tcp://HOST:PORT` | `sdi-12` | SDI-12 sensors behind their adapter |
| `/dev/...` or `tcp://HOST:PORT` | `nmea-0183`, `text` | devices that talk, or answer with a line |
| `tcp://HOST:PORT` | `modbus-tcp` | a device or a gateway that speaks Modbus TCP |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from egret_core.errors import ConfigError
from egret_core.spelling import meant
from egret_gateway import profiles
from egret_gateway.calibration import read_calibration
from egret_gateway.feeding import read_supply
from egret_gateway.limits import read_datum, read_range, read_watch
from egret_gateway.pacing import read_periods
from egret_gateway.profiles import (
    ChannelSettings,
    DeviceSettings,
    Item,
    Modbus,
    Nmea,
    Profile,
    Sdi12,
    Text,
)
from egret_gateway.protocols.modbus_pdu import UNIT_MAX
from egret_gateway.protocols.sdi12 import ADDRESSES
from egret_gateway.text_settings import base_of, check_line, line_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from egret_gateway.table import Table

MODBUS_RTU = "modbus-rtu"
MODBUS_TCP = "modbus-tcp"
SDI_12 = "sdi-12"
NMEA_0183 = "nmea-0183"
TEXT = "text"
LINES_OF_TEXT = (NMEA_0183, TEXT)
PROTOCOLS = (MODBUS_RTU, MODBUS_TCP, SDI_12, NMEA_0183, TEXT)
NATIVE, TRANSPARENT = "native", "transparent"
ADAPTERS = (NATIVE, TRANSPARENT)
BUSES_MAX = 1024  # a box has a few serial lines; a TCP device each is a bus of its own
DEVICES_MAX = 256  # units that one Modbus TCP connection can address; a serial line has fewer
PERIOD_MIN_S = 0.05  # about two reads at 9600 baud; faster than any sensor we know
PERIOD_MAX_S = 86_400.0
TCP_PORT_MAX = 65_535
_SERIAL_KEYS = ("baud", "parity", "stop_bits", "post_timeout_quiet_ms", "local_echo")
_TCP = re.compile(
    r"tcp://(?:([A-Za-z0-9._-]+)|\[([0-9A-Fa-f:.]+)(%[A-Za-z0-9._-]+)?\]):([0-9]{1,5})"
)
# RFC 1035 2.3.4: labels of 1 to 63 characters, which may end with the root's dot.
_NAME = re.compile(r"[^.]{1,63}(\.[^.]{1,63})*\.?")


class Endpoint(NamedTuple):
    """Where a TCP port leads."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class BusSettings:
    """One line or connection; key `[[bus]]`.

    Attributes:
        name: id of the bus, shown in health; port: device path, or ``tcp://HOST:PORT``.
        baud, parity (N, E, O), stop_bits: line settings; of a serial server's line, for pacing.
        cut_s: a batch of this bus waits at most so long before it is committed.
        post_timeout_quiet_ms: silence kept after a timeout, for slaves that go deaf; None to
            learn whether there are any.
        devices: what hangs on it.
        protocol: one of `PROTOCOLS`.
        local_echo: the adapter is known to hand back what is sent.
        adapter: on an SDI-12 line, who makes breaks and retries: we (`native`) or it.
        data_bits: of a character.
    """

    name: str
    port: str
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    cut_s: float = 1.0
    post_timeout_quiet_ms: int | None = None
    devices: tuple[DeviceSettings, ...] = ()
    protocol: str = MODBUS_RTU
    local_echo: bool = False
    adapter: str = ""
    data_bits: int = 8

    @property
    def endpoint(self) -> Endpoint | None:
        """Where a ``tcp://`` port leads, None for a device path."""
        return endpoint_of(self.port)


def endpoint_of(port: str) -> Endpoint | None:
    """Return where ``tcp://HOST:PORT`` leads, None for anything else."""
    found = _TCP.fullmatch(port)
    if found is None or not 1 <= int(found[4]) <= TCP_PORT_MAX:
        return None
    host = (found[1] or found[2]).lower()
    if found[1] and not _NAME.fullmatch(host):
        return None
    return Endpoint(host + (found[3] or ""), int(found[4]))


def read_buses(top: Table, devices: Sequence[Path] | None) -> tuple[BusSettings, ...]:
    """Return every `[[bus]]` of a file; ConfigError names file, key, value seen and remedy.

    Args:
        top: the whole file.
        devices: folders of profiles, None for the usual ones.
    """
    tables = top.tables("bus")
    if not 1 <= len(tables) <= BUSES_MAX:
        top.fail("bus", f"write one [[bus]] per line or connection, 1 to {BUSES_MAX}")
    buses: list[BusSettings] = []
    names: set[str] = set()
    ports: set[str | Endpoint] = set()
    shelf = _Shelf(devices)
    for table in tables:
        bus = _bus(table, shelf)
        if bus.name in names:
            table.fail("name", "another bus has this name: choose a second one")
        if (bus.endpoint or bus.port) in ports:
            table.fail("port", "another bus has this port: put all its devices under one [[bus]]")
        names.add(bus.name)
        ports.add(bus.endpoint or bus.port)
        buses.append(bus)
    return tuple(buses)


def _bus(table: Table, shelf: _Shelf) -> BusSettings:
    protocol = table.text("protocol", MODBUS_RTU, PROTOCOLS)
    found = _devices(table, shelf, protocol)
    bus = BusSettings(
        name=table.id("name"),
        port=_port(table, protocol),
        cut_s=table.number("cut_s", 0, 3600, 1.0),
        devices=found,
        protocol=protocol,
        **_LINES[protocol](table),
    )
    table.done()
    return bus


def _port(table: Table, protocol: str) -> str:
    port = table.text("port")
    if "://" in port and endpoint_of(port) is None:
        table.fail("port", 'write "tcp://HOST:PORT", e.g. "tcp://192.168.1.20:502"')
    if protocol != MODBUS_TCP:
        return port
    if endpoint_of(port) is None:
        table.fail("port", f'{protocol} wants "tcp://HOST:PORT", e.g. "tcp://192.168.1.20:502"')
    for key in _SERIAL_KEYS:
        if table.has(key):
            table.fail(key, f"{protocol} has no line of its own: leave it out")
    return port


class _Line(TypedDict, total=False):
    baud: int
    parity: str
    stop_bits: int
    post_timeout_quiet_ms: int | None
    local_echo: bool
    adapter: str
    data_bits: int


def _line(table: Table) -> _Line:
    return {
        "baud": table.integer("baud", 300, 1_000_000, 9600),
        "parity": table.text("parity", "N", ("N", "E", "O")),
        "stop_bits": table.integer("stop_bits", 1, 2, 1),
        "post_timeout_quiet_ms": _quiet_ms(table),
        "local_echo": table.flag("local_echo", default=False),
    }


def _quiet_ms(table: Table) -> int | None:
    key = "post_timeout_quiet_ms"
    return table.integer(key, 0, 500) if table.has(key) else None


def _sdi12_line(table: Table) -> _Line:
    """Return a line whose characters the standard fixes, or its adapter has settings for."""
    adapter = table.text("adapter", "", ADAPTERS)
    if adapter == TRANSPARENT:
        return {
            "adapter": adapter,
            "baud": table.integer("baud", 300, 1_000_000, 9600),
            "parity": table.text("parity", "N", ("N", "E", "O")),
            "stop_bits": table.integer("stop_bits", 1, 2, 1),
        }
    if endpoint_of(table.text("port")) is not None:
        table.fail("port", "a native adapter makes breaks: it needs a tty of this box")
    for key in ("baud", "parity", "stop_bits"):
        if table.has(key):
            table.fail(key, "SDI-12 itself is 1200 baud 7E1: leave it out")
    return {"adapter": adapter, "baud": 1200, "parity": "E", "stop_bits": 1, "data_bits": 7}


def _text_line(table: Table) -> _Line:
    return {
        "data_bits": table.integer("data_bits", 7, 8, 8),
        "baud": table.integer("baud", 300, 1_000_000, 9600),
        "parity": table.text("parity", "N", ("N", "E", "O")),
        "stop_bits": table.integer("stop_bits", 1, 2, 1),
    }


_LINES: dict[str, Callable[[Table], _Line]] = {
    MODBUS_RTU: _line,
    MODBUS_TCP: lambda _: {},
    SDI_12: _sdi12_line,
    NMEA_0183: _text_line,
    TEXT: _text_line,
}
_SPOKEN = {Modbus: "modbus", Sdi12: SDI_12, Nmea: NMEA_0183, Text: TEXT}


def _devices(table: Table, shelf: _Shelf, protocol: str) -> tuple[DeviceSettings, ...]:
    names: dict[str, int] = {}
    found = []
    for index, entry in enumerate(table.tables("device")):
        device = _device(entry, shelf, protocol)
        if device.name in names:
            first = f"{table.path}.device[{names[device.name]}]"
            key = "unit" if isinstance(device.profile.way, Modbus) else "address"
            entry.fail(key, f"{first} has this address too: give one device another")
        names[device.name] = index
        found.append(device)
    if not 1 <= len(found) <= DEVICES_MAX:
        table.fail("device", f"write one [[bus.device]] per device, 1 to {DEVICES_MAX}")
    check_line(table, found)
    return tuple(found)


def _device(table: Table, shelf: _Shelf, protocol: str) -> DeviceSettings:
    profile = shelf.profile(table)
    spoken = next(word for way, word in _SPOKEN.items() if isinstance(profile.way, way))
    if not protocol.startswith(spoken):
        table.fail("profile", f"this family speaks {spoken}, the bus {protocol}: put it on another")
    station = table.id("station")
    wanted = table.table("channels")
    channels = []
    siblings = {name: f"{station}/{one.id('channel')}" for name, one in wanted.named().items()}
    for name, entry in wanted.named().items():
        item = next((item for item in profile.items if item.name == name), None)
        if item is None:
            known = [item.name for item in profile.items]
            remedy = f"profile {profile.name!r} has the items: {', '.join(known)}"
            raise ConfigError(entry.file, entry.path, name, remedy + meant(name, known))
        channels.append(_channel(entry, station, item, siblings))
    if not channels:
        table.fail("channels", "write one [bus.device.channels.ITEM] per value wanted")
    period_s = table.number("period_s", PERIOD_MIN_S, PERIOD_MAX_S)
    watch_s, event_s = read_periods(table, period_s, PERIOD_MIN_S)
    supply, warmup_s = read_supply(table, event_s or watch_s or period_s)
    if supply is not None and not isinstance(profile.way, Modbus):
        table.fail("supply", f"a relay speaks modbus, the bus {protocol}: feed this device always")
    settings = DeviceSettings(
        **_address(table, profile, protocol),
        profile=profile,
        station=station,
        period_s=period_s,
        channels=tuple(channels),
        base=base_of(table, channels),
        watch_s=watch_s,
        event_s=event_s,
        supply=supply,
        warmup_s=warmup_s,
    )
    table.done()
    return settings


class _Address(TypedDict, total=False):
    unit: int
    address: str


def _address(table: Table, profile: Profile, protocol: str) -> _Address:
    if protocol == SDI_12:
        return {"unit": 0, "address": table.text("address", profile.address, ADDRESSES)}
    if protocol in LINES_OF_TEXT:
        return {"unit": 0, "address": line_address(table, profile)}
    least = 0 if protocol == MODBUS_TCP else 1
    return {"unit": table.integer("unit", least, UNIT_MAX, profile.unit)}


class _Shelf:
    """The profiles of one file's devices: each is read once, however many devices it has."""

    def __init__(self, folders: Sequence[Path] | None) -> None:
        self._folders = folders
        self._read: dict[str, Profile] = {}

    def profile(self, table: Table) -> Profile:
        """Return the profile that a device names."""
        name = table.text("profile")
        if name in self._read:
            return self._read[name]
        path = profiles.find(name, self._folders) if "/" not in name else None
        if path is None:
            known = profiles.names(self._folders)
            near = meant(name, known)
            table.fail("profile", f"no such profile{near}; there are: {', '.join(known)}")
        return self._read.setdefault(name, profiles.load(path))


def _channel(
    table: Table, station: str, item: Item, siblings: Mapping[str, str]
) -> ChannelSettings:
    calibration = None
    if table.has("calibration"):
        calibration = read_calibration(table.table("calibration"), item, siblings)
    quantity = item.quantity if calibration is None else calibration.quantity
    datum = read_datum(table, quantity)
    if table.has("datum_offset_m") and not datum:
        table.fail("datum_offset_m", "an offset is measured from a datum: write datum = ...")
    settings = ChannelSettings(
        station=station,
        channel=table.id("channel"),
        item=item,
        datum=datum,
        datum_offset_m=table.number("datum_offset_m", -1e5, 1e5, 0.0),
        watch_at=read_watch(table, quantity, datum),
        operator=read_range(table, quantity),
        calibration=calibration,
    )
    table.done()
    return settings
