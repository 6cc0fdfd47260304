"""The uplink over TLS with accounts: a box in 1970, a refused credential, a renewal on the way."""

from __future__ import annotations

import ssl
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rig.broker import without
from rig.centre import Centre, running_centre
from rig.field_box import GATEWAY, running_box
from rig.proxy import running_proxy
from rig.secured import Secured, now_ms, running_secured

from egret_aggregator.enrolment.settings import Kind, Program
from egret_core.entries import read_readings
from egret_core.messages import RENEW, ClockSource, Command, Outcome
from egret_gateway.broker import BrokerSettings
from egret_gateway.clock import Clock, Hands
from egret_gateway.credentials import CERTIFICATE, PASSWORD, keep
from egret_gateway.uplink import uplink, window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

YEAR_MS = 365 * 86_400_000


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "BACKOFF_MIN_S", 0.05)
    monkeypatch.setattr(uplink, "BACKOFF_MAX_S", 0.2)


@asynccontextmanager
async def seated(broker: Secured) -> AsyncIterator[Centre]:
    """A centre on the secured broker, under the centre's own account."""
    way = broker.as_centre()
    who: dict[str, Any] = {"tls_context": ssl.create_default_context(cafile=broker.ca_file)}
    if way.cert_file is not None:
        who["tls_context"].load_cert_chain(way.cert_file, way.key_file)
    if way.password_file is not None:
        who |= {"username": "centre", "password": way.password_file.read_text().strip()}
    async with running_centre("localhost", broker.port, GATEWAY, **who) as centre:
        yield centre


def admitted(broker: Secured, folder: Path) -> str:
    account = broker.admit(GATEWAY)
    if broker.settings.by is Kind.CERTIFICATE:
        keep(folder, account, CERTIFICATE, (broker.folder / f"{account}.pem").read_text())
    else:
        keep(folder, account, PASSWORD, broker.secrets[account])
    return account


def way(broker: Secured, folder: Path, port: int | None = None) -> BrokerSettings:
    return BrokerSettings(
        "localhost", port or broker.port, ca_file=broker.ca_file, credentials=folder
    )


def hands(wall_ms: int) -> Hands:
    """A clock that runs, from wherever it was set, and that nobody vouches for."""
    start = time.monotonic_ns() // 1_000_000
    return Hands(
        lambda: time.monotonic_ns() // 1_000_000,
        lambda: wall_ms + time.monotonic_ns() // 1_000_000 - start,
        f"boot-{wall_ms}",
        lambda: False,
    )


@pytest.mark.parametrize("years", [-56, -1, 50])
async def test_a_box_whose_clock_is_nonsense_is_not_stranded(tmp_path: Path, years: int) -> None:
    """It boots in 1970, a year behind, or with a battery's fancy; its last commit was before."""
    folder = tmp_path / "credentials"
    async with running_secured(tmp_path / "broker") as broker, seated(broker) as centre:
        admitted(broker, folder)
        async with running_box(tmp_path / "box", "", 0, broker=way(broker, folder)) as box:
            box.feed(5)
            await centre.until(lambda: len(centre.values()) == 5)
        async with running_proxy("127.0.0.1", broker.port) as link:
            clock = Clock("ntp", hands=hands(max(1_000, now_ms() + years * YEAR_MS)))
            assert clock.vouched().now_ms is None
            there = way(broker, folder, link.port)
            async with running_box(tmp_path / "box", "", 0, clock=clock, broker=there) as box:
                box.feed(5)
                await centre.until(lambda: len(centre.values()) == 10)
                known = clock.vouched()
                assert not known.own
                assert known.now_ms is not None
                assert abs(known.now_ms - now_ms()) < 60_000
                # From now on dates count, and the certificate still stands.
                before = link.connections
                link.drop()
                box.feed(5)
                await centre.until(lambda: link.connections > before and len(centre.values()) == 15)
        last = max(centre.batches(), key=lambda batch: batch.seq)
        assert last.clock.source == ClockSource.CENTRE
        assert abs(read_readings(last).dated[-1].time_ms - now_ms()) < 60_000


async def test_a_credential_that_opens_nothing_is_followed_by_the_one_that_does(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "credentials"
    async with running_secured(tmp_path / "broker") as broker, seated(broker) as centre:
        account = admitted(broker, folder)
        keep(folder, f"{GATEWAY}.9", PASSWORD, "never made")
        async with running_box(tmp_path / "box", "", 0, broker=way(broker, folder)) as box:
            box.feed(3)
            await centre.until(lambda: len(centre.values()) == 3)
            await centre.until(lambda: bool(centre.statuses))
            await centre.until(lambda: centre.statuses[-1].extra.get("account") == account)
        assert len(list(folder.iterdir())) == 2, "what did not serve is no proof against another"


@pytest.mark.skipif(without(Program.MOSQUITTO) != "", reason=without(Program.MOSQUITTO))
async def test_a_certificate_that_is_let_in_and_hears_nothing_is_followed_by_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mosquitto takes any certificate of the CA; an account given up has no topics there."""
    monkeypatch.setattr(window, "SILENCE_MS", 1000)
    monkeypatch.setattr(uplink, "SILENCE_MS", 1000)
    folder = tmp_path / "credentials"
    secured = running_secured(tmp_path / "broker", Program.MOSQUITTO, Kind.CERTIFICATE)
    async with secured as broker, seated(broker) as centre:
        account = admitted(broker, folder)
        admitted(broker, folder)
        given_up = admitted(broker, folder)
        broker.office.change(lambda book: book.without(given_up, f"{GATEWAY}.2"))
        async with running_box(tmp_path / "box", "", 0, broker=way(broker, folder)) as box:
            box.feed(3)
            await centre.until(lambda: len(centre.values()) == 3)
            await centre.until(lambda: bool(centre.statuses))
            await centre.until(lambda: centre.statuses[-1].extra.get("account") == account)
        assert len(list(folder.iterdir())) == 3, "what heard nothing is no proof against another"


async def test_a_renewed_credential_is_taken_up_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    async with running_secured(tmp_path / "broker") as broker, seated(broker) as centre:
        first = admitted(broker, folder)
        async with running_box(tmp_path / "box", "", 0, broker=way(broker, folder)) as box:
            await centre.until(lambda: bool(centre.statuses))
            second = broker.admit(GATEWAY)
            args = {"account": second, "kind": PASSWORD, "secret": broker.secrets[second]}
            box.feed(20)
            await centre.order(Command("r", now_ms() + 60_000, RENEW, args, now_ms()))
            await centre.until(lambda: bool(centre.answers))
            assert (centre.answers[-1].outcome, centre.answers[-1].detail) == (Outcome.DONE, second)
            await centre.until(
                lambda: any(one.extra.get("account") == second for one in centre.statuses)
            )
            broker.office.change(lambda book: book.without(first))
            box.feed(20)
            await centre.until(lambda: len(centre.values()) == 40)
            await box.settled()


async def test_a_box_that_is_revoked_keeps_what_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    async with running_secured(tmp_path / "broker") as broker, seated(broker) as centre:
        account = admitted(broker, folder)
        async with running_box(tmp_path / "box", "", 0, broker=way(broker, folder)) as box:
            box.feed(5)
            await centre.until(lambda: len(centre.values()) == 5)
            await box.settled()
            broker.office.change(lambda book: book.without(account))
            await centre.until(lambda: not centre.statuses[-1].online)
            box.feed(5)
            again = admitted(broker, folder)
            await centre.until(lambda: len(centre.values()) == 10)
            # The will of the link that was lost may come after the new one's first words.
            await centre.until(lambda: centre.statuses[-1].extra.get("account") == again)
