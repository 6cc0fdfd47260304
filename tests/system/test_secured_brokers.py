"""The line on both brokers with TLS and accounts: each may do its own, and nothing else.

What a broker does with a forbidden message differs (NATS acknowledges and drops it, mosquitto
drops it), so only what arrives counts, and what the broker's log says of the rest.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.broker import without
from rig.secured import PROGRAMS, Secured, now_ms, running_secured

from egret_aggregator.enrolment.folder import STORES
from egret_aggregator.enrolment.render import configuration
from egret_aggregator.enrolment.settings import EnrolmentSettings, Kind, Program
from egret_aggregator.intake.inbox import Arrived, Inbox
from egret_aggregator.intake.mqtt import Line
from egret_core import topics
from egret_core.topics import CENTRE_STATUS, Leaf
from egret_gateway.broker import BrokerSettings
from egret_gateway.clock import Vouched
from egret_gateway.credentials import Login
from egret_gateway.errors import UplinkError
from egret_gateway.uplink.mqtt import Connection, Will, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.system
WAIT_S = 30.0
KINDS = [
    pytest.param(
        program,
        by,
        id=f"{program}-{by}",
        marks=pytest.mark.skipif(bool(without(program)), reason=without(program) or "complete"),
    )
    for program in PROGRAMS
    for by in Kind
]


class Seat:
    """The centre's real connection, and what arrived on it."""

    def __init__(self, broker: Secured) -> None:
        self.inbox = Inbox()
        self.up = asyncio.Event()
        self.came: list[Arrived] = []
        self.line = Line(broker.as_centre(), self.inbox, run="r", now_ms=now_ms, up=self._greeted)

    async def _greeted(self) -> None:
        self.up.set()

    async def until(self, topic: str, payload: bytes) -> None:
        """Take what comes until this has come."""
        async with asyncio.timeout(WAIT_S):
            while not any((one.topic, one.payload) == (topic, payload) for one in self.came):
                self.came += await self.inbox.take(64, 1 << 20)

    def payloads(self) -> set[bytes]:
        return {one.payload for one in self.came}


@asynccontextmanager
async def seated(broker: Secured) -> AsyncIterator[Seat]:
    seat = Seat(broker)
    task = asyncio.create_task(seat.line.run())
    try:
        async with asyncio.timeout(WAIT_S):
            await seat.up.wait()
        yield seat
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def login(broker: Secured, account: str) -> Login:
    if broker.settings.by is Kind.PASSWORD:
        return Login(account, broker.secrets[account])
    pem = broker.folder / f"{account}.pem"
    return Login(account, None, (pem, pem))


@asynccontextmanager
async def connected(
    broker: Secured, who: Login, will: Will | None = None
) -> AsyncIterator[Connection]:
    settings = BrokerSettings("localhost", broker.port, ca_file=broker.ca_file)
    known = Vouched(now_ms(), 0, own=True)
    async with connect(settings, who, f"box-{now_ms()}", known, will) as connection:
        yield connection


