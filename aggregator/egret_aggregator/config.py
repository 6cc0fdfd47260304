"""The centre's settings: read once, checked wholly, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from egret_aggregator import postgresql_url
from egret_aggregator.enrolment.settings import EnrolmentSettings, Kind, read_enrolment
from egret_aggregator.store import settings as store_settings
from egret_aggregator.store.settings import StoreSettings
from egret_aggregator.toml_table import TomlTable, read_toml
from egret_core.errors import ConfigError
from egret_core.timescale import REAL, SCALE_MAX, Timescale
from egret_core.topics import CENTRE

if TYPE_CHECKING:
    from pathlib import Path

_PORT_MAX = 65_535
_PORT, _PORT_TLS = 1883, 8883
_DAYS_MAX = 36_500  # a century
_TIME_MAX_MS = 4_102_444_800_000  # the year 2100
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """The MQTT broker; key `[broker]`.

    Attributes:
        embedded: start nats-server as a child; else connect to host and port.
        host: address it listens on, or is reached at; port: MQTT port.
        username: "" for none; password_file: read at connect.
        ca_file: whose broker certificates to trust (PEM); TLS is spoken where it is given, and
            port is 8883 where it is not.
        cert_file, key_file: our own certificate and key (PEM), for a broker that wants one.
    """

    embedded: bool = True
    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


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
class DatabaseSettings:
    """Where ledger, warnings and tokens are kept; key `[database]`.

    Attributes:
        url: of a PostgreSQL database, without a password; "" for the file egret.db in `data`.
        password_file: read at each connection, so that a new password needs no restart.
    """

    url: str = ""
    password_file: Path | None = None


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
class RetentionSettings:
    """How long series are kept, in days, 0 for ever; key `[retention]`.

    Attributes:
        raw_days: readings as they came; ten_min_days, hour_days: buckets made of them.
    """

    raw_days: int = 0
    ten_min_days: int = 0
    hour_days: int = 0


@dataclass(frozen=True, slots=True)
class CentreConfig:
    """A whole, checked configuration.

    Attributes:
        data: folder of journal, time series, ledger and the embedded broker's store.
        catalogue: folder with stations.toml and rules.toml.
        enrolment: how gateways are enrolled, None where that is not Egret's business.
        timescale: the demo's and tests' scaled clock, loopback only; `[clock.scaled]`.
        file: where it was read from.
    """

    data: Path
    catalogue: Path
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    enrolment: EnrolmentSettings | None = None
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    timescale: Timescale = REAL
    file: str = ""


def load(path: Path) -> CentreConfig:
    """Return the settings in a TOML file, wholly checked; nothing is opened but the file.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    root = TomlTable(str(path), "", read_toml(path))
    centre = root.table("centre")
    data, broker = centre.folder("data"), _broker(root.table("broker"))
    enrolment = _enrolment(root, data, broker)
    config = CentreConfig(
        data=data,
        catalogue=centre.folder("catalogue"),
        broker=broker if enrolment is None else _secured(broker, enrolment),
        enrolment=enrolment,
        journal=_journal(root.table("journal")),
        database=_database(root.table("database")),
        store=store_settings.read(root.table("store")),
        api=_api(root.table("api")),
        retention=_retention(root.table("retention")),
        timescale=_timescale(root.table("clock")),
        file=str(path),
    )
    centre.done()
    root.done()
    if config.timescale != REAL and config.broker.host not in _LOOPBACK:
        raise ConfigError(
            str(path),
            "clock.scaled",
            config.broker.host,
            "a scaled clock is for demonstrations on one machine: set broker.host = '127.0.0.1'",
        )
    return config


def _broker(table: TomlTable) -> BrokerSettings:
    names = ("password_file", "ca_file", "cert_file", "key_file")
    files = {name: table.folder(name) if table.has(name) else None for name in names}
    port = _PORT_TLS if files["ca_file"] else _PORT
    settings = BrokerSettings(
        embedded=table.flag("embedded", default=True),
        host=_host(table),
        port=table.whole("port", port, 1, _PORT_MAX),
        username=table.text("username", ""),
        **files,
    )
    table.done()
    if (settings.cert_file is None) != (settings.key_file is None):
        lacking = "key_file" if settings.key_file is None else "cert_file"
        raise table.error(lacking, None, "a certificate and its key go together: name both")
    if settings.cert_file is not None and settings.ca_file is None:
        raise table.error("ca_file", None, "TLS begins with whom to trust: write ca_file = ...")
    return settings


