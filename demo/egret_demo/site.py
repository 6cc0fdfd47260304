"""The demo's site: every file that its processes read, written into one folder.

| file | read by |
|---|---|
| `valley.toml` | the make-believe slaves |
| `gateway.toml` | `egret-gateway run` |
| `aggregator.toml`, `catalogue/stations.toml`, `catalogue/rules.toml` | `egret-aggregator` |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from egret_core.timescale import Timescale

GATEWAY = "demo-gateway"
DATUM = "valley-zero"
BRIDGE = ("bridge", "wl")
WEIR = ("weir", "wl")
CULVERT = ("culvert", "wl")  # its sensor is dead: absence must be told, too
RIDGE = ("ridge", "rain")
RED_M = 4.5
PERIOD_S = 60  # on the demo's clock: one poll of each unit in a second of wall time
CUT_S = 15  # likewise: a batch waits a quarter of a second


@dataclass(frozen=True, slots=True)
class Site:
    """Where the demo's files are.

    Attributes:
        folder: holds all; bus: folder of the paced bus's ends.
        port: of the API; broker_port: of the embedded broker; both on loopback.
        seed: of the valley; timescale: one clock for every process.
    """

    folder: Path
    port: int
    broker_port: int
    seed: int
    timescale: Timescale

    @property
    def bus(self) -> Path:
        """Folder with the line's ends, `master` and `s1`."""
        return self.folder / "bus"

    @property
    def gateway_data(self) -> Path:
        """The gateway's own folder, with its outbox."""
        return self.folder / "gateway"

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.port}"

    def file(self, name: str) -> Path:
        """Return the path of one of the files in the module's table."""
        return self.folder / name


def write(site: Site) -> None:
    """Write every file of the site."""
    for folder in (site.bus, site.gateway_data, site.folder / "catalogue"):
        folder.mkdir(parents=True, exist_ok=True)
    scaled = _scaled(site.timescale)
    for name, text in {
        "valley.toml": _valley(site) + scaled,
        "gateway.toml": _gateway(site) + scaled + _bus(site),
        "aggregator.toml": _aggregator(site) + scaled,
        "catalogue/stations.toml": STATIONS,
        "catalogue/rules.toml": RULES,
    }.items():
        site.file(name).write_text(text, encoding="utf-8")


def _scaled(timescale: Timescale) -> str:
    return f"""
[clock.scaled]
scale = {timescale.scale}
from_ms = {timescale.from_ms}
to_ms = {timescale.to_ms}
"""


def _valley(site: Site) -> str:
    return f"""seed = {site.seed}
port = "{site.bus / "s1"}"

[[unit]]
unit = 246
instrument = "bridge"

[[unit]]
unit = 245
instrument = "weir"
faults = {{ late_share = 0.08, late_s = 0.7 }}

[[unit]]
unit = 192
instrument = "rain"
faults = {{ crc_share = 0.08 }}

[[unit]]
unit = 11
instrument = "weir"
faults = {{ dead = true }}
"""


def _gateway(site: Site) -> str:
    return f"""[gateway]
id = "{GATEWAY}"
data = "{site.gateway_data}"
status_s = 5

[broker]
host = "127.0.0.1"
port = {site.broker_port}

[clock]
source = "rtc"
"""


def _level(unit: int, station: str) -> str:
    return f"""
[[bus.device]]
profile = "vega-vegapuls-c"
unit = {unit}
station = "{station}"
period_s = {PERIOD_S}

[bus.device.channels.level]
channel = "wl"
datum = "{DATUM}"
datum_offset_m = 0.0
"""


def _bus(site: Site) -> str:
    head = f"""
[[bus]]
name = "valley"
port = "{site.bus / "master"}"
baud = 9600
parity = "N"
stop_bits = 1
cut_s = {CUT_S}.0
"""
    watch = f'watch_at = {{ value = {RED_M}, unit = "m", datum = "{DATUM}" }}\n'
    rain = f"""
[[bus.device]]
profile = "dfrobot-sen0575"
unit = 192
station = "ridge"
period_s = {PERIOD_S}

[bus.device.channels.rain]
channel = "rain"
"""
    return head + _level(246, "bridge") + watch + _level(245, "weir") + rain + _level(11, "culvert")


def _aggregator(site: Site) -> str:
    return f"""[centre]
data = "{site.folder / "centre"}"
catalogue = "{site.folder / "catalogue"}"

[broker]
embedded = true
host = "127.0.0.1"
port = {site.broker_port}

[api]
host = "127.0.0.1"
port = {site.port}
"""


def _station(station: str, name: str, latitude: float, longitude: float, channel: str) -> str:
    return f"""
[[station]]
id = "{station}"
name = "{name}"
latitude = {latitude}
longitude = {longitude}

[[station.channel]]
{channel}
gateway = "{GATEWAY}"
"""


_WATER = f'id = "wl"\nquantity = "water_level"\ndatum = "{DATUM}"'

STATIONS = (
    "# The make-believe valley.\n"
    + _station("ridge", "Ridge rain gauge", 24.71, 118.02, 'id = "rain"\nquantity = "rain_total"')
    + _station("weir", "Upper weir", 24.68, 118.05, _WATER)
    + _station("bridge", "Town bridge", 24.62, 118.09, _WATER)
    + _station("culvert", "Mill culvert", 24.63, 118.08, _WATER)
)

RULES = f"""# What the valley is warned of.
[[rule]]
id = "bridge-level"
pack = "generic-level"
channels = ["bridge/wl"]
[rule.parameters]
unit = "m"
datum = "{DATUM}"
levels = [
  {{ level = "blue", raise = 2.0, clear = 1.9 }},
  {{ level = "yellow", raise = 3.0, clear = 2.9 }},
  {{ level = "orange", raise = 3.8, clear = 3.7 }},
  {{ level = "red", raise = {RED_M}, clear = {RED_M - 0.1} }},
]
persistence_s = 0
hold_s = 0
flap_s = 0

[[rule]]
id = "ridge-rain"
pack = "cn-rain-signals"
channels = ["ridge/rain"]

[[rule]]
id = "silence"
pack = "absence"
channels = ["bridge/*", "weir/*", "ridge/*", "culvert/*"]
[rule.parameters]
limit_s = 900
"""
