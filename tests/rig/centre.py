"""A minimal honest centre: decodes, remembers, acknowledges what it keeps, gives orders.

It keeps everything in memory. Its faults are switched on by name: `mute` (no acks), `lose_acks`,
`wrong_hash`, `refuse` (a reason by seq).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiomqtt

from egret_core import topics
from egret_core.codec import decode_batch, payload_hash
from egret_core.control import (
    decode_command_ack,
    decode_status,
    encode_ack,
    encode_centre_status,
    encode_command,
)
from egret_core.entries import read_losses, read_readings
from egret_core.errors import WireError
from egret_core.messages import (
    Ack,
    Batch,
    CentreStatus,
    Command,
    CommandAck,
    GatewayStatus,
    Kind,
    Loss,
    Rejected,
    Taking,
)
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

WAIT_S = 60.0


@dataclass
class Centre:
    """What came, and what is to be answered."""

    host: str
    port: int
    gateway: str
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    mute: bool = False
    lose_acks: int = 0
    wrong_hash: bool = False
    refuse: dict[int, str] = field(default_factory=dict)
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    got: dict[tuple[str, int], bytes] = field(default_factory=dict)
    came: list[tuple[str, Leaf, Batch]] = field(default_factory=list)
    conflicts: int = 0
    statuses: list[GatewayStatus] = field(default_factory=list)
    answers: list[CommandAck] = field(default_factory=list)
    on_batch: Callable[[Batch, Leaf], None] | None = None
    how: dict[str, Any] = field(default_factory=dict)  # user name, password, TLS of its client
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _client: aiomqtt.Client | None = None

    async def serve(self, ready: asyncio.Event) -> None:
        async with aiomqtt.Client(
            self.host,
            self.port,
            identifier=f"centre-{secrets.token_hex(3)}",
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            max_inflight_messages=1000,
            **self.how,
        ) as client:
            client.pending_calls_threshold = 10_000
            self._client = client
            await client.subscribe([(topics.everyone(leaf), 1) for leaf in topics.UPWARD])
            ready.set()
            async for message in client.messages:
                place = topics.parse(str(message.topic))
                if place is None:
                    continue  # our own status matches the pattern of the gateways'
                assert isinstance(message.payload, bytes)
                await self._take(place[1], message.payload)

    async def _take(self, leaf: Leaf, payload: bytes) -> None:
        if leaf == Leaf.STATUS:
            self.statuses.append(decode_status(payload))
        elif leaf == Leaf.CMDACK:
            self.answers.append(decode_command_ack(payload))
        else:
            await self._batch(leaf, payload)
        async with self._changed:
            self._changed.notify_all()

    async def _batch(self, leaf: Leaf, payload: bytes) -> None:
        digest = payload_hash(payload)
        try:
            batch = decode_batch(payload)
        except WireError as error:
            await self._ack(Ack("", (), (Rejected(digest, error.why),), self.now_ms(), self.run))
            return
        self.came.append((digest, leaf, batch))
        if self.mute:
            return
        why = self.refuse.get(batch.seq)
        known = self.got.setdefault((batch.log, batch.seq), payload) if why is None else payload
        if known != payload:
            self.conflicts += 1
            why = "conflict"
        if why is not None:
            rejected = (Rejected(digest, why, batch.seq),)
            await self._ack(Ack(batch.log, (), rejected, self.now_ms(), self.run))
            return
        if self.on_batch is not None:
            self.on_batch(batch, leaf)
        if self.lose_acks > 0:
            self.lose_acks -= 1
            return
        told = "0" * 16 if self.wrong_hash else digest
        await self._ack(Ack(batch.log, ((batch.seq, told),), (), self.now_ms(), self.run))

    async def _ack(self, ack: Ack) -> None:
        assert self._client is not None
        topic = topics.of(self.gateway, Leaf.ACK)
        await self._client.publish(topic, encode_ack(ack), qos=0)

    async def say(self, taking: Taking) -> None:
        assert self._client is not None
        status = CentreStatus(taking, self.now_ms(), self.run)
        await self._client.publish(
            topics.CENTRE_STATUS, encode_centre_status(status), qos=1, retain=True
        )

    async def order(self, command: Command) -> None:
        assert self._client is not None
        await self._client.publish(topics.of(self.gateway, Leaf.CMD), encode_command(command))

    async def until(self, holds: Callable[[], bool], limit_s: float = WAIT_S) -> None:
        """Wait until it holds; it is asked again at whatever comes."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(holds), limit_s)

    def batches(self, kind: str = Kind.READINGS) -> list[Batch]:
        """What is kept, decoded."""
        found = [decode_batch(payload) for payload in self.got.values()]
        return [batch for batch in found if batch.kind == kind]

    def values(self) -> list[float]:
        """Every dated value kept, sorted: nothing missing and nothing twice shows in it."""
        return sorted(
            reading.value
            for batch in self.batches()
            for reading in read_readings(batch).dated
            if reading.value is not None
        )

    def losses(self) -> list[Loss]:
        return [loss for batch in self.batches(Kind.LOSS) for loss in read_losses(batch).records]


@asynccontextmanager
async def running_centre(host: str, port: int, gateway: str, **how: Any) -> AsyncIterator[Centre]:
    centre = Centre(host, port, gateway, how=how)
    ready = asyncio.Event()
    task = asyncio.create_task(centre.serve(ready))
    await asyncio.wait_for(ready.wait(), WAIT_S)
    try:
        yield centre
    finally:
        died = task.done()
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        if died and isinstance(end, BaseException) and not isinstance(end, aiomqtt.MqttError):
            raise end
