"""Brokers that refuse, stay mute, replay and lie: nothing is settled that the centre has not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.bare_broker import BareBroker, Published, bare_broker
from rig.field_box import GATEWAY, Box, running_box

from egret_core import topics
from egret_core.codec import decode_batch, payload_hash
from egret_core.control import (
    decode_command_ack,
    decode_status,
    encode_ack,
    encode_centre_status,
    encode_command,
)
from egret_core.messages import Ack, CentreStatus, Command, Kind, Outcome, Rejected, Taking
from egret_core.topics import Leaf
from egret_gateway.broker import BrokerSettings
from egret_gateway.clock import Clock, Hands, Vouched, system_hands
from egret_gateway.credentials import Login, logins
from egret_gateway.errors import UplinkError
from egret_gateway.uplink import mqtt, uplink, window
from egret_gateway.uplink.dial import dialled
from egret_gateway.uplink.mqtt import Will, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from egret_core.messages import Batch

KNOWN = Vouched(None, 0, own=False)

ACK = topics.of(GATEWAY, Leaf.ACK)
CMD = topics.of(GATEWAY, Leaf.CMD)
NOW_MS = 1_795_340_000_000


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resends and new connections of a test: tenths of a second instead of tens."""
    monkeypatch.setattr(window, "RESEND_MIN_MS", 200)
    monkeypatch.setattr(window, "RESEND_MAX_MS", 400)
    monkeypatch.setattr(uplink, "BACKOFF_MIN_S", 0.05)
    monkeypatch.setattr(uplink, "BACKOFF_MAX_S", 0.1)


@asynccontextmanager
async def line(
    folder: Path, clock: Clock | None = None, status_s: float = 600.0, keepalive_s: float = 30.0
) -> AsyncIterator[tuple[BareBroker, Box]]:
    host = "127.0.0.1"
    async with bare_broker() as broker:
        way = BrokerSettings(host, broker.port, keepalive_s=keepalive_s)
        async with running_box(
            folder, host, broker.port, clock=clock, status_s=status_s, broker=way
        ) as box:
            yield broker, box


def data(broker: BareBroker) -> list[Published]:
    leaves = (topics.of(GATEWAY, Leaf.DATA), topics.of(GATEWAY, Leaf.BACKLOG))
    return [message for message in broker.came if message.topic in leaves]


def batches(broker: BareBroker) -> list[Batch]:
    return [decode_batch(message.payload) for message in data(broker)]


def got(message: Published, now_ms: int = NOW_MS, digest: str = "") -> bytes:
    """The centre's ack of one batch."""
    batch = decode_batch(message.payload)
    named = ((batch.seq, digest or payload_hash(message.payload)),)
    return encode_ack(Ack(batch.log, named, (), now_ms, "run-1"))


def answer_all(broker: BareBroker, *, retain: bool = False) -> Callable[[Published], None]:
    def answer(message: Published) -> None:
        if message.topic.rsplit("/", 1)[1] in (Leaf.DATA, Leaf.BACKLOG):
            broker.send(ACK, got(message), retain=retain)

    return answer


async def unsettled(box: Box, count: int) -> None:
    async with asyncio.timeout(30):
        while box.outbox.stats()["unsettled"] != count:
            await asyncio.sleep(0.01)


async def test_it_subscribes_to_its_own_acks_and_commands_and_the_centre_s_status(
    tmp_path: Path,
) -> None:
    async with line(tmp_path) as (broker, _):
        await broker.until(lambda: bool(broker.topics))
        assert broker.topics == [ACK, CMD, topics.CENTRE_STATUS]


async def test_every_batch_travels_at_qos_1_and_unretained_the_status_retained(
    tmp_path: Path,
) -> None:
    async with line(tmp_path) as (broker, box):
        box.feed(2)
        await broker.until(lambda: len(data(broker)) >= 2)
        assert {(m.qos, m.retain) for m in data(broker)} == {(1, False)}
        status = next(m for m in broker.came if m.topic.endswith("/status"))
        assert (status.qos, status.retain) == (1, True)
        assert decode_status(status.payload).online


