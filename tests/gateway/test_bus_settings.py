"""Lines and connections: where a port leads, and what fits which protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.site import site, stage

from egret_core.errors import ConfigError
from egret_gateway.bus_settings import BUSES_MAX, Endpoint, endpoint_of
from egret_gateway.cli.check import warnings
from egret_gateway.config import load

if TYPE_CHECKING:
    from pathlib import Path

TCP = 'protocol = "modbus-tcp"'
NO_BAUD = ("baud = 9600\n", "")


@pytest.mark.parametrize(
    ("port", "host", "number"),
    [
        ("tcp://192.168.1.20:502", "192.168.1.20", 502),
        ("tcp://Server-1.example:4001", "server-1.example", 4001),
        ("tcp://[::1]:502", "::1", 502),
        ("tcp://plc_1.local.:502", "plc_1.local.", 502),
        (f"tcp://{'a' * 63}.local:502", f"{'a' * 63}.local", 502),
        ("tcp://[FE80::1%Wan0]:502", "fe80::1%Wan0", 502),
    ],
)
def test_a_tcp_port_leads_to_an_endpoint(port: str, host: str, number: int) -> None:
    assert endpoint_of(port) == Endpoint(host, number)


@pytest.mark.parametrize(
    "port",
    [
        "/dev/ttyUSB0",
        "tcp://host",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://:502",
        "tcp://ho st:502",
        "tcp://host:502/path",
        "tcp://user@host:502",
        "tcp://plc1..local:502",
        "tcp://.local:502",
        f"tcp://{'a' * 64}.local:502",
        "udp://host:502",
    ],
)
def test_what_is_no_tcp_port(port: str) -> None:
    assert endpoint_of(port) is None


def test_rtu_over_tcp_has_the_serial_server_s_line(tmp_path: Path) -> None:
    path = site(tmp_path, port="tcp://10.0.0.5:4001", bus='parity = "E"\nlocal_echo = true')
    bus = load(path).buses[0]
    assert bus.endpoint == Endpoint("10.0.0.5", 4001)
    assert (bus.protocol, bus.baud, bus.parity, bus.local_echo) == ("modbus-rtu", 9600, "E", True)


def test_modbus_tcp_takes_units_0_to_255(tmp_path: Path) -> None:
    devices = stage(0, "a") + stage(255, "b")
    path = site(tmp_path, port="tcp://10.0.0.5:502", bus=TCP, devices=devices, swap=NO_BAUD)
    bus = load(path).buses[0]
    assert bus.protocol == "modbus-tcp"
    assert [device.unit for device in bus.devices] == [0, 255]


@pytest.mark.parametrize(
    ("port", "bus", "swap", "named"),
    [
        ("tcp://10.0.0.5", "", ("", ""), ("bus[0].port", "tcp://HOST:PORT")),
        ("udp://10.0.0.5:1", "", ("", ""), ("bus[0].port", "tcp://HOST:PORT")),
        ("/dev/ttyS0", TCP, NO_BAUD, ("bus[0].port", "modbus-tcp wants")),
        ("tcp://10.0.0.5:502", TCP, ("", ""), ("bus[0].baud", "no line of its own")),
        ("tcp://10.0.0.5:502", f'{TCP}\nparity = "E"', NO_BAUD, ("bus[0].parity", "leave it out")),
        (
            "tcp://10.0.0.5:502",
            f"{TCP}\npost_timeout_quiet_ms = 5",
            NO_BAUD,
            ("bus[0].post_timeout_quiet_ms", "leave it out"),
        ),
        (
            "tcp://10.0.0.5:502",
            f"{TCP}\nlocal_echo = true",
            NO_BAUD,
            ("bus[0].local_echo", "leave it out"),
        ),
        ("/dev/ttyS0", 'protocol = "modbus-rtx"', ("", ""), ("bus[0].protocol", "'modbus-rtu'")),
        ("/dev/ttyS0", 'protocl = "modbus-rtu"', ("", ""), ("bus[0].protocl", "'protocol'")),
        ("/dev/ttyS0", "local_ecco = true", ("", ""), ("bus[0].local_ecco", "'local_echo'")),
        ("/dev/ttyS0", "local_echo = 1", ("", ""), ("bus[0].local_echo", "true or false")),
    ],
)
def test_what_does_not_fit_is_named_with_its_remedy(
    tmp_path: Path, port: str, bus: str, swap: tuple[str, str], named: tuple[str, str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(site(tmp_path, port=port, bus=bus, swap=swap))
    assert caught.value.key == named[0]
    assert named[1] in caught.value.remedy


def test_unit_0_is_for_tcp_only_and_256_for_nobody(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="from 1 to 255"):
        load(site(tmp_path, port="tcp://10.0.0.5:4001", devices=stage(0)))
    with pytest.raises(ConfigError, match="from 0 to 255"):
        load(site(tmp_path, port="tcp://10.0.0.5:502", bus=TCP, devices=stage(256), swap=NO_BAUD))


@pytest.mark.parametrize("second", ["tcp://LOGGER.example:502", "tcp://logger.example:0502"])
def test_an_endpoint_has_one_bus_however_it_is_written(tmp_path: Path, second: str) -> None:
    more = f'\n[[bus]]\nname = "bus1"\nport = "{second}"\n{TCP}\n' + stage(8, "b")
    path = site(
        tmp_path, port="tcp://logger.example:502", bus=TCP, devices=stage() + more, swap=NO_BAUD
    )
    with pytest.raises(ConfigError, match=r"bus\[1\]\.port.*another bus has this port"):
        load(path)


def test_a_thousand_connections_are_read_soon_and_two_thousand_refused(tmp_path: Path) -> None:
    def buses(count: int) -> str:
        return "".join(
            f'\n[[bus]]\nname = "tcp{n}"\nport = "tcp://10.0.{n // 250}.{n % 250}:502"\n{TCP}\n'
            + stage(1, f"c{n}")
            for n in range(count)
        )

    path = site(tmp_path, devices=stage() + buses(BUSES_MAX - 1))
    assert len(load(path).buses) == BUSES_MAX
    with pytest.raises(ConfigError, match="1 to 1024"):
        load(site(tmp_path, devices=stage() + buses(BUSES_MAX)))


def test_reserved_addresses_deserve_a_look(tmp_path: Path) -> None:
    config = load(site(tmp_path, devices=stage(247, "a") + stage(250, "b")))
    (found,) = [text for text in warnings(config) if "250" in text]
    assert "247" in found


def test_a_maker_s_baud_says_nothing_of_a_connection(tmp_path: Path) -> None:
    tcp = load(site(tmp_path, port="tcp://10.0.0.5:502", bus=TCP, swap=NO_BAUD))
    assert warnings(tcp) == []
    rtu = load(site(tmp_path, port="tcp://10.0.0.5:502", baud=19200))
    assert any("9600" in text for text in warnings(rtu))