def _enrolment(root: TomlTable, data: Path, broker: BrokerSettings) -> EnrolmentSettings | None:
    if not root.has("enrolment"):
        return None
    return read_enrolment(root.table("enrolment"), data, embedded=broker.embedded)


def _secured(broker: BrokerSettings, enrolment: EnrolmentSettings) -> BrokerSettings:
    """Return the broker's settings with what `ca init` made for the centre, where none is named."""
    if broker.ca_file is not None:
        return broker
    folder = enrolment.folder
    port = _PORT_TLS if broker.port == _PORT else broker.port
    secured = replace(broker, ca_file=folder / "ca.pem", port=port)
    if enrolment.by is Kind.CERTIFICATE:
        names = (folder / f"{CENTRE}.pem", folder / f"{CENTRE}.key")
        return replace(secured, cert_file=names[0], key_file=names[1])
    return replace(secured, username=CENTRE, password_file=folder / f"{CENTRE}.password")


def _journal(table: TomlTable) -> JournalSettings:
    settings = JournalSettings(
        max_mb=table.whole("max_mb", 8192, 1, 1024 * 1024),
        keep_days=table.number("keep_days", 7.0, 0.01, 3650.0),
    )
    table.done()
    return settings


def _database(table: TomlTable) -> DatabaseSettings:
    url = table.text("url", "")
    remedy = postgresql_url.remedy(url) if url else ""
    if remedy:
        raise table.error("url", postgresql_url.shown(url), remedy)
    password_file = table.folder("password_file") if table.has("password_file") else None
    table.done()
    if password_file is not None and not url:
        raise table.error("password_file", str(password_file), "a file has none: name a url too")
    return DatabaseSettings(url, password_file)


def _api(table: TomlTable) -> ApiSettings:
    settings = ApiSettings(
        host=_host(table),
        port=table.whole("port", 8420, 0, _PORT_MAX),
        page_max=table.whole("page_max", 1000, 1, 10_000),
        span_max_days=table.number("span_max_days", 400.0, 0.01, 4000.0),
        body_max_kb=table.whole("body_max_kb", 256, 1, 10_240),
    )
    table.done()
    return settings


def _retention(table: TomlTable) -> RetentionSettings:
    settings = RetentionSettings(
        raw_days=table.whole("raw_days", 0, 0, _DAYS_MAX),
        ten_min_days=table.whole("ten_min_days", 0, 0, _DAYS_MAX),
        hour_days=table.whole("hour_days", 0, 0, _DAYS_MAX),
    )
    table.done()
    for key, finer, days in (
        ("ten_min_days", settings.raw_days, settings.ten_min_days),
        ("hour_days", settings.ten_min_days, settings.hour_days),
    ):
        if days and not 0 < finer <= days:
            remedy = "keep what is coarser at least as long as what is finer, or 0 for ever"
            raise table.error(key, days, remedy)
    return settings


def _host(table: TomlTable) -> str:
    host = table.text("host", "127.0.0.1")
    if not host or any(letter.isspace() for letter in host):
        # The empty name would listen on every address of the machine.
        raise table.error("host", host, "name a host or an address; '0.0.0.0' for all of them")
    return host


def _timescale(clock: TomlTable) -> Timescale:
    if not clock.has("scaled"):
        clock.done()
        return REAL
    table = clock.table("scaled")
    scale = Timescale(
        scale=table.number("scale", None, 1.0, SCALE_MAX),
        from_ms=table.whole("from_ms", None, 0, _TIME_MAX_MS),
        to_ms=table.whole("to_ms", None, 0, _TIME_MAX_MS),
    )
    table.done()
    clock.done()
    return scale
