"""The only file that knows the MQTT library: one connection, clean session, TCP_NODELAY.

Publishing never waits for the broker's PUBACK: what counts is the centre's ack.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import aiomqtt

from egret_gateway.errors import UplinkError
from egret_gateway.uplink.dial import dialled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from egret_gateway.config import BrokerSettings

CONNECT_S = 15.0  # seconds: a broker in an election may take 5 s and more to answer
KEEPALIVE_S = 30  # seconds: a dead link is noticed, and our will sent, within 45 s
OUTGOING_MAX = 1024  # messages without a PUBACK: the window, three times over
REFUSED = 0x80  # SUBACK code: the broker did not subscribe us
_log = logging.getLogger(__name__)


class Incoming(NamedTuple):
    """A message from the broker; a retained one tells what was, never what time it is."""

    topic: str
    payload: bytes
    retained: bool


class Will(NamedTuple):
    """What the broker publishes for us when we vanish; retained."""

    topic: str
    payload: bytes


class Connection:
    """One standing connection."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._pending: set[asyncio.Task[None]] = set()

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe at QoS 0.

        Raises:
            UplinkError: the broker refused one (SUBACK 0x80): we would be deaf to acks.
        """
        codes = await self._client.subscribe([(topic, 0) for topic in topics])
        _heed_cancel()
        numbers = [getattr(code, "value", code) for code in codes]
        if len(numbers) != len(topics) or any(number >= REFUSED for number in numbers):
            raise UplinkError(f"the broker refused subscriptions: {numbers} for {list(topics)}")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a QoS 1 message to the connection; False where too many still wait."""
        if len(self._pending) >= OUTGOING_MAX:
            return False
        task = asyncio.create_task(self._publish(topic, payload, retain=retain))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return True

    async def messages(self) -> AsyncGenerator[Incoming, None]:
        """Yield what comes; ends with UplinkError when the connection does."""
        try:
            async for message in self._client.messages:
                payload = message.payload
                if isinstance(payload, (bytes, bytearray)):
                    yield Incoming(str(message.topic), bytes(payload), bool(message.retain))
        except aiomqtt.MqttError as error:
            raise UplinkError(str(error)) from error

    async def drained(self, limit_s: float) -> None:
        """Wait for the PUBACKs of what was published, at most so long."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=limit_s)

    async def close(self) -> None:
        """End the tasks that still wait for a PUBACK."""
        for task in tuple(self._pending):
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    async def _publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        try:
            await self._client.publish(topic, payload, qos=1, retain=retain, timeout=math.inf)
        except aiomqtt.MqttError as error:
            # The resend cures it; the reason is told once, by the loop that reads messages.
            _log.debug("uplink publish topic=%s failed=%r", topic, str(error))


def _heed_cancel() -> None:
    """Raise a cancellation that the library swallowed: wait_for of 3.11 does, met by an answer."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@asynccontextmanager
async def connect(broker: BrokerSettings, identifier: str, will: Will) -> AsyncIterator[Connection]:
    """Stand a connection up for the time of the block.

    Raises:
        UplinkError: refused, unreachable, or lost inside the block.
    """
    password = None
    if broker.password_file is not None:
        try:
            password = broker.password_file.read_text().strip()
        except OSError as error:
            raise UplinkError(f"password file: {error}") from error
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.username or None,
        password=password,
        identifier=identifier,
        clean_session=True,
        keepalive=KEEPALIVE_S,
        timeout=CONNECT_S,
        will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True),
        max_inflight_messages=OUTGOING_MAX,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    client.pending_calls_threshold = OUTGOING_MAX
    try:
        line = await dialled(broker.host, broker.port, CONNECT_S)
    except OSError as error:
        raise UplinkError(str(error)) from error
    # There is no public way to hand paho a socket.
    client._client._create_socket_connection = lambda: line  # type: ignore[method-assign]  # noqa: SLF001
    try:
        async with client:
            _heed_cancel()
            connection = Connection(client)
            try:
                yield connection
            finally:
                await connection.close()
    except aiomqtt.MqttError as error:
        raise UplinkError(str(error)) from error
