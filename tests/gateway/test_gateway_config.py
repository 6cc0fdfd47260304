from __future__ import annotations

from pathlib import Path

import pytest
from rig.site import site, stage

from egret_core.errors import ConfigError
from egret_core.screening.range import Span
from egret_gateway.config import load

EXAMPLE = Path(__file__).parents[2] / "firmware-config" / "sites" / "example.toml"


def test_the_example_site_is_whole() -> None:
    config = load(EXAMPLE)
    assert (config.gateway, config.status_s, config.broker.port) == ("XM-TA-0042", 120.0, 1883)
    level, rain = config.channels()
    assert (level.station, level.channel, level.unit, level.datum) == (
        "st0007",
        "wl",
        "m",
        "Luoling",
    )
    assert (level.watch_at, level.period_s, level.cut_s) == (15.2, 60.0, 1.0)
    assert level.formula == "linear"
    assert level.constants["datum_offset_m"] == 12.345
    assert level.profile == "vega-vegapuls-c@1"
    assert level.extra["range"] == [12.0, 20.0]
    assert (rain.quantity, rain.unit, rain.formula) == ("rain_total", "mm", "counter")


def test_defaults_are_the_promised_ones(tmp_path: Path) -> None:
    config = load(site(tmp_path))
    assert (config.outbox.max_mb, config.outbox.keep_days) == (512, 30.0)
    assert (config.clock.source, config.clock.timescale.scale) == ("ntp", 1.0)
    assert (config.broker.host, config.status_s) == ("127.0.0.1", 120.0)
    bus = config.buses[0]
    assert (bus.parity, bus.stop_bits, bus.cut_s, bus.post_timeout_quiet_ms) == ("N", 1, 1.0, None)
    fixed = load(site(tmp_path, bus="post_timeout_quiet_ms = 0")).buses[0]
    assert fixed.post_timeout_quiet_ms == 0, "and not learnt"


def test_thresholds_come_in_any_unit_that_fits(tmp_path: Path) -> None:
    more = 'watch_at = { value = 3.0, unit = "ft", datum = "Luoling" }\n'
    more += 'range = { min = 1.0, max = 400.0, unit = "cm" }\n'
    channel = load(site(tmp_path, devices=stage(more=more))).buses[0].devices[0].channels[0]
    assert channel.watch_at == 0.9144
    assert channel.operator == Span(0.01, 4.0)


WATCH = 'watch_at = {{ value = 3.0, unit = "{}", datum = "{}" }}\n'

