"""The uplink: sends what the outbox holds until the centre says that it has it.

PUBACK settles nothing. One loop sends, one listens, one tells our status, one carries out what
the centre orders; when one of them ends, the connection is given up and built anew.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from egret_core import topics
from egret_core.control import (
    decode_ack,
    decode_centre_status,
    decode_command,
    encode_command_ack,
)
from egret_core.errors import WireError
from egret_core.messages import RENEW, Outcome, Reject, Taking
from egret_core.topics import Leaf
from egret_gateway.credentials import Credentials
from egret_gateway.errors import UplinkError
from egret_gateway.uplink.commands import Commands
from egret_gateway.uplink.mqtt import Connection, Incoming, Will, connect
from egret_gateway.uplink.queue import Queue
from egret_gateway.uplink.window import SILENCE_MS, Flight, Key, Verdict, Window, key_of, lane

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from egret_core.messages import Ack, Rejected
    from egret_gateway.broker import BrokerSettings
    from egret_gateway.bus.pacer import Pacer
    from egret_gateway.clock import Clock
    from egret_gateway.health import Health
    from egret_gateway.outbox import Outbox, Parcel

BACKOFF_MIN_S = 0.5  # seconds before the first new connection
BACKOFF_MAX_S = 30.0  # seconds at most: a centre that is back waits no longer for a gateway
STEADY_MS = 30_000  # a connection that stood so long starts the backoff anew
STATUS_LOOK_S = 1.0  # how often we look whether our status has changed
QUESTION_MS = 30_000  # a gateway without time asks the centre so often
CHORES_MAX = 256  # orders and refusals waiting: both are repeated by the centre
BURST = 32  # batches handed to the connection before others get their turn
GOODBYE_S = 1.0  # seconds for the last PUBACKs when stopping
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Uplink:
    """Runs until cancelled; survives every broker."""

    def __init__(
        self,
        gateway: str,
        broker: BrokerSettings,
        outbox: Outbox,
        clock: Clock,
        health: Health,
        *,
        status_s: float,
        pacer: Pacer | None = None,
    ) -> None:
        self._gateway = gateway
        self._broker = broker
        self._outbox = outbox
        self._clock = clock
        self._health = health
        self._status_s = status_s
        # A cloned card must not throw its twin off the broker: each process has its own name.
        self._identifier = f"{gateway}-{secrets.token_hex(4)}"
        self._window = Window(clock.mono_ms(), random.random)
        self._queue = Queue(lambda: outbox.reader)
        self._credentials = Credentials(broker)
        self._account = ""
        self._commands = Commands(outbox, gateway, broker.credentials, pacer, self._queue.requeued)
        self._chores: asyncio.Queue[Callable[[Connection], Coroutine[None, None, None]]]
        self._chores = asyncio.Queue(CHORES_MAX)
        self._leaving: set[str] = set()
        self._wake = asyncio.Event()
        self._looked = asyncio.Event()
        self._emptied = asyncio.Event()
        self._asked_ms = clock.mono_ms() - QUESTION_MS
        self._patience_ms = SILENCE_MS
        self._was_paused = False
        self._unreadable = 0
        self._connected = False
        self._acked_ms: int | None = None

    async def run(self) -> None:
        """Connect, send and listen for ever; call it inside a task and cancel it to stop."""
        loop = asyncio.get_running_loop()

        def committed(parcels: Sequence[Parcel]) -> None:
            _from_thread(loop, self._on_commit, parcels)

        def rewound(first_id: int) -> None:
            _from_thread(loop, self._on_rewind, first_id)

        self._outbox.listen(committed, rewound)
        backoff_s = BACKOFF_MIN_S
        while True:
            began = self._clock.mono_ms()
            try:
                await self._session()
            except UplinkError as error:
                if error.refused:
                    self._credentials.refused()
                stood = self._clock.mono_ms() - began
                backoff_s = BACKOFF_MIN_S if stood >= STEADY_MS else backoff_s
                _log.warning(
                    "uplink broker=%s:%d lost=%r stood_s=%d again_s=%.1f",
                    self._broker.host, self._broker.port, str(error), stood // 1000, backoff_s,
                )  # fmt: skip
            self._connected = False
            await asyncio.sleep(backoff_s * (0.5 + random.random() / 2))  # noqa: S311
            backoff_s = min(BACKOFF_MAX_S, backoff_s * 2)

    def facts(self) -> Mapping[str, Any]:
        """Return how the link is; `last_ack_s` is None before the first ack."""
        acked = None if self._acked_ms is None else (self._clock.mono_ms() - self._acked_ms) / 1000
        return {
            "connected": self._connected,
            "last_ack_s": acked,
            "in_flight": len(self._window.flights),
            "ack_ms": int(self._window.ack_ms),
        }

    async def settled(self) -> None:
        """Return when all that was committed before is sent and acknowledged."""
        self._looked.clear()
        self._wake.set()
        await self._looked.wait()
        while self._window.flights:
            self._emptied.clear()
            await self._emptied.wait()

    async def _session(self) -> None:
        will = Will(topics.of(self._gateway, Leaf.STATUS), self._health.will())
        login, known = self._credentials.choose(), self._clock.vouched()
        async with connect(self._broker, login, self._identifier, known, will) as connection:
            await connection.subscribe(
                [
                    topics.of(self._gateway, Leaf.ACK),
                    topics.of(self._gateway, Leaf.CMD),
                    topics.CENTRE_STATUS,
                ]
            )
            self._account = login.account
            self._window.connected(self._clock.mono_ms())
            self._connected = True
            self._queue.restart()
            _log.info("uplink broker=%s:%d connected", self._broker.host, self._broker.port)
            await self._tell(connection)
            try:
                await _first_end(
                    self._send(connection),
                    self._listen(connection),
                    self._report(connection),
                    self._work(connection),
                )
            except asyncio.CancelledError:
                # A planned stop: our will would come too late and tell of a fault.
                connection.publish(will.topic, will.payload, retain=True)
                await connection.drained(GOODBYE_S)
                raise

    async def _send(self, connection: Connection) -> None:
        since = self._clock.mono_ms()
        while True:
            self._wake.clear()
            now = self._clock.mono_ms()
            self._watch_silence(since, now)
            for flight in self._window.due(now):
                self._post(connection, flight.parcel, flight.why, now)
            if self._window.probe_due(now):
                await self._probe(connection, self._outbox.reader.newest)
            if self._has_no_time(now):
                await self._probe(connection, self._outbox.reader.question)
            await self._fill(connection)
            self._looked.set()
            wait_ms = self._window.next_ms(self._clock.mono_ms()) - self._clock.mono_ms()
            # Not wait_for: on 3.11 it can swallow a cancellation that meets the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.01, wait_ms / 1000)):
                    await self._wake.wait()

    async def _fill(self, connection: Connection) -> None:
        sent = 0
        while True:
            found = await self._queue.sendable(self._window, self._clock.mono_ms)
            if found is None:
                return
            self._post(connection, *found, self._clock.mono_ms())
            sent += 1
            if sent % BURST == 0:
                await asyncio.sleep(0)

    def _post(self, connection: Connection, parcel: Parcel, why: Verdict, now: int) -> None:
        topic = topics.of(self._gateway, lane(parcel, now))
        connection.publish(topic, parcel.payload)
        self._window.sent(parcel, why, now)

    async def _probe(
        self,
        connection: Connection,
        pick: Callable[[], Coroutine[None, None, list[Parcel]]],
    ) -> None:
        now = self._clock.mono_ms()
        for parcel in await pick():
            self._window.probed(parcel, now)
            connection.publish(topics.of(self._gateway, lane(parcel, now)), parcel.payload)

    def _has_no_time(self, now: int) -> bool:
        if now - self._asked_ms < QUESTION_MS or self._clock.stamp(now) is not None:
            return False
        self._asked_ms = now
        return True

    def _watch_silence(self, since: int, now: int) -> None:
        """Give up a connection on which nothing is acknowledged; each time after a longer wait."""
        paused = self._window.paused(now)
        if self._was_paused and not paused:
            self._queue.restart()
        if paused != self._was_paused:
            _log.warning("uplink centre_takes=%s", "nothing" if paused else self._window.taking)
        self._was_paused = paused
        if self._window.ripe(now):
            self._queue.restart()
        silent = self._window.silent(now) and self._window.taking != Taking.NONE
        if silent and now - since >= self._patience_ms:
            self._patience_ms = min(self._patience_ms * 2, 10 * SILENCE_MS)
            raise UplinkError("no ack of the centre for 60 s", refused=not self._credentials.heard)

    async def _listen(self, connection: Connection) -> None:
        ack, command = (topics.of(self._gateway, leaf) for leaf in (Leaf.ACK, Leaf.CMD))
        async with aclosing(connection.messages()) as messages:
            async for message in messages:
                self._credentials.served()
                try:
                    if message.topic == topics.CENTRE_STATUS:
                        self._on_centre(message)
                    elif message.topic == ack and not message.retained:
                        self._on_ack(decode_ack(message.payload))
                    elif message.topic == command and not message.retained:
                        self._on_command(message.payload)
                except WireError as error:
                    self._unreadable += 1
                    _log.warning("uplink topic=%s unreadable=%r", message.topic, str(error))
                self._wake.set()

    def _on_centre(self, message: Incoming) -> None:
        status = decode_centre_status(message.payload)
        known = status.taking in set(Taking)
        taking = Taking(status.taking) if known else Taking.ALL
        now = self._clock.mono_ms()
        self._window.centre(taking, status.run, now, live=not message.retained)

    def _on_ack(self, ack: Ack) -> None:
        now = self._clock.mono_ms()
        self._window.met(ack.run, now)
        self._acked_ms = now
        self._patience_ms = SILENCE_MS
        found = [self._window.acked(Key(ack.log, seq), digest, now) for seq, digest in ack.got]
        flights = [flight for flight in found if flight is not None]
        asked = max((flight.first_ms for flight in flights), default=None)
        # The question for the time sends what is settled again: that is no mark of its own.
        anew = [f.parcel for f in flights if not self._queue.knows_settled(f.parcel)]
        for parcel in anew:
            self._queue.settled(parcel)
        if anew:
            self._outbox.settle([parcel.id for parcel in anew])
        if flights:
            self._emptied.set()
        for item in ack.rejected:
            flight = self._window.named(item.hash, now)
            if flight is not None:
                asked = max(asked or 0, flight.first_ms)
                self._on_refused(flight, item, now)
        if asked is not None:
            self._learn_time(ack.now_ms, asked, now)

    def _learn_time(self, centre_ms: int, asked_ms: int, now: int) -> None:
        knew = self._clock.stamp(now) is not None
        self._clock.hear(centre_ms, asked_ms, now)
        if not knew and self._clock.stamp(now) is not None:
            _log.info("uplink clock source=centre round_trip_ms=%d", now - asked_ms)
            self._outbox.wake()

    def _on_refused(self, flight: Flight, item: Rejected, now: int) -> None:
        parcel = flight.parcel
        _log.warning("uplink log=%s seq=%d refused=%r", parcel.log, parcel.seq, item.why)
        if item.why == Reject.CONFLICT:
            if parcel.log not in self._leaving:
                self._leaving.add(parcel.log)
                self._do_soon(lambda _: self._leave(parcel.log))
        elif item.why in set(Reject) and Reject(item.why).final:
            self._window.drop(key_of(parcel))
            self._queue.settled(parcel)
            self._do_soon(lambda _: self._outbox.quarantine(parcel.id))
        else:
            # Too old a centre, or a reason of a later one: the batch is good, so it is kept.
            self._window.put_off(key_of(parcel), now)

    async def _leave(self, log: str) -> None:
        self._queue.leave(log)
        for key in [key for key in self._window.flights if key.log == log]:
            self._window.drop(key)
        try:
            await self._outbox.divide(log)
        finally:
            self._leaving.discard(log)
            self._queue.leave("")
            self._queue.restart()

    def _on_command(self, payload: bytes) -> None:
        command = decode_command(payload)

        async def obey(connection: Connection) -> None:
            answer = await self._commands.answer(command)
            topic = topics.of(self._gateway, Leaf.CMDACK)
            connection.publish(topic, encode_command_ack(answer))
            _log.info("uplink cmd=%r do=%r outcome=%s", command.id, command.do, answer.outcome)
            if command.do == RENEW and answer.outcome == Outcome.DONE:
                await connection.drained(GOODBYE_S)
                raise UplinkError(f"left by ourselves, to come back as {answer.detail}")

        self._do_soon(obey)

    def _do_soon(self, chore: Callable[[Connection], Coroutine[None, None, None]]) -> None:
        if self._chores.full():
            return  # the centre repeats what was not answered
        self._chores.put_nowait(chore)

    async def _work(self, connection: Connection) -> None:
        while True:
            chore = await self._chores.get()
            await chore(connection)
            self._wake.set()

    async def _report(self, connection: Connection) -> None:
        seen = self._health.changed()
        told_ms = self._clock.mono_ms()
        while True:
            await asyncio.sleep(STATUS_LOOK_S)
            now, looks = self._clock.mono_ms(), self._health.changed()
            if looks != seen or now - told_ms >= self._status_s * 1000:
                seen, told_ms = looks, now
                await self._tell(connection)

    async def _tell(self, connection: Connection) -> None:
        figures = {
            "in_flight": len(self._window.flights),
            "ack_ms": int(self._window.ack_ms),
            "unreadable": self._unreadable,
        }
        body = await self._health.status(figures, self._account)
        connection.publish(topics.of(self._gateway, Leaf.STATUS), body, retain=True)

    def _on_commit(self, parcels: Sequence[Parcel]) -> None:
        self._queue.committed(parcels)
        self._wake.set()

    def _on_rewind(self, after_id: int) -> None:
        if after_id == 0:
            self._queue.restart()
        else:
            self._queue.rewind(after_id)
        self._wake.set()


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[T], None], news: T) -> None:
    try:
        loop.call_soon_threadsafe(call, news)
    except RuntimeError:
        _log.debug("uplink news after the end of the loop")


async def _first_end(*loops: Coroutine[None, None, None]) -> None:
    """Run until one ends; cancel the others; raise what ended it."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
