"""A minimal honest gateway: it keeps what it cut, sends it, and settles only on the centre's word.

No disk, no window, no timers: tests say when something is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Self

import aiomqtt
from rig import batches

from egret_core.codec import payload_hash
from egret_core.control import (
    decode_ack,
    decode_centre_status,
    decode_command,
    encode_command_ack,
    encode_status,
)
from egret_core.messages import Ack, CentreStatus, Command, CommandAck, GatewayStatus, Outcome
from egret_core.seqranges import normalised, numbers, of_numbers
from egret_core.topics import CENTRE_STATUS, Leaf, of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egret_core.reading import Reading

PATIENCE_S = 30.0  # a busy machine's, never a measure of anything


class GatewayLike:
    def __init__(self, port: int, *, gateway: str = "gw1", log: str = batches.LOG) -> None:
        self.port = port
        self.id = gateway
        self.log = log
        self.outbox: dict[int, bytes] = {}
        self.settled: set[int] = set()
        self.rejected: list[tuple[str, str]] = []
        self.acks: list[Ack] = []
        self.commands: list[Command] = []
        self.centre: CentreStatus | None = None
        self.obey = True
        self._changed = asyncio.Condition()
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._run(ready))
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def cut(self, seq: int, readings: Sequence[Reading] = (), **more: Any) -> bytes:
        body = batches.payload(
            seq,
            readings or batches.series(3, start_ms=batches.T0_MS + 10_000 * seq),
            gateway=self.id,
            log=self.log,
            **more,
        )
        self.outbox[seq] = body
        return body

    async def send(self, *seqs: int, lane: Leaf = Leaf.DATA) -> None:
        for seq in seqs:
            await self.raw(self.outbox[seq], lane)

    async def raw(self, payload: bytes, lane: Leaf = Leaf.DATA) -> None:
        assert self._client is not None
        await self._client.publish(of(self.id, lane), payload, qos=1)

    async def status(self, **more: Any) -> None:
        assert self._client is not None
        status = GatewayStatus(
            gateway=self.id,
            online=True,
            held={self.log: of_numbers(self.outbox)},
            current_log=self.log,
            outbox={"bytes": 1, "unsettled": 0, "oldest_ms": 0},
            **more,
        )
        await self._client.publish(
            of(self.id, Leaf.STATUS), encode_status(status), qos=1, retain=True
        )

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(true)

    async def _run(self, ready: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._once(ready)
            await asyncio.sleep(0.1)

    async def _once(self, ready: asyncio.Event) -> None:
        will = encode_status(GatewayStatus(gateway=self.id, online=False))
        async with aiomqtt.Client(
            "127.0.0.1",
            self.port,
            clean_session=True,
            identifier=f"like-{self.id}-{id(self)}",
            will=aiomqtt.Will(of(self.id, Leaf.STATUS), will, qos=1, retain=True),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        ) as client:
            topics = (of(self.id, Leaf.ACK), of(self.id, Leaf.CMD), CENTRE_STATUS)
            await client.subscribe([(topic, 0) for topic in topics])
            self._client = client
            ready.set()
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                await self._take(str(message.topic), message.payload)
                async with self._changed:
                    self._changed.notify_all()

    async def _take(self, topic: str, payload: bytes) -> None:
        if topic == CENTRE_STATUS:
            self.centre = decode_centre_status(payload)
        elif topic.endswith("/ack"):
            self._acked(decode_ack(payload))
        else:
            self.commands.append(decode_command(payload))
            if self.obey:
                await self._resend(self.commands[-1])

    def _acked(self, ack: Ack) -> None:
        self.acks.append(ack)
        for seq, digest in ack.got:
            if ack.log == self.log and payload_hash(self.outbox.get(seq, b"")) == digest:
                self.settled.add(seq)
        self.rejected.extend((item.hash, item.why) for item in ack.rejected)

    async def _resend(self, command: Command) -> None:
        assert self._client is not None
        wanted = list(numbers(normalised(command.args["seqs"])))
        here = [seq for seq in wanted if seq in self.outbox]
        answer = CommandAck(
            id=command.id,
            outcome=Outcome.QUEUED if here else Outcome.GONE,
            log=command.args["log"],
            queued=of_numbers(here),
            gone=of_numbers(seq for seq in wanted if seq not in self.outbox),
        )
        await self._client.publish(of(self.id, Leaf.CMDACK), encode_command_ack(answer), qos=1)
        await self.send(*here, lane=Leaf.BACKLOG)
