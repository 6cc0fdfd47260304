"""The centre's settings: read once, checked wholly, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egret_core.timescale import REAL, Timescale

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """The MQTT broker; key `[broker]`.

    Attributes:
        embedded: start nats-server as a child; else connect to host and port.
        host: address it listens on, or is reached at; port: MQTT port.
        username: "" for none; password_file: read at connect.
    """

    embedded: bool = True
    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """How much the journal holds; key `[journal]`.

    Attributes:
        max_mb: says so from 50 %, takes only fresh batches from 80 %, none when full.
        keep_days: the tail kept behind the slowest consumer.
    """

    max_mb: int = 8192
    keep_days: float = 7.0


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the API listens and what one request may ask; key `[api]`.

    Attributes:
        host, port: listening address; port 0 takes a free one.
        page_max: items a page; span_max_days: longest span of readings in one request.
        body_max_kb: largest request body.
    """

    host: str = "127.0.0.1"
    port: int = 8420
    page_max: int = 1000
    span_max_days: float = 400.0
    body_max_kb: int = 256


@dataclass(frozen=True, slots=True)
class CentreConfig:
    """A whole, checked configuration.

    Attributes:
        data: folder of journal, time series, ledger and the embedded broker's store.
        catalogue: folder with stations.toml and rules.toml.
        timescale: the demo's and tests' scaled clock, loopback only; `[clock.scaled]`.
        file: where it was read from.
    """

    data: Path
    catalogue: Path
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    timescale: Timescale = REAL
    file: str = ""
