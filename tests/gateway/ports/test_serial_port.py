from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import time
from typing import TYPE_CHECKING

import pytest
import serial
from rig.pty import FarEnd

from egret_gateway.config import BusSettings
from egret_gateway.errors import PortError, PortFault
from egret_gateway.ports.serial_port import SerialPort, line_times, open_serial

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 10


def settings(path: Path | str, **line: object) -> BusSettings:
    return BusSettings("bus0", str(path), **line)  # type: ignore[arg-type]


def echo(data: bytes) -> bytes:
    return data[::-1]


async def received(port: SerialPort, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(LIMIT_S):
        while len(data) < count:
            await port.wait(time.monotonic() + LIMIT_S)
            data += port.take()
    return data


async def test_bytes_go_out_and_come_in_with_their_time() -> None:
    with FarEnd(echo) as far:
        port = open_serial(settings(far.path))
        assert port.take() == b""
        before = time.monotonic()
        port.write(b"\x00\x11\x13\xff\n\r")
        assert await received(port, 6) == b"\r\n\xff\x13\x11\x00"
        assert before <= port.last_byte_s <= time.monotonic()
        port.close()


async def test_waiting_ends_at_its_time_and_not_before() -> None:
    with FarEnd(echo) as far:
        port = open_serial(settings(far.path))
        until_s = time.monotonic() + 0.02
        await port.wait(until_s)
        assert time.monotonic() >= until_s
        assert port.take() == b""
        port.close()


async def test_a_line_with_a_high_descriptor_is_waited_for_like_any_other() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, limits[1]))
    try:
        with FarEnd(echo) as far:
            port = open_serial(settings(far.path))
            low, port._fd = port._fd, fcntl.fcntl(port._fd, fcntl.F_DUPFD, 1500)
            until_s = time.monotonic() + 0.02
            await port.wait(until_s)
            assert time.monotonic() >= until_s
            port.write(b"ab")
            assert await received(port, 2) == b"ba"
            os.close(port._fd)
            port._fd = low
            port.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_a_wait_that_knows_what_lacks_still_gets_everything() -> None:
    with FarEnd(echo) as far:
        port = open_serial(settings(far.path, baud=115200))
        port.write(bytes(range(200)))
        async with asyncio.timeout(LIMIT_S):
            await port.wait(time.monotonic() + LIMIT_S, 200)
        assert await received(port, 1)
        port.close()


def test_a_missing_port_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="by-id") as caught:
        open_serial(settings(tmp_path / "none"))
    assert caught.value.fault is PortFault.MISSING


def test_a_busy_port_is_named() -> None:
    with FarEnd(echo) as far:
        port = open_serial(settings(far.path))
        with pytest.raises(PortError, match="another program") as caught:
            open_serial(settings(far.path))
        assert caught.value.fault is PortFault.BUSY
        with pytest.raises(serial.SerialException):
            serial.Serial(str(far.path), exclusive=True)
        port.close()
        open_serial(settings(far.path)).close()


def test_a_file_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(PortError) as caught:
        open_serial(settings(path))
    assert caught.value.fault is PortFault.UNFIT


def test_settings_that_the_line_refuses_are_unfit_not_a_crash() -> None:
    # Ptys know no parity: setting it twice is a termios.error, which is no OSError.
    with FarEnd(echo) as far:
        faults = []
        for _ in range(2):
            try:
                open_serial(settings(far.path, parity="E")).close()
            except PortError as error:
                faults.append(error.fault)
        assert faults in ([PortFault.UNFIT], [PortFault.UNFIT] * 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open anything")
def test_a_denied_port_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    path.chmod(0)
    with pytest.raises(PortError, match="dialout") as caught:
        open_serial(settings(path))
    assert caught.value.fault is PortFault.DENIED


async def test_a_line_that_hangs_up_has_vanished() -> None:
    with FarEnd(echo) as far:
        port = open_serial(settings(far.path))
        far.hang_up()
        async with asyncio.timeout(LIMIT_S):
            await port.wait(time.monotonic() + LIMIT_S)
        with pytest.raises(PortError) as caught:
            port.take()
        assert caught.value.fault is PortFault.VANISHED
        with pytest.raises(PortError):
            port.write(b"x")
        port.close()


@pytest.mark.parametrize(
    ("baud", "parity", "stop_bits", "char_ms", "gap_ms"),
    [
        (9600, "N", 1, 1.0417, 3.6458),
        (9600, "E", 1, 1.1458, 4.0104),
        (9600, "N", 2, 1.1458, 4.0104),
        (19200, "E", 1, 0.5729, 2.0052),
        (115200, "N", 1, 0.0868, 1.75),
    ],
)
def test_times_of_the_standard(
    baud: int, parity: str, stop_bits: int, char_ms: float, gap_ms: float
) -> None:
    char_s, gap_s = line_times(baud, parity, stop_bits)
    assert round(char_s * 1000, 4) == char_ms
    assert round(gap_s * 1000, 4) == gap_ms
