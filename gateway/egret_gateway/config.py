"""One gateway's settings: read once, checked wholly, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egret_core.timescale import REAL, Timescale

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.profiles import DeviceSettings


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the uplink connects; key `[broker]`.

    Attributes:
        host: name or address; port: TCP port.
        username: "" for none; password_file: read at connect, never kept in the config.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password_file: Path | None = None


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
        source: `ntp`, `gnss`, `rtc` (trust the system clock) or `none` (take the centre's time).
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
