"""SDI-12 in settings and profiles: what is right is taken, the rest told before a port opens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.sdi12_line import PROBE

from egret_core.errors import ConfigError
from egret_gateway import profiles
from egret_gateway.bus.plans import plan_of
from egret_gateway.bus.sdi12 import Sdi12Plan
from egret_gateway.bus.sdi12_exchange import NATIVE
from egret_gateway.cli.check import load as wire_share
from egret_gateway.cli.check import warnings
from egret_gateway.config import load
from egret_gateway.profiles import REPOSITORY, Counter, Measured, Sdi12
from egret_gateway.protocols import sdi12
from egret_gateway.protocols.sdi12 import Kind, Measurement

if TYPE_CHECKING:
    from egret_gateway.config import GatewayConfig

PAGE = Path(__file__).parents[2] / "docs" / "technician" / "sdi12.md"
HEAD = '[gateway]\nid = "gw1"\ndata = "data"\n'
BUS = """\
[[bus]]
name = "sdi0"
protocol = "sdi-12"
adapter = "transparent"
port = "/dev/serial/by-id/none"
[[bus.device]]
profile = "ott-pls"
address = "0"
station = "st1"
period_s = 60
[bus.device.channels.level]
channel = "wl"
datum = "Luoling"
[bus.device.channels.temperature]
channel = "t"
"""
PROFILE = f"""{PROBE}[line]
address = "A"
[sdi12]
crc = true
[item.level]
command = "C3"
value = 2
quantity = "water_depth"
unit = "cm"
"""


def settings(folder: Path, old: str = "", new: str = "") -> GatewayConfig:
    assert old in BUS
    path = folder / "gateway.toml"
    path.write_text(HEAD + (BUS.replace(old, new, 1) if old else BUS))
    return load(path, (folder, REPOSITORY))


def profile(folder: Path, old: str = "", new: str = "") -> profiles.Profile:
    assert old in PROFILE
    path = folder / "probe.toml"
    path.write_text(PROFILE.replace(old, new, 1) if old else PROFILE)
    return profiles.load(path)


def test_a_line_behind_a_transparent_adapter(tmp_path: Path) -> None:
    config = settings(tmp_path)
    (bus,) = config.buses
    assert (bus.baud, bus.parity, bus.data_bits, bus.adapter) == (9600, "N", 8, "transparent")
    assert [(device.address, device.name) for device in bus.devices] == [("0", "0")]
    plan = plan_of(bus)
    assert isinstance(plan, Sdi12Plan)
    (work,) = plan.works
    assert work.asked == Measurement(Kind.CONCURRENT, 0, crc=True)
    assert [at.place for at in work.places] == [1, 2]
    assert (work.timing.breaks, work.timing.start_s) == (0, 1.5)
    assert 0 < wire_share(config, bus) < 0.02
    assert warnings(config) == [], "a maker's baud is none on this line"


def test_a_line_on_a_native_adapter_is_what_the_standard_says(tmp_path: Path) -> None:
    (bus,) = settings(tmp_path, '"transparent"', '"native"').buses
    assert (bus.baud, bus.parity, bus.stop_bits, bus.data_bits) == (1200, "E", 1, 7)
    plan = plan_of(bus)
    assert isinstance(plan, Sdi12Plan)
    assert plan.works[0].timing == NATIVE


def test_an_address_left_out_is_the_profiles(tmp_path: Path) -> None:
    (bus,) = settings(tmp_path, 'address = "0"\n', "").buses
    assert bus.devices[0].address == "0"


def test_a_serial_server_may_have_the_adapter(tmp_path: Path) -> None:
    (bus,) = settings(tmp_path, "/dev/serial/by-id/none", "tcp://192.0.2.1:4001").buses
    assert bus.endpoint == ("192.0.2.1", 4001)


@pytest.mark.parametrize(
    ("old", "new", "key", "remedy"),
    [
        ('adapter = "transparent"\n', "", "bus[0].adapter", "native, transparent"),
        ('"transparent"', '"transparant"', "bus[0].adapter", "'transparent'"),
        ('"sdi-12"', '"sdi12"', "bus[0].protocol", "'sdi-12'"),
        ('"transparent"', '"native"\nbaud = 1200', "bus[0].baud", "7E1"),
        ("adapter =", "adaptor =", "bus[0].adapter", "'adaptor'"),
        ('"transparent"', '"transparent"\nlocal_echo = true', "bus[0].local_echo", "unknown"),
        ('"0"', '"?"', "bus[0].device[0].address", "0"),
        ('"0"', '"10"', "bus[0].device[0].address", "0"),
        ("address =", "unit =", "bus[0].device[0].unit", "unknown key"),
        ('"ott-pls"', '"vega-vegapuls-c"', "bus[0].device[0].profile", "modbus"),
        ('protocol = "sdi-12"\n', "", "bus[0].device[0].profile", "sdi-12"),
        (
            '"transparent"\nport = "/dev/serial/by-id/none"',
            '"native"\nport = "tcp://192.0.2.1:4001"',
            "bus[0].port",
            "tty",
        ),
    ],
)
def test_bad_settings(tmp_path: Path, old: str, new: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, old, new)
    assert caught.value.key == key
    assert remedy in caught.value.remedy


def test_two_sensors_with_one_address_are_refused(tmp_path: Path) -> None:
    second = BUS[BUS.index("[[bus.device]]") :].replace('"wl"', '"wl2"').replace('"t"', '"t2"')
    path = tmp_path / "gateway.toml"
    path.write_text(HEAD + BUS + second)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.key == "bus[0].device[1].address"
    path.write_text(HEAD + BUS + second.replace('address = "0"', 'address = "z"'))
    assert [device.name for device in load(path).buses[0].devices] == ["0", "z"]


def test_a_good_profile(tmp_path: Path) -> None:
    found = profile(tmp_path)
    assert (found.way, found.address) == (Sdi12(crc=True), "A")
    assert found.items[0].at == Measured(Measurement(Kind.CONCURRENT, 3, crc=True), 2)
    with pytest.raises(TypeError, match="no Modbus"):
        assert found.modbus


def test_a_total_counts_in_its_last_decimal(tmp_path: Path) -> None:
    found = profile(
        tmp_path,
        'quantity = "water_depth"\nunit = "cm"\n',
        'quantity = "rain_total"\nunit = "mm"\nscale = 0.01\ndecimals = 2\n'
        "[item.level.counter]\nmax_step = 1000\n",
    )
    assert found.items[0].counter == Counter(32, 1000)
    at = found.items[0].at
    assert isinstance(at, Measured)
    assert at.decimals == 2


@pytest.mark.parametrize(
    ("old", "new", "key", "remedy"),
    [
        ('"C3"', '"C10"', "item.level.command", "C1 to C9"),
        ('"C3"', '"CC"', "item.level.command", "crc = true"),
        ('"C3"', '"D0"', "item.level.command", "R0 to R9"),
        ("value = 2", "value = 0", "item.level.value", "from 1 to 99"),
        ('"C3"\nvalue = 2', '"M"\nvalue = 10', "item.level.value", "from 1 to 9"),
        ("value = 2\n", "", "item.level.value", "missing"),
        ("command =", "comand =", "item.level.command", "'comand'"),
        ("value = 2", "value = 2\nfc = 3", "item.level.fc", "unknown"),
        ("value = 2", "value = 2\ndecimals = 7", "item.level.decimals", "from 0 to 6"),
        ("crc = true", "crc = 1", "sdi12.crc", "true or false"),
        ("crc = true", "ready_max_s = 1000", "sdi12.ready_max_s", "999"),
        ("crc = true", "timeout_ms = 20000", "sdi12.timeout_ms", "10000"),
        ("crc = true", "retries = 3", "sdi12.retries", "known here"),
        ("[sdi12]", "[modbus]\nmax_block = 3\n[sdi12]", "sdi12", "[modbus]"),
        ('address = "A"', 'address = "*"', "line.address", "0"),
    ],
)
def test_bad_profiles(tmp_path: Path, old: str, new: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        profile(tmp_path, old, new)
    assert caught.value.key == key
    assert remedy in caught.value.remedy


def test_a_line_does_not_wait_longer_than_it_may_for_m(tmp_path: Path) -> None:
    path = tmp_path / "probe.toml"
    slow = PROFILE.replace("crc = true", "ready_max_s = 120")
    path.write_text(slow)
    assert profiles.load(path).way == Sdi12(ready_max_s=120)
    path.write_text(slow.replace('"C3"', '"M3"'))
    with pytest.raises(ConfigError) as caught:
        profiles.load(path)
    assert caught.value.key == "item.level.command"


def test_the_technicians_page_is_true(tmp_path: Path) -> None:
    text = PAGE.read_text()
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    shown = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    assert example
    assert shown
    path = tmp_path / "gateway.toml"
    path.write_text(HEAD + example[1])
    (bus,) = load(path).buses
    assert [device.address for device in bus.devices] == ["0", "3"]
    heard = [line.removesuffix(r"\r\n").encode() for line in re.findall(r"in  (.*)", shown[1])]
    assert sdi12.identity(heard[0], "0").maker in shown[1]
    assert sdi12.promise(heard[1], "0", Kind.CONCURRENT) == (2, 2)
    assert sdi12.values(heard[2], "0", Kind.CONCURRENT, crc=True) == (1.234, 11.5)
