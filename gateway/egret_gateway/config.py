"""One gateway's settings: read once, checked wholly, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.messages import ChannelMeta
from egret_core.screening.range import ANY
from egret_core.timescale import REAL, SCALE_MAX, Timescale
from egret_core.topics import CENTRE
from egret_core.units import canonical
from egret_gateway import roster
from egret_gateway.battery import read_battery
from egret_gateway.broker import BrokerSettings, read_broker
from egret_gateway.bus_settings import BusSettings, read_buses
from egret_gateway.calibration import sheet_fact
from egret_gateway.convert import formula_of
from egret_gateway.derived import derived_meta, read_derived
from egret_gateway.limits import span_fact
from egret_gateway.pacing import read_pace
from egret_gateway.table import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.bus.pace import Trigger
    from egret_gateway.bus.shed import BatterySettings
    from egret_gateway.convert.derived import DerivedSettings
    from egret_gateway.profiles import ChannelSettings, DeviceSettings

__all__ = [
    "BusSettings",
    "ClockSettings",
    "GatewayConfig",
    "OutboxSettings",
    "channel_meta",
    "is_loopback",
    "load",
]

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
        source: `rtc` (trust the system clock), `ntp` or `gnss` (once the kernel or an RTC vouches
            for it) or `none` (take the centre's time).
        timescale: the demo's and tests' scaled clock, loopback brokers only; `[clock.scaled]`.
    """

    source: str = "ntp"
    timescale: Timescale = REAL


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """A whole, checked configuration.

    Attributes:
        gateway: id on the wire; data: folder of the outbox and other state.
        buses: lines and connections; file: where it was read from.
        derived: channels worked out from theirs; pace: what makes stations go faster.
        battery: what is shed as it runs down, None for nothing ever.
    """

    gateway: str
    data: Path
    buses: tuple[BusSettings, ...]
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    clock: ClockSettings = field(default_factory=ClockSettings)
    status_s: float = 120.0
    file: str = ""
    derived: tuple[DerivedSettings, ...] = ()
    pace: tuple[Trigger, ...] = ()
    battery: BatterySettings | None = None

    def channels(self) -> tuple[ChannelMeta, ...]:
        """Return the facts of every configured channel, as they travel."""
        cut_s = max(bus.cut_s for bus in self.buses)  # a derived one travels with any of them
        measured = (
            channel_meta(bus, device, channel)
            for bus in self.buses
            for device in bus.devices
            for channel in device.channels
        )
        return (*measured, *(derived_meta(one, cut_s) for one in self.derived))


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
        buses=read_buses(top, devices),
        broker=broker,
        outbox=_outbox(top.table("outbox")),
        clock=_clock(top.table("clock"), broker),
        file=str(path),
    )
    _unique_channels(top, config)
    sources = roster.sources(top.file, config.buses)
    config = replace(config, derived=read_derived(top, sources))
    config = replace(
        config,
        pace=read_pace(
            top, roster.watchable(config.buses, config.derived), roster.paced(config.buses)
        ),
        battery=read_battery(top, roster.measured(config.buses, config.derived)),
    )
    own.done()
    top.done()
    return config


def channel_meta(bus: BusSettings, device: DeviceSettings, channel: ChannelSettings) -> ChannelMeta:
    """Return one channel's facts: what it measures, and how the number is made."""
    item = channel.item
    formula, constants = formula_of(channel)
    extra: dict[str, Any] = {"item": item.name, "tier": device.profile.tier}
    for name, span in (("sensor_range", item.sensor), ("range", channel.operator)):
        if span != ANY:
            extra[name] = span_fact(span)
    if device.base is not None:
        extra["base"] = list(device.base)  # another base is another calibration
    if channel.calibration is not None:
        extra["calibration"] = sheet_fact(channel.calibration)
    return ChannelMeta(
        station=channel.station,
        channel=channel.channel,
        quantity=channel.quantity,
        unit=canonical(channel.quantity),
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