BAD = {
    "misspelt key": (("baud =", "buad ="), "bus[0].buad", "did you mean 'baud'"),
    "unknown table": (("[gateway]", "[gatewey]\n[gateway]"), "gatewey", "did you mean 'gateway'"),
    "text for number": (("baud = 9600", 'baud = "9600"'), "bus[0].baud", "without quotes"),
    "bool for number": (("unit = 7", "unit = true"), "bus[0].device[0].unit", "whole number"),
    "number for text": (('"XM-TA-0042"', "42"), "gateway.id", "an id is"),
    "missing id": (('id = "XM-TA-0042"', ""), "gateway.id", "missing"),
    "reserved id": (("XM-TA-0042", "centre"), "gateway.id", "taken"),
    "id with slash": (("st0007", "st/7"), "bus[0].device[0].station", "an id is"),
    "id with plus": (('"wl"', '"w+l"'), "bus[0].device[0].channels.stage.channel", "an id is"),
    "id too long": (('"wl"', f'"{"w" * 49}"'), "bus[0].device[0].channels.stage.channel", "48"),
    "unit 0": (("unit = 7", "unit = 0"), "bus[0].device[0].unit", "from 1 to 255"),
    "unknown profile": (("generic-", "genric-"), "bus[0].device[0].profile", "vega-vegapuls-c"),
    "misspelt profile": (
        ("generic-", "genric-"), "bus[0].device[0].profile", "did you mean 'generic-stage-u16'"
    ),
    "misspelt item": (
        ("channels.stage", "channels.stge"),
        "bus[0].device[0].channels.stge",
        "did you mean 'stage'",
    ),
    "key in capitals": (("baud =", "BAUD ="), "bus[0].BAUD", "did you mean 'baud'"),
    "profile path": (("generic-stage-u16", "../x"), "bus[0].device[0].profile", "no such profile"),
    "unknown item": (
        ("channels.stage", "channels.depth"), "bus[0].device[0].channels.depth", "stage"
    ),
    "no datum": (('datum = "Luoling"', ""), "bus[0].device[0].channels.stage.datum", "datum"),
    "period 0": (("period_s = 60.0", "period_s = 0"), "bus[0].device[0].period_s", "from 0.05"),
    "period nan": (("period_s = 60.0", "period_s = nan"), "bus[0].device[0].period_s", "number"),
    "parity": (("baud = 9600", 'parity = "X"'), "bus[0].parity", "one of N, E, O"),
    "no bus": (("[[bus]]", "[[bux]]"), "bus", "[[bus]]"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_name_key_value_and_remedy(tmp_path: Path, name: str) -> None:
    swap, key, remedy = BAD[name]
    path = site(tmp_path, swap=swap) if name != "no bus" else tmp_path / "empty.toml"
    if name == "no bus":
        path.write_text('[gateway]\nid = "a"\ndata = "b"\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.key == key
    assert remedy in caught.value.remedy
    assert str(path) in str(caught.value)


CHANNEL = "bus[0].device[0].channels.stage"


@pytest.mark.parametrize(
    ("more", "key", "remedy"),
    [
        (WATCH.format("m", "Other"), "watch_at.datum", "Luoling"),
        ('watch_at = { value = 3.0, unit = "m" }\n', "watch_at.datum", "Luoling"),
        (WATCH.format("kPa", "Luoling"), "watch_at.unit", "cannot measure"),
        (WATCH.format("furlong", "Luoling"), "watch_at.unit", "unknown unit"),
        ('range = { min = 5.0, max = 1.0, unit = "m" }\n', "range.min", "below max"),
        ('range = { min = 5.0, max = 9.0, unit = "mm/h" }\n', "range.unit", "cannot measure"),
        ("datum_offset_m = inf\n", "datum_offset_m", "number"),
    ],
)
def test_bad_channels(tmp_path: Path, more: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(site(tmp_path, devices=stage(more=more)))
    assert caught.value.key == f"{CHANNEL}.{key}"
    assert remedy in caught.value.remedy


def test_a_duplicate_address_names_both_devices(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bus\[0\]\.device\[1\]\.unit = 7.*device\[0\]"):
        load(site(tmp_path, devices=stage(7, "a") + stage(7, "b")))


def test_a_channel_has_one_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another source"):
        load(site(tmp_path, devices=stage(7, "wl") + stage(8, "wl")))


def test_a_port_has_one_bus(tmp_path: Path) -> None:
    second = '\n[[bus]]\nname = "bus1"\nport = "/dev/serial/by-id/none"\n' + stage(8, "b")
    with pytest.raises(ConfigError, match="another bus has this port"):
        load(site(tmp_path, devices=stage() + second))


RAIN = """
[[bus.device]]
profile = "dfrobot-sen0575"
station = "st0007"
period_s = 60
[bus.device.channels.rain]
channel = "rain"
"""


def test_the_factory_address_is_the_default(tmp_path: Path) -> None:
    assert load(site(tmp_path, devices=RAIN)).buses[0].devices[0].unit == 0xC0


@pytest.mark.parametrize(
    ("more", "key"),
    [('datum = "Luoling"\n', "datum"), ('watch_at = { value = 1, unit = "mm" }\n', "watch_at")],
)
def test_a_rain_total_has_neither_datum_nor_watch(tmp_path: Path, more: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(site(tmp_path, devices=RAIN + more))
    assert caught.value.key == f"bus[0].device[0].channels.rain.{key}"


def test_a_scaled_clock_wants_a_loopback_broker(tmp_path: Path) -> None:
    scaled = "[clock.scaled]\nscale = 60\nfrom_ms = 1\nto_ms = 2\n"
    path = site(tmp_path, devices=stage() + scaled)
    assert load(path).clock.timescale.scale == 60
    path.write_text(path.read_text() + '[broker]\nhost = "broker.example"\n')
    with pytest.raises(ConfigError, match="loopback"):
        load(path)
    path.write_text(path.read_text().replace("scale = 60", "scale = 121"))
    with pytest.raises(ConfigError):
        load(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can be read"):
        load(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[gateway\n")
    with pytest.raises(ConfigError, match="line 1"):
        load(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="mend"):
        load(broken)
    broken.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="at most"):
        load(broken)
