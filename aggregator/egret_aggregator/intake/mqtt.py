"""The centre's connection to the broker; the only file that knows the MQTT library."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from typing import TYPE_CHECKING, Any, cast

import aiomqtt

from egret_aggregator.errors import BrokerError
from egret_aggregator.intake.inbox import Inbox
from egret_aggregator.intake.tls import context, meaning
from egret_core.control import encode_centre_status
from egret_core.errors import ConfigError
from egret_core.messages import CentreStatus, Taking
from egret_core.topics import CENTRE_STATUS, UPWARD, everyone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from egret_aggregator.config import BrokerSettings

CONNECT_S = 15.0  # a broker in an election takes 5 s
KEEPALIVE_S = 15  # a frozen link is noticed after one and a half of it
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between connections; the broker is ours or next door
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (what an operator may have written)
FAREWELL_S = 1.0  # for the last word before we go

_log = logging.getLogger(__name__)


class Line:
    """One connection at a time, for ever: subscribed to every gateway, filling the inbox.

    Args:
        settings: where the broker is.
        inbox: takes every message.
        run: this start's id; now_ms: the centre's clock.
        up: awaited after each subscription that the broker granted.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        inbox: Inbox,
        *,
        run: str,
        now_ms: Callable[[], int],
        up: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        # A broker of ours that listens on every address is reached on this machine.
        self._host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host
        self._inbox = inbox
        self._run = run
        self._now_ms = now_ms
        self._up = up
        self._client: aiomqtt.Client | None = None
        self.connections = 0
        self.last_error = ""

    @property
    def connected(self) -> bool:
        """Whether we are connected and subscribed."""
        return self._client is not None

    async def run(self) -> None:
        """Connect, subscribe, and again, until cancelled."""
        failures = 0
        while True:
            try:
                await self._once()
            except (aiomqtt.MqttError, OSError, ConfigError) as error:
                if self._client is not None:
                    failures = 0
                why = meaning(error, self._host)
                if why != self.last_error:
                    self.last_error = why
                    _log.warning("event=broker_lost error=%r", self.last_error)
            finally:
                self._client = None
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Send a message, QoS 0, or QoS 1 where it is retained; tell whether it went out."""
        client = self._client
        if client is None:
            return False
        try:
            await client.publish(topic, payload, qos=1 if retain else 0, retain=retain)
        except aiomqtt.MqttError:
            return False
        return True

    async def _once(self) -> None:
        # Read anew each time: a renewed certificate is taken up without a restart.
        tls = await asyncio.to_thread(context, self._settings)
        async with aiomqtt.Client(
            self._host,
            self._settings.port,
            # Not to be guessed: whoever connects under it throws us off the broker.
            identifier=f"egret-centre-{secrets.token_hex(8)}",
            username=self._settings.username or None,
            password=await asyncio.to_thread(self._password),
            tls_context=tls,
            clean_session=True,
            keepalive=KEEPALIVE_S,
            timeout=CONNECT_S,
            will=aiomqtt.Will(CENTRE_STATUS, self._status(Taking.NONE), qos=1, retain=True),
            # The library calls this with a size; ours is bounded in bytes instead.
            queue_type=cast("Any", lambda **_: self._inbox),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        ) as client:
            client.pending_calls_threshold = 1000  # acks are many, and go out at once
            granted = await client.subscribe([(everyone(leaf), 1) for leaf in UPWARD])
            if any(_refused(code) for code in granted):
                raise aiomqtt.MqttError(f"subscription refused: {granted!r}")
            self._client = client
            self.connections += 1
            self.last_error = ""
            _log.info("event=broker_connected host=%s", self._host)
            try:
                await self._up()
                async for _ in client.messages:
                    pass  # never: the inbox is emptied elsewhere
            except asyncio.CancelledError:
                await self._farewell(client)
                raise

    async def _farewell(self, client: aiomqtt.Client) -> None:
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            status = self._status(Taking.NONE)
            await client.publish(CENTRE_STATUS, status, qos=1, retain=True, timeout=FAREWELL_S)

    def _status(self, taking: Taking) -> bytes:
        return encode_centre_status(CentreStatus(taking, self._now_ms(), self._run))

    def _password(self) -> str | None:
        file = self._settings.password_file
        return file.read_text().strip() if file else None


def _refused(code: object) -> bool:
    """Tell whether a SUBACK code is a refusal: 0x80 in MQTT 3.1.1."""
    return bool(getattr(code, "is_failure", False)) or code == 0x80  # noqa: PLR2004


class _ReachedError(Exception):
    """The broker granted what we asked for; it ends a probe."""


async def probe(settings: BrokerSettings, now_ms: Callable[[], int]) -> None:
    """Connect and subscribe as the centre does, and leave again; nothing is published.

    Raises:
        BrokerError: it could not be reached, or refused us.
    """

    async def up() -> None:
        await asyncio.sleep(0)
        raise _ReachedError

    line = Line(settings, Inbox(), run=secrets.token_hex(4), now_ms=now_ms, up=up)
    try:
        await line._once()  # noqa: SLF001  (the same file)
    except _ReachedError:
        return
    except (aiomqtt.MqttError, OSError) as error:
        raise BrokerError(f"{settings.host}:{settings.port}: {error}") from error