async def test_a_broker_that_never_pubacks_costs_nothing_while_the_centre_acks(
    tmp_path: Path,
) -> None:
    async with line(tmp_path) as (broker, box):
        broker.pubacks = False
        broker.on_publish = answer_all(broker)
        for _ in range(5):
            box.feed(40)
            await asyncio.sleep(0.05)
        await unsettled(box, 0)
        sent = {seq for b in batches(broker) for seq in [b.seq]}
        assert sent == set(range(1, max(sent) + 1))


async def test_pubacks_without_acks_settle_nothing(tmp_path: Path) -> None:
    async with line(tmp_path) as (broker, box):
        box.feed(1)
        await broker.until(lambda: sum(b.seq == 2 for b in batches(broker)) >= 3)
        assert box.outbox.stats()["unsettled"] == 2
        mine = [m.payload for m in data(broker) if decode_batch(m.payload).seq == 2]
        assert len(set(mine)) == 1, "byte for byte"


async def test_a_replayed_retained_ack_settles_nothing(tmp_path: Path) -> None:
    async with line(tmp_path) as (broker, box):
        broker.on_publish = answer_all(broker, retain=True)
        box.feed(1)
        await broker.until(lambda: len(data(broker)) >= 6)
        assert box.outbox.stats()["unsettled"] == 2
        broker.on_publish = answer_all(broker)
        await unsettled(box, 0)


async def test_a_retained_command_is_not_obeyed(tmp_path: Path) -> None:
    async with line(tmp_path) as (broker, box):
        broker.on_publish = answer_all(broker)
        await unsettled(box, 0)
        order = Command("c1", NOW_MS + 60_000, "resend",
                        {"log": box.outbox.current_log, "seqs": [[1, 1]]}, NOW_MS)  # fmt: skip
        broker.send(CMD, encode_command(order), retain=True)
        broker.send(CMD, encode_command(Command("c2", NOW_MS + 1, "dance", {}, NOW_MS)))
        await broker.until(lambda: any(m.topic.endswith("/cmdack") for m in broker.came))
        answers = [decode_command_ack(m.payload) for m in broker.came if "cmdack" in m.topic]
        assert [answer.id for answer in answers] == ["c2"]


async def test_an_ack_for_another_log_or_with_another_hash_settles_nothing(tmp_path: Path) -> None:
    async with line(tmp_path) as (broker, box):
        await broker.until(lambda: bool(data(broker)))
        message = data(broker)[0]
        broker.send(ACK, got(message, digest="0" * 16))
        other = encode_ack(Ack("f" * 32, ((1, payload_hash(message.payload)),), (), NOW_MS, "r"))
        broker.send(ACK, other)
        for unreadable in (b"", b"{", b"[]", b'{"v":9}', b'{"v":1}', b"\xff" * 100):
            broker.send(ACK, unreadable)
            broker.send(CMD, unreadable)
            broker.send(topics.CENTRE_STATUS, unreadable)
        seen = len(data(broker))
        await broker.until(lambda: len(data(broker)) > seen)
        assert box.outbox.stats()["unsettled"] == 1
        assert broker.connects == 1, "what cannot be read ends no connection"
        broker.send(ACK, got(message))
        await unsettled(box, 0)


async def test_an_ack_of_an_older_sending_settles_too_its_bytes_are_the_same(
    tmp_path: Path,
) -> None:
    async with line(tmp_path) as (broker, box):
        await broker.until(lambda: len(data(broker)) >= 3)
        broker.send(ACK, got(data(broker)[0]))
        await unsettled(box, 0)


async def test_the_centre_s_time_is_never_taken_from_a_retained_message(tmp_path: Path) -> None:
    own = system_hands()
    clock = Clock("none", hands=Hands(own.mono_ms, lambda: 0, own.boot))
    async with line(tmp_path, clock) as (broker, box):
        await broker.until(lambda: bool(data(broker)))
        old = encode_centre_status(CentreStatus(Taking.ALL, NOW_MS, "run-0"))
        broker.send(topics.CENTRE_STATUS, old, retain=True)
        broker.send(topics.CENTRE_STATUS, old)
        broker.send(ACK, got(data(broker)[0]), retain=True)
        seen = len(data(broker))
        await broker.until(lambda: len(data(broker)) > seen + 1)
        assert clock.stamp(clock.mono_ms()) is None
        broker.send(ACK, got(data(broker)[-1], now_ms=NOW_MS))
        await unsettled(box, 0)
        stamp = clock.stamp(clock.mono_ms())
        assert stamp is not None
        assert 0 <= stamp - NOW_MS < 20_000


