"""The only file that knows the MQTT library: one connection, clean session, TCP_NODELAY.

Publishing never waits for the broker's PUBACK: what counts is the centre's ack.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import aiomqtt

from egret_core.tls import failure
from egret_gateway.errors import UplinkError
from egret_gateway.uplink.dial import dialled
from egret_gateway.uplink.tls import Line, Tls

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from egret_gateway.broker import BrokerSettings
    from egret_gateway.clock import Vouched
    from egret_gateway.credentials import Login

CONNECT_S = 15.0  # seconds: a broker in an election may take 5 s and more to answer
OUTGOING_MAX = 1024  # messages without a PUBACK: the window, three times over
NOT_AUTHORISED = (134, 135)  # CONNACK: bad user name or password; not authorised
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
            raise UplinkError(
                f"the broker refused subscriptions: {numbers} for {list(topics)}", refused=True
            )

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
async def connect(
    broker: BrokerSettings,
    login: Login,
    identifier: str,
    known: Vouched,
    will: Will | None = None,
) -> AsyncIterator[Connection]:
    """Stand a connection up for the time of the block.

    Args:
        broker: where.
        login: as whom.
        identifier: MQTT client id.
        known: what is known of the time, for the broker's certificate.
        will: what the broker publishes when we vanish, None for nothing.

    Raises:
        UplinkError: refused, unreachable, or lost inside the block.
    """
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=login.account or None,
        password=login.password,
        identifier=identifier,
        clean_session=True,
        keepalive=int(broker.keepalive_s),
        timeout=CONNECT_S,
        will=None if will is None else aiomqtt.Will(will.topic, will.payload, qos=1, retain=True),
        max_inflight_messages=OUTGOING_MAX,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    client.pending_calls_threshold = OUTGOING_MAX
    try:
        tls = _tls(broker, login, known)
        line = await dialled(broker.host, broker.port, CONNECT_S, tls)
    except OSError as error:
        raise UplinkError(str(error)) from error
    # There is no public way to hand paho a socket.
    client._client._create_socket_connection = lambda: line  # type: ignore[method-assign]  # noqa: SLF001
    _hear_refusal(client)
    try:
        async with client:
            _heed_cancel()
            connection = Connection(client)
            try:
                yield connection
            finally:
                await connection.close()
    except aiomqtt.MqttError as error:
        raise _told(error, line) from error


def _hear_refusal(client: aiomqtt.Client) -> None:
    """End the wait for a CONNACK when the broker hangs up instead of sending one."""

    def hung_up(*arguments: Any) -> None:  # noqa: ANN401  (paho's, handed on)
        if client._connected.done():  # noqa: SLF001  (there is no public way)
            client._on_disconnect(*arguments)  # noqa: SLF001
        else:
            error = aiomqtt.MqttError("the broker hung up before it took us")
            client._connected.set_exception(error)  # noqa: SLF001

    client._client.on_disconnect = hung_up  # noqa: SLF001


def _tls(broker: BrokerSettings, login: Login, known: Vouched) -> Tls | None:
    if broker.ca_file is None:
        return None
    try:
        return Tls(broker.ca_file, login.pair, broker.host, known)
    except ssl.SSLError as error:
        raise UplinkError(f"certificate of {login.account!r}: {error}", refused=True) from error


def _told(error: aiomqtt.MqttError, line: socket.socket) -> UplinkError:
    """Return what ended a connection, and whether our credential was the reason."""
    code = getattr(getattr(error, "rc", None), "value", None)
    if isinstance(line, Line) and line.fault:
        return UplinkError(failure(line.fault, line.fault), refused=True)
    if code in NOT_AUTHORISED:
        return UplinkError("the broker does not know our credential, or has ended it", refused=True)
    return UplinkError(str(error))
