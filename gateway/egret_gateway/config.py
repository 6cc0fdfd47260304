"""One gateway's settings: read once, checked wholly, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.messages import ChannelMeta
from egret_core.screening.range import ANY, Span
from egret_core.timescale import REAL, SCALE_MAX, Timescale
from egret_core.topics import CENTRE
from egret_core.units import UnitError, canonical, convert
from egret_gateway import profiles
from egret_gateway.broker import BrokerSettings, read_broker
from egret_gateway.convert import formula_of
from egret_gateway.profiles import ChannelSettings, DeviceSettings, Item, Profile
from egret_gateway.protocols.modbus_rtu import UNIT_MAX
from egret_gateway.table import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

BUSES_MAX = 32  # serial lines of one box
DEVICES_MAX = 247  # units that one Modbus line can address
PERIOD_MIN_S = 0.05  # about two reads at 9600 baud; faster than any sensor we know
PERIOD_MAX_S = 86_400.0
DATUMED = ("water_level",)  # heights that mean nothing without a datum
_MS_MAX = 4_102_444_800_000  # the year 2100


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """How much the outbox may hold; key `[outbox]`.

    Attributes:
        max_mb: file size at which it gives way (DESIGN order: settled, then old backlog).
        keep_days: how long settled batches stay as the centre's second copy.
    """

    max_mb: int = 512
    keep_days: float = 30.0


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """The gateway's own time source; key `[clock]`.

    Attributes:
        source: `gnss`, `rtc` (trust the system clock), `ntp` (once the kernel or an RTC vouches for
            it) or `none` (take the centre's time).
        timescale: the demo's and tests' scaled clock, loopback brokers only; `[clock.scaled]`.
    """

    source: str = "ntp"
    timescale: Timescale = REAL


@dataclass(frozen=True, slots=True)
class BusSettings:
    """One serial line; key `[[bus]]`.

    Attributes:
        name: id of the bus, shown in health; port: device path.
        baud, parity (N, E, O), stop_bits: line settings.
        cut_s: a batch of this bus waits at most so long before it is committed.
        post_timeout_quiet_ms: silence kept after a timeout, for slaves that go deaf.
        devices: what hangs on it.
    """

    name: str
    port: str
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    cut_s: float = 1.0
    post_timeout_quiet_ms: int = 0
    devices: tuple[DeviceSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """A whole, checked configuration.

    Attributes:
        gateway: id on the wire; data: folder of the outbox and other state.
        buses: serial lines; file: where it was read from.
    """

    gateway: str
    data: Path
    buses: tuple[BusSettings, ...]
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    clock: ClockSettings = field(default_factory=ClockSettings)
    status_s: float = 120.0
    file: str = ""

    def channels(self) -> tuple[ChannelMeta, ...]:
        """Return the facts of every configured channel, as they travel."""
        return tuple(
            channel_meta(bus, device, channel)
            for bus in self.buses
            for device in bus.devices
            for channel in device.channels
        )


def load(path: Path, devices: Sequence[Path] | None = None) -> GatewayConfig:
    """Read and check a gateway's configuration with all its profiles.

    Args:
        path: the TOML file.
        devices: folders of profiles, None for the usual ones.

    Raises:
        ConfigError: names file, key, value seen and remedy; no port has been opened.
    """
    top = read_table(path)
    own = top.table("gateway")
    gateway = own.id("id")
    if gateway == CENTRE:
        own.fail("id", "this word is taken by the centre: choose another id")
    broker = read_broker(top.table("broker"))
    config = GatewayConfig(
        gateway=gateway,
        data=Path(own.text("data")),
        status_s=own.number("status_s", 1, 3600, 120.0),
        buses=_buses(top, devices),
        broker=broker,
        outbox=_outbox(top.table("outbox")),
        clock=_clock(top.table("clock"), broker),
        file=str(path),
    )
    own.done()
    top.done()
    _unique_channels(top, config)
    return config


def channel_meta(bus: BusSettings, device: DeviceSettings, channel: ChannelSettings) -> ChannelMeta:
    """Return one channel's facts: what it measures, and how the number is made."""
    item = channel.item
    formula, constants = formula_of(channel)
    extra: dict[str, Any] = {"item": item.name, "tier": device.profile.tier}
    for name, span in (("sensor_range", item.sensor), ("range", channel.operator)):
        if span != ANY:
            extra[name] = [
                span.low if span.low > ANY.low else None,
                span.high if span.high < ANY.high else None,
            ]
    return ChannelMeta(
        station=channel.station,
        channel=channel.channel,
        quantity=item.quantity,
        unit=canonical(item.quantity),
        datum=channel.datum,
        profile=device.profile.ref,
        period_s=device.period_s,
        cut_s=bus.cut_s,
        formula=formula,
        constants=constants,
        watch_at=channel.watch_at,
        extra=extra,
    )


def _outbox(table: Table) -> OutboxSettings:
    settings = OutboxSettings(
        max_mb=table.integer("max_mb", 1, 1_000_000, 512),
        keep_days=table.number("keep_days", 0, 3650, 30.0),
    )
    table.done()
    return settings


def _clock(table: Table, broker: BrokerSettings) -> ClockSettings:
    source = table.text("source", "ntp", ("ntp", "gnss", "rtc", "none"))
    timescale = REAL
    if table.has("scaled"):
        scaled = table.table("scaled")
        if not is_loopback(broker.host):
            scaled.fail("scale", "a scaled clock is for the demo: only with a loopback broker")
        timescale = Timescale(
            scale=scaled.number("scale", 1, SCALE_MAX),
            from_ms=scaled.integer("from_ms", 0, _MS_MAX),
            to_ms=scaled.integer("to_ms", 0, _MS_MAX),
        )
        scaled.done()
    table.done()
    return ClockSettings(source, timescale)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _buses(top: Table, devices: Sequence[Path] | None) -> tuple[BusSettings, ...]:
    tables = top.tables("bus")
    if not 1 <= len(tables) <= BUSES_MAX:
        top.fail("bus", f"write one [[bus]] per serial line, 1 to {BUSES_MAX}")
    buses: list[BusSettings] = []
    for table in tables:
        bus = _bus(table, devices)
        if any(bus.name == other.name for other in buses):
            table.fail("name", "another bus has this name: choose a second one")
        if any(bus.port == other.port for other in buses):
            table.fail("port", "another bus has this port: put all its devices under one [[bus]]")
        buses.append(bus)
    return tuple(buses)


def _bus(table: Table, devices: Sequence[Path] | None) -> BusSettings:
    units: dict[int, int] = {}
    found = []
    for index, entry in enumerate(table.tables("device")):
        device = _device(entry, devices)
        if device.unit in units:
            first = f"{table.path}.device[{units[device.unit]}]"
            entry.fail("unit", f"{first} has this address too: give one device another")
        units[device.unit] = index
        found.append(device)
    if not 1 <= len(found) <= DEVICES_MAX:
        table.fail("device", f"write one [[bus.device]] per device, 1 to {DEVICES_MAX}")
    bus = BusSettings(
        name=table.id("name"),
        port=table.text("port"),
        baud=table.integer("baud", 300, 1_000_000, 9600),
        parity=table.text("parity", "N", ("N", "E", "O")),
        stop_bits=table.integer("stop_bits", 1, 2, 1),
        cut_s=table.number("cut_s", 0, 3600, 1.0),
        post_timeout_quiet_ms=table.integer("post_timeout_quiet_ms", 0, 500, 0),
        devices=tuple(found),
    )
    table.done()
    return bus


def _device(table: Table, devices: Sequence[Path] | None) -> DeviceSettings:
    profile = _profile(table, devices)
    station = table.id("station")
    wanted = table.table("channels")
    channels = []
    for name, entry in wanted.named().items():
        item = next((item for item in profile.items if item.name == name), None)
        if item is None:
            known = ", ".join(item.name for item in profile.items)
            raise ConfigError(
                entry.file, entry.path, name, f"profile {profile.name!r} has the items: {known}"
            )
        channels.append(_channel(entry, station, item))
    if not channels:
        table.fail("channels", "write one [bus.device.channels.ITEM] per value wanted")
    settings = DeviceSettings(
        unit=table.integer("unit", 1, UNIT_MAX, profile.unit),
        profile=profile,
        station=station,
        period_s=table.number("period_s", PERIOD_MIN_S, PERIOD_MAX_S),
        channels=tuple(channels),
    )
    table.done()
    return settings


def _profile(table: Table, devices: Sequence[Path] | None) -> Profile:
    name = table.text("profile")
    path = profiles.find(name, devices) if "/" not in name else None
    if path is None:
        table.fail("profile", f"no such profile; there are: {', '.join(profiles.names(devices))}")
    return profiles.load(path)


def _channel(table: Table, station: str, item: Item) -> ChannelSettings:
    datum = table.text("datum", "")
    if item.quantity in DATUMED and not datum:
        table.fail("datum", f"a {item.quantity} needs the name of its vertical datum")
    if datum and item.quantity not in DATUMED:
        table.fail("datum", f"a {item.quantity} has no vertical datum: leave it out")
    if table.has("datum_offset_m") and not datum:
        table.fail("datum_offset_m", "an offset is measured from a datum: write datum = ...")
    settings = ChannelSettings(
        station=station,
        channel=table.id("channel"),
        item=item,
        datum=datum,
        datum_offset_m=table.number("datum_offset_m", -1e5, 1e5, 0.0),
        watch_at=_watch(table, item, datum) if table.has("watch_at") else None,
        operator=_range(table, item) if table.has("range") else ANY,
    )
    table.done()
    return settings


def _watch(table: Table, item: Item, datum: str) -> float:
    watch = table.table("watch_at")
    if item.counter is not None:
        table.fail("watch_at", "a total has no threshold of its own: leave it out")
    value = watch.number("value", -1e9, 1e9)
    unit = watch.text("unit")
    seen = watch.text("datum", "")
    if seen != datum:
        watch.fail("datum", f"write the channel's own datum, {datum!r}")
    watch.done()
    try:
        return convert(item.quantity, value, unit)
    except UnitError as error:
        watch.fail("unit", str(error))


def _range(table: Table, item: Item) -> Span:
    own = table.table("range")
    try:
        span = profiles.span(own, item.quantity, own.text("unit"))
    except UnitError as error:
        own.fail("unit", str(error))
    own.done()
    return span


def _unique_channels(top: Table, config: GatewayConfig) -> None:
    seen: set[str] = set()
    for b, bus in enumerate(config.buses):
        for d, device in enumerate(bus.devices):
            for channel in device.channels:
                if channel.key in seen:
                    raise ConfigError(
                        top.file,
                        f"bus[{b}].device[{d}].channels.{channel.item.name}.channel",
                        channel.key,
                        "this channel has another source already: give it an id of its own",
                    )
                seen.add(channel.key)
