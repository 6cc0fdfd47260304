"""The broker's certificate against what the box knows of the time: nobody is stranded, and
nobody is let in who has certainly expired."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.secured import DAY_MS, mute_server, now_ms

from egret_aggregator.enrolment.authority import Authority
from egret_gateway.clock import FLOOR_MS, Clock, Hands, Vouched
from egret_gateway.uplink.dial import dialled
from egret_gateway.uplink.tls import Tls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

YEAR_MS = 365 * DAY_MS
NOW = now_ms()
LONG_AGO, LAST_YEAR = NOW - 3 * YEAR_MS, NOW - YEAR_MS
KNOWN = Vouched(NOW, LAST_YEAR, own=True)  # a clock that NTP disciplines
HEARD = Vouched(NOW, LAST_YEAR, own=False)  # the centre's time, on a box whose clock is in 1970
UNKNOWN = Vouched(None, LAST_YEAR, own=False)  # just booted: later than a year ago, no more


@asynccontextmanager
async def broker(
    folder: Path, *, made_ms: int, days: float, name: str = "localhost", ca_ms: int = LONG_AGO
) -> AsyncIterator[int]:
    """Serve TLS with a certificate of these dates; give the port."""
    authority = Authority.made(folder, "city", ca_ms)
    pair = authority.server([name], made_ms, days)
    async with mute_server(folder, pair) as port:
        yield port


async def shake(folder: Path, port: int, known: Vouched, host: str = "localhost") -> str:
    """Return "" where the broker was believed, else why not."""
    try:
        line = await dialled("127.0.0.1", port, 20, Tls(folder / "ca.pem", None, host, known))
    except OSError as error:
        return str(error)
    assert isinstance(line, ssl.SSLSocket)
    assert line.version() in ("TLSv1.2", "TLSv1.3")
    line.close()
    return ""


@pytest.mark.parametrize("known", [KNOWN, HEARD, UNKNOWN], ids=["own", "centre", "unknown"])
async def test_a_good_certificate_is_believed_whatever_is_known(
    tmp_path: Path, known: Vouched
) -> None:
    async with broker(tmp_path, made_ms=NOW, days=30) as port:
        assert await shake(tmp_path, port, known) == ""


@pytest.mark.parametrize("known", [KNOWN, HEARD], ids=["own", "centre"])
async def test_an_expired_one_is_refused_when_time_is_known(tmp_path: Path, known: Vouched) -> None:
    async with broker(tmp_path, made_ms=NOW - 40 * DAY_MS, days=30) as port:
        assert "has expired" in await shake(tmp_path, port, known)


async def test_one_that_ended_before_the_last_commit_is_refused_without_a_clock(
    tmp_path: Path,
) -> None:
    async with broker(tmp_path, made_ms=LONG_AGO, days=30) as port:
        assert "has expired" in await shake(tmp_path, port, UNKNOWN)


async def test_a_box_without_time_believes_one_that_may_be_valid(tmp_path: Path) -> None:
    """It ended last month; a box that only knows last year cannot tell, and must get through."""
    async with broker(tmp_path, made_ms=NOW - 40 * DAY_MS, days=30) as port:
        assert await shake(tmp_path, port, UNKNOWN) == ""


@pytest.mark.parametrize("known", [KNOWN, HEARD], ids=["own", "centre"])
async def test_one_of_the_future_is_refused_when_time_is_known(
    tmp_path: Path, known: Vouched
) -> None:
    async with broker(tmp_path, made_ms=NOW + 40 * DAY_MS, days=30) as port:
        assert "not valid yet" in await shake(tmp_path, port, known)


async def test_an_expired_ca_is_refused(tmp_path: Path) -> None:
    old = NOW - 25 * YEAR_MS
    async with broker(tmp_path, made_ms=NOW, days=30, ca_ms=old) as port:
        assert "has expired" in await shake(tmp_path, port, KNOWN)
        assert "has expired" in await shake(tmp_path, port, HEARD)
        assert "has expired" in await shake(tmp_path, port, UNKNOWN)


@pytest.mark.parametrize("known", [KNOWN, UNKNOWN], ids=["own", "unknown"])
async def test_a_foreign_ca_is_refused_whatever_is_known(tmp_path: Path, known: Vouched) -> None:
    Authority.made(tmp_path / "other", "city", LONG_AGO)
    async with broker(tmp_path / "this", made_ms=NOW, days=30) as port:
        assert "foreign CA" in await shake(tmp_path / "other", port, known)


@pytest.mark.parametrize("known", [KNOWN, UNKNOWN], ids=["own", "unknown"])
async def test_a_wrong_name_is_refused_whatever_is_known(tmp_path: Path, known: Vouched) -> None:
    async with broker(tmp_path, made_ms=NOW, days=30, name="mqtt.city") as port:
        assert "does not bear the name 'localhost'" in await shake(tmp_path, port, known)
        assert await shake(tmp_path, port, known, "mqtt.city") == ""


async def test_a_port_without_tls_is_told_so(tmp_path: Path) -> None:
    Authority.made(tmp_path, "city", NOW)

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x20\x02\x00\x05 this is MQTT without TLS")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        why = await shake(tmp_path, server.sockets[0].getsockname()[1], KNOWN)
    assert "does not speak TLS" in why


async def test_a_mute_peer_does_not_hold_us_for_ever(tmp_path: Path) -> None:
    Authority.made(tmp_path, "city", NOW)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(OSError, match="timed out"):
            await dialled(
                "127.0.0.1", port, 0.2, Tls(tmp_path / "ca.pem", None, "localhost", KNOWN)
            )


def hands(wall_ms: int, *, verified: bool = False) -> Hands:
    return Hands(lambda: 5_000, lambda: wall_ms, "boot", lambda: verified)


def test_what_a_clock_vouches_for() -> None:
    booted = Clock("ntp", hands=hands(1_000))  # in 1970
    booted.raise_floor(NOW - DAY_MS)
    assert booted.vouched() == Vouched(None, NOW - DAY_MS, own=False)
    # A system clock that nobody vouches for may lie in either direction: it is not asked.
    drifted = Clock("ntp", hands=hands(NOW + 90 * YEAR_MS))
    assert drifted.vouched() == Vouched(None, FLOOR_MS, own=False)
    good = Clock("ntp", hands=hands(NOW, verified=True))
    assert good.vouched() == Vouched(NOW, FLOOR_MS, own=True)


def test_the_centres_time_is_believed_from_the_next_connection_on() -> None:
    clock = Clock("none", hands=hands(1_000))
    clock.hear(NOW, 4_900, 5_000)
    known = clock.vouched()
    assert known.now_ms is not None
    assert abs(known.now_ms - NOW) <= 100
    assert not known.own