async def test_an_ack_that_answers_nothing_of_ours_tells_no_time(tmp_path: Path) -> None:
    own = system_hands()
    clock = Clock("none", hands=Hands(own.mono_ms, lambda: 0, own.boot))
    async with line(tmp_path, clock) as (broker, box):
        await broker.until(lambda: bool(data(broker)))
        broker.send(ACK, encode_ack(Ack("f" * 32, ((1, "0" * 16),), (), NOW_MS, "run-1")))
        broker.send(ACK, got(data(broker)[0], digest="0" * 16))
        broker.send(ACK, encode_ack(Ack("", (), (Rejected("0" * 16, "malformed"),), NOW_MS, "r")))
        seen = len(data(broker))
        await broker.until(lambda: len(data(broker)) > seen + 1)
        assert clock.stamp(clock.mono_ms()) is None
        assert box.outbox.stats()["unsettled"] == 1


async def test_a_command_is_void_by_the_centre_s_own_time_though_we_know_none(
    tmp_path: Path,
) -> None:
    own = system_hands()
    clock = Clock("none", hands=Hands(own.mono_ms, lambda: 0, own.boot))
    async with line(tmp_path, clock) as (broker, box):
        await broker.until(lambda: bool(data(broker)))
        args = {"log": box.outbox.current_log, "seqs": [[1, 1]]}
        broker.send(CMD, encode_command(Command("late", NOW_MS, "resend", args, NOW_MS + 1)))
        broker.send(CMD, encode_command(Command("good", NOW_MS, "resend", args, NOW_MS)))
        answers = [topics.of(GATEWAY, Leaf.CMDACK)]
        await broker.until(lambda: sum(m.topic in answers for m in broker.came) >= 2)
        told = [decode_command_ack(m.payload) for m in broker.came if m.topic in answers]
        assert {a.id: a.outcome for a in told} == {"late": Outcome.EXPIRED, "good": Outcome.QUEUED}


async def test_a_refused_subscription_gives_the_connection_up_and_tries_again(
    tmp_path: Path,
) -> None:
    async with line(tmp_path) as (broker, box):
        broker.suback = 0x80
        await broker.until(lambda: bool(broker.topics))
        broker.drop()
        before = broker.connects
        await broker.until(lambda: broker.connects >= before + 3)
        assert box.outbox.stats()["unsettled"] == 1
        broker.suback = 0
        broker.on_publish = answer_all(broker)
        box.feed(1)
        await unsettled(box, 0)


async def test_a_refused_login_is_tried_again_and_sends_nothing(tmp_path: Path) -> None:
    async with bare_broker() as broker:
        broker.connack = 5
        async with running_box(tmp_path, "127.0.0.1", broker.port) as box:
            box.feed(1)
            await broker.until(lambda: broker.connects >= 3)
            assert broker.came == []
            broker.connack = 0
            broker.on_publish = answer_all(broker)
            await unsettled(box, 0)


async def test_a_half_open_link_is_noticed_by_its_missing_pings(tmp_path: Path) -> None:
    async with line(tmp_path, keepalive_s=1.0) as (broker, box):
        broker.on_publish = answer_all(broker)
        await unsettled(box, 0)
        broker.pings = False
        before = broker.connects
        await broker.until(lambda: broker.connects > before)
        broker.pings = True
        box.feed(1)
        await unsettled(box, 0)


async def test_an_unknown_word_of_the_centre_is_taken_for_all(tmp_path: Path) -> None:
    async with line(tmp_path) as (broker, box):
        broker.on_publish = answer_all(broker)
        await unsettled(box, 0)
        status = CentreStatus("sometimes", NOW_MS, "run-1")
        broker.send(topics.CENTRE_STATUS, encode_centre_status(status))
        box.feed(1)
        await unsettled(box, 0)
        assert not box.uplink._window.paused(box.clock.mono_ms())