async def logged(broker: Secured, *words: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while not any(all(word in line for word in words) for line in broker.log().splitlines()):
            await asyncio.sleep(0.05)


async def admitted(broker: Secured, gateway: str) -> Login:
    """Make an account of a running broker and wait until it has read it."""
    who = login(broker, broker.admit(gateway))
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                async with connected(broker, who) as connection:
                    await connection.subscribe([topics.of(gateway, Leaf.ACK)])
                    return who
            except UplinkError:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize(("program", "by"), KINDS)
async def test_a_gateway_does_its_own_and_nothing_else(
    tmp_path: Path, program: Program, by: Kind
) -> None:
    async with running_secured(tmp_path, program, by) as broker, seated(broker) as seat:
        one, two = await admitted(broker, "gw1"), await admitted(broker, "gw2")
        async with connected(broker, one) as mine, connected(broker, two) as other:
            await mine.subscribe([topics.of("gw1", Leaf.ACK), CENTRE_STATUS])
            for leaf in (Leaf.DATA, Leaf.BACKLOG, Leaf.STATUS, Leaf.CMDACK):
                mine.publish(topics.of("gw1", leaf), f"good {leaf}".encode())
                other.publish(topics.of("gw1", leaf), f"spoofed {leaf}".encode())
            # Neither may a gateway speak for the centre.
            other.publish(topics.of("gw1", Leaf.ACK), b"spoofed ack")
            other.publish(topics.of("gw1", Leaf.CMD), b"spoofed cmd")
            other.publish(CENTRE_STATUS, b"spoofed centre", retain=True)
            await other.drained(WAIT_S)
            other.publish(topics.of("gw2", Leaf.DATA), b"the last word")
            await seat.until(topics.of("gw2", Leaf.DATA), b"the last word")
            for leaf in (Leaf.DATA, Leaf.BACKLOG, Leaf.STATUS, Leaf.CMDACK):
                await seat.until(topics.of("gw1", leaf), f"good {leaf}".encode())
            assert not any(payload.startswith(b"spoofed") for payload in seat.payloads())
            await seat.line.publish(topics.of("gw1", Leaf.ACK), b"the true ack")
            messages = mine.messages()
            came = []
            async with asyncio.timeout(WAIT_S):
                while b"the true ack" not in came:
                    came.append((await anext(messages)).payload)
            await messages.aclose()
            assert not any(payload.startswith(b"spoofed") for payload in came)
        word = "Publish Violation" if program is Program.NATS else "Denied PUBLISH"
        await logged(broker, word, "gw1")


@pytest.mark.parametrize(("program", "by"), KINDS)
async def test_nobody_reads_what_is_not_theirs(tmp_path: Path, program: Program, by: Kind) -> None:
    async with running_secured(tmp_path, program, by) as broker, seated(broker) as seat:
        one, two = await admitted(broker, "gw1"), await admitted(broker, "gw2")
        async with connected(broker, two) as ear, connected(broker, one) as mine:
            # Mosquitto grants the subscription, and sends nothing on it.
            refuses = (
                pytest.raises(UplinkError, match="refused") if _is_nats(program) else _granted()
            )
            with refuses:
                await ear.subscribe([topics.of("gw1", Leaf.ACK), topics.of("gw1", Leaf.DATA)])
            await ear.subscribe([topics.of("gw2", Leaf.ACK)])
            mine.publish(topics.of("gw1", Leaf.DATA), b"private")
            await seat.until(topics.of("gw1", Leaf.DATA), b"private")
            await seat.line.publish(topics.of("gw1", Leaf.ACK), b"private")
            await seat.line.publish(topics.of("gw2", Leaf.ACK), b"for the ear")
            messages = ear.messages()
            async with asyncio.timeout(WAIT_S):
                assert (await anext(messages)).payload == b"for the ear"
            await messages.aclose()


@pytest.mark.parametrize(("program", "by"), KINDS)
async def test_a_wrong_accounts_reading_does_not_arrive(
    tmp_path: Path, program: Program, by: Kind
) -> None:
    async with running_secured(tmp_path, program, by) as broker, seated(broker) as seat:
        good = await admitted(broker, "gw1")
        strangers = [Login(), Login("gw1.1", "a guess"), Login("nobody.1", "a guess")]
        if by is Kind.CERTIFICATE:
            async with running_secured(tmp_path / "other", program, by) as other:
                strangers.append(login(other, other.admit("gw1")))
        for stranger in strangers:
            with pytest.raises(UplinkError) as caught:
                await _speak(broker, stranger)
            assert caught.value.refused, caught.value
        async with connected(broker, good) as connection:
            connection.publish(topics.of("gw1", Leaf.DATA), b"ours")
            await seat.until(topics.of("gw1", Leaf.DATA), b"ours")
        assert b"foreign" not in seat.payloads()


async def _speak(broker: Secured, stranger: Login) -> None:
    async with connected(broker, stranger) as connection:
        connection.publish(topics.of("gw1", Leaf.DATA), b"foreign")
        await connection.subscribe([topics.of("gw1", Leaf.ACK)])


def _is_nats(program: Program) -> bool:
    return program is Program.NATS


def _granted() -> nullcontext[None]:
    return nullcontext()


@pytest.mark.parametrize(("program", "by"), KINDS)
async def test_an_account_that_ends_is_thrown_out_while_others_stay(
    tmp_path: Path, program: Program, by: Kind
) -> None:
    async with running_secured(tmp_path, program, by) as broker, seated(broker) as seat:
        one, two = await admitted(broker, "gw1"), await admitted(broker, "gw2")
        async with connected(broker, two) as stays:
            broker.office.change(lambda book: book.without(one.account))
            async with asyncio.timeout(WAIT_S):
                while await _may_speak(broker, one, seat):
                    await asyncio.sleep(0.1)
            stays.publish(topics.of("gw2", Leaf.DATA), b"still here")
            await seat.until(topics.of("gw2", Leaf.DATA), b"still here")
        assert seat.line.connections == 1, "the centre was not thrown out"


async def _may_speak(broker: Secured, who: Login, seat: Seat) -> bool:
    """Whether an account's message still reaches the centre."""
    word = f"word {now_ms()}".encode()
    try:
        async with connected(broker, who) as connection:
            await connection.subscribe([topics.of("gw1", Leaf.ACK)])
            connection.publish(topics.of("gw1", Leaf.DATA), word)
            await connection.drained(WAIT_S)
    except UplinkError:
        return False
    await seat.line.publish(topics.of("gw1", Leaf.CMD), b"x")
    seat.came += await asyncio.wait_for(_some(seat), WAIT_S)
    return word in seat.payloads()


async def _some(seat: Seat) -> list[Arrived]:
    """What has come by now; the will of a closed connection is no word."""
    try:
        return await asyncio.wait_for(seat.inbox.take(64, 1 << 20), 2)
    except TimeoutError:
        return []


@pytest.mark.parametrize("by", list(Kind))
def test_nats_takes_what_is_rendered(tmp_path: Path, by: Kind) -> None:
    broker = Secured(EnrolmentSettings(tmp_path, "localhost", by=by), tmp_path / "store")
    broker.folder.mkdir()
    for number in range(3):
        broker.admit(f"gw{number}")
    done = subprocess.run([*broker._command(), "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


SHIPPED = Path(__file__).parents[2] / "docker"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_shipped_configuration_is_what_is_rendered(program: Program) -> None:
    text = configuration(program, Kind.PASSWORD, "/etc/egret/broker", STORES[program], 8883)
    assert (SHIPPED / program / f"{program}.conf").read_text() == text


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, program: Program
) -> None:
    if without(program):
        pytest.skip(without(program))
    async with running_secured(tmp_path, program) as broker, seated(broker) as seat:
        before = await _serial(broker)
        broker.office.certify(now_ms())
        async with asyncio.timeout(WAIT_S):
            while await _serial(broker) == before:
                await asyncio.sleep(0.1)
        assert seat.line.connections == 1, "who is connected stays so"


async def _serial(broker: Secured) -> str:
    context = ssl.create_default_context(cafile=broker.ca_file)
    _, writer = await asyncio.open_connection("localhost", broker.port, ssl=context)
    found = str(writer.get_extra_info("ssl_object").getpeercert()["serialNumber"])
    writer.close()
    return found