async def test_a_refusal_of_a_later_version_keeps_the_batch(tmp_path: Path) -> None:
    async with line(tmp_path) as (broker, box):
        await broker.until(lambda: bool(data(broker)))
        message = data(broker)[0]
        for why in ("tomorrow", "version"):
            digest = payload_hash(message.payload)
            refused = Ack(
                decode_batch(message.payload).log, (), (Rejected(digest, why),), NOW_MS, "r"
            )
            broker.send(ACK, encode_ack(refused))
        box.feed(1)
        await broker.until(lambda: any(b.kind == Kind.READINGS for b in batches(broker)))
        assert box.outbox.stats()["unsettled"] == 2
        assert box.outbox.held().ranges == {box.outbox.current_log: ((1, 2),)}


async def test_a_planned_stop_says_goodbye_and_leaves_an_offline_status(tmp_path: Path) -> None:
    async with bare_broker() as broker:
        broker.on_publish = answer_all(broker)
        async with running_box(tmp_path, "127.0.0.1", broker.port) as box:
            await unsettled(box, 0)
        await broker.until(lambda: broker.farewells == 1)
        last = [m for m in broker.came if m.topic.endswith("/status")][-1]
        assert last.retain
        assert not decode_status(last.payload).online


async def test_a_status_comes_again_though_nothing_has_changed(tmp_path: Path) -> None:
    async with line(tmp_path, status_s=0.2) as (broker, _):
        await broker.until(lambda: sum(m.topic.endswith("/status") for m in broker.came) >= 3)


@pytest.mark.parametrize("steps", range(1, 40, 2))
async def test_a_stop_at_any_moment_of_connecting_is_not_lost(tmp_path: Path, steps: int) -> None:
    async with (
        asyncio.timeout(20),
        bare_broker() as broker,
        running_box(tmp_path, "127.0.0.1", broker.port),
    ):
        for _ in range(steps):
            await asyncio.sleep(0.001)


async def test_two_processes_of_one_gateway_do_not_throw_each_other_off(tmp_path: Path) -> None:
    async with (
        bare_broker() as broker,
        running_box(tmp_path / "one", "127.0.0.1", broker.port) as one,
        running_box(tmp_path / "two", "127.0.0.1", broker.port) as two,
    ):
        assert one.uplink._identifier != two.uplink._identifier
        assert one.uplink._identifier.startswith(f"{GATEWAY}-")
        await broker.until(lambda: broker.connects == 2)


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "a b", "x" * 300, "..", "127.0.0.1"], ids=lambda h: h[:12]
)
async def test_what_cannot_be_dialled_is_an_uplink_error_not_a_dead_task(host: str) -> None:
    will = Will(topics.of(GATEWAY, Leaf.STATUS), b"{}")
    with pytest.raises(UplinkError):
        async with connect(BrokerSettings(host, 1), Login(), "nobody", KNOWN, will):
            pass


async def test_a_call_that_nobody_waits_for_any_more_is_hung_up() -> None:
    met = asyncio.Event()
    gone = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set()
        await reader.read()
        gone.set()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    call = asyncio.create_task(dialled("127.0.0.1", port, 5.0))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(met.wait(), 30)
    await asyncio.wait_for(gone.wait(), 30)
    server.close()


async def test_a_password_travels_and_is_read_at_each_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "CONNECT_S", 1.0)
    password = tmp_path / "password"
    password.write_text("first\n")
    heads: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.read(1000))
        writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    settings = BrokerSettings("127.0.0.1", server.sockets[0].getsockname()[1], "me", password)
    will = Will(topics.of(GATEWAY, Leaf.STATUS), b"{}")
    for word in ("first", "second"):
        password.write_text(f"{word}\n")
        with pytest.raises(UplinkError):
            async with connect(settings, logins(settings)[0], "me-1", KNOWN, will):
                pass
        assert heads[-1].endswith(b"\x00\x02me\x00" + bytes([len(word)]) + word.encode())
    server.close()
