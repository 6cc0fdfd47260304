"""The intake: batches from the broker into the journal, and word back after each commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_aggregator.errors import JournalError
from egret_aggregator.intake.acks import acks
from egret_aggregator.intake.antientropy import AntiEntropy
from egret_aggregator.intake.gateways import Gateways, GatewayView
from egret_aggregator.intake.inbox import Arrived, Inbox
from egret_aggregator.intake.mqtt import Line
from egret_aggregator.intake.pace_orders import PaceOrders
from egret_aggregator.intake.verdict import Refused, read
from egret_aggregator.journal.receipt import Incoming, Verdict
from egret_aggregator.metrics import Histogram
from egret_aggregator.metrics.histogram import DISK_S
from egret_aggregator.supervision import ended
from egret_core.control import (
    decode_command_ack,
    decode_status,
    encode_ack,
    encode_centre_status,
    encode_command,
)
from egret_core.errors import WireError
from egret_core.messages import CentreStatus, Command, Reject, Taking
from egret_core.progress import Pulse
from egret_core.topics import CENTRE_STATUS, Leaf, of, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_aggregator.clock import Clock
    from egret_aggregator.config import BrokerSettings
    from egret_aggregator.enrolment.renewal import Renewals
    from egret_aggregator.journal import Journal
    from egret_core.seqranges import Ranges

STATE = "intake"  # the journal keeps our state under this name; trimming does not wait for it
TICK_S = 10.0  # of the scaled line (DESIGN, absence)
STATUS_S = 60.0  # between two centre statuses
LOOK_S = 1.0  # between two looks for something to ask, or a change in what is taken
SLICE_ITEMS = 64  # messages read before the event loop gets a turn: about 10 ms
SLICE_B = 256 * 1024  # payload bytes likewise
COMMITS_MAX = 8  # slices on their way through the journal at a time
RUN_B = 8  # random bytes of a run id

_log = logging.getLogger(__name__)


class _Slice(NamedTuple):
    """Messages that go through the journal together."""

    taken: list[Incoming]
    came_s: list[float]
    refused: list[Refused]
    cost_b: int


class Intake:
    """Takes what gateways send, acknowledges what is committed, asks for what is missing.

    Args:
        settings: where the broker is.
        journal: an open journal.
        clock: the centre's.
    """

    def __init__(self, settings: BrokerSettings, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self.run_id = secrets.token_hex(RUN_B)
        self._inbox = Inbox()
        self._line = Line(
            settings, self._inbox, run=self.run_id, now_ms=clock.now_ms, up=self._greet
        )
        self._antientropy = AntiEntropy(journal.known, self.run_id)
        self._gateways = Gateways(self._antientropy.missing)
        self._slots = asyncio.Semaphore(COMMITS_MAX)
        self._broken = False
        self._told: Taking | None = None
        self._changed: set[str] = set()
        self._gone: list[tuple[str, str, Ranges]] = []
        self._wake = asyncio.Event()
        self._strange = 0
        self._unheard = 0
        self._acks = 0
        self._looks = 0
        self.commit_s = Histogram(DISK_S)
        self.pace = PaceOrders(self.run_id)
        self.renewals: Renewals | None = None  # of gateways' credentials, where they are ours

    async def run(self) -> None:
        """Take batches until cancelled; the broker may come and go."""
        _, state = await self._journal.load(STATE)
        for gateway, kept in state.items():
            self._gateways.restore(gateway, kept)
        async with asyncio.TaskGroup() as group:
            parts = [
                group.create_task(self._line.run(), name="intake-line"),
                group.create_task(self._tick(), name="intake-tick"),
                group.create_task(self._look(), name="intake-look"),
            ]
            try:
                await self._drain(group)
            finally:
                await ended(parts)

    def gateways(self) -> list[GatewayView]:
        """Return every gateway ever heard of, by id."""
        return self._gateways.views(self._clock.monotonic_s())

    @property
    def pulse(self) -> Pulse:
        """Return how often it looked for something to ask: it does so all the time."""
        return Pulse(busy=True, steps=self._looks)

    def names(self) -> list[str]:
        """Return the ids of every gateway ever heard of, sorted."""
        return self._gateways.names()

    def gateway(self, name: str) -> GatewayView | None:
        """Return one gateway, None for one that is unknown or forgotten."""
        return self._gateways.view(name, self._clock.monotonic_s())

    @property
    def totals(self) -> Mapping[str, int]:
        """Return batches of all gateways by verdict, and refusals by reason."""
        return self._gateways.totals

    def health(self) -> Mapping[str, Any]:
        """Return figures an operator can act on."""
        return {
            "connected": self._line.connected,
            "connections": self._line.connections,
            "error": self._line.last_error,
            "taking": str(self.taking),
            "inbox_b": self._inbox.held_b,
            "dropped": self._inbox.dropped,
            "strange": self._strange,
            "acks": self._acks,
            "acks_unheard": self._unheard,
            "inbox_max_b": self._inbox.budget_b,
            "asked": self._antientropy.asked,
            "asked_open": self._antientropy.open,
        }

    @property
    def taking(self) -> Taking:
        """Return what gateways are told that we take."""
        return Taking.NONE if self._broken else self._journal.fill.taking

    async def _drain(self, group: asyncio.TaskGroup) -> None:
        while True:
            arrived = await self._inbox.take(SLICE_ITEMS, SLICE_B)
            part = _Slice([], [], [], sum(message.cost_b for message in arrived))
            for message in arrived:
                result = self._sort(message)
                if isinstance(result, Incoming):
                    part.taken.append(result)
                    part.came_s.append(message.came_s)
                elif result is not None:
                    part.refused.append(result)
            await self._slots.acquire()
            group.create_task(self._commit(part))
            await asyncio.sleep(0)

    def _sort(self, message: Arrived) -> Incoming | Refused | None:
        where = parse(message.topic)
        if where is None:
            if not message.topic.startswith(CENTRE_STATUS):
                self._strange += 1
                _log.warning("event=strange_topic topic=%r", message.topic[:100])
            return None
        gateway, leaf = where
        if not message.retained:
            self._gateways.heard(gateway, self._clock.now_ms(), self._clock.monotonic_s())
        if leaf in (Leaf.DATA, Leaf.BACKLOG):
            # A retained batch would be an old one served again by the broker: it is known then.
            return read(gateway, leaf, message.payload)
        try:
            if leaf is Leaf.STATUS:
                self._status(gateway, message.payload)
            else:
                self._answer(gateway, message.payload)
        except WireError as error:
            refused = Refused(gateway, "", None, str(leaf), error.why, error.detail)
            self._gateways.refused(refused)
        return None

    async def _commit(self, part: _Slice) -> None:
        try:
            verdicts = await self._append(part.taken)
            self._inbox.release(part.cost_b)
            if verdicts:
                now_s = self._clock.monotonic_s()
                for came_s in part.came_s:
                    self.commit_s.observe(now_s - came_s)
            await self._tell(part.taken, verdicts, part.refused)
        finally:
            self._slots.release()

    async def _tell(
        self, taken: list[Incoming], verdicts: list[Verdict], refused: list[Refused]
    ) -> None:
        now_s = self._clock.monotonic_s()
        for item, verdict in zip(taken, verdicts, strict=False):
            if verdict is Verdict.NEW and item.lane is Leaf.DATA:
                self._gateways.taken(item, verdict, now_s)
            else:
                self._gateways.counted(item, verdict)
        for no in refused:
            self._gateways.refused(no)
        pairs = zip(taken, verdicts, strict=False)
        for gateway, ack in acks(pairs, refused, self._clock.now_ms(), self.run_id):
            if await self._line.publish(of(gateway, Leaf.ACK), encode_ack(ack)):
                self._acks += 1
            else:
                self._unheard += 1

    async def _append(self, taken: list[Incoming]) -> list[Verdict]:
        """Return verdicts, none where the commit failed: then nobody is acknowledged."""
        if not taken:
            return []
        try:
            verdicts = await self._journal.append(taken, self._clock.now_ms())
        except JournalError as error:
            self._broken = True
            _log.error("event=intake_not_journalled batches=%d error=%r", len(taken), str(error))
            return []
        self._broken = False
        return verdicts

    def _status(self, gateway: str, payload: bytes) -> None:
        status = decode_status(payload)
        if status.gateway != gateway:
            raise WireError(Reject.FOREIGN, f"status names {status.gateway!r}")
        self._gateways.status(status)
        self._antientropy.saw(status, self._clock.monotonic_s())
        if self.renewals is not None and status.online:
            self.renewals.saw(gateway, status.extra.get("account"))
        self._changed.add(gateway)
        self._wake.set()

    def _answer(self, gateway: str, payload: bytes) -> None:
        answer = decode_command_ack(payload)
        if self.renewals is not None:
            self.renewals.answered(gateway, answer)
        if self.pace.answered(gateway, answer) is not None:
            _log.info(
                "event=pace_answered gateway=%s order=%s outcome=%r detail=%r",
                gateway,
                answer.id,
                answer.outcome,
                answer.detail,
            )
        log, gone = self._antientropy.answered(gateway, answer, self._clock.monotonic_s())
        if gone:
            _log.warning("event=batches_gone gateway=%s log=%s seqs=%s", gateway, log, gone)
            self._gone.append((gateway, log, gone))
        self._wake.set()

    async def _note(self) -> None:
        """Make durable what statuses and answers told; a failure is tried again."""
        try:
            while self._gone:
                await self._journal.lose(*self._gone[0])
                self._gone.pop(0)
            if self._changed:
                kept = {gateway: self._gateways.keep(gateway) for gateway in self._changed}
                await self._journal.save(STATE, {}, kept)
                self._changed -= kept.keys()
        except JournalError as error:
            _log.error("event=gateway_state_not_kept error=%r", str(error))

    async def _ask(self) -> None:
        if self.taking is not Taking.ALL:
            return  # what is asked for comes as backlog: there must be room for it
        now_s = self._clock.monotonic_s()
        for ask in list(self._antientropy.due(now_s)):  # a status may come meanwhile
            command = Command(
                id=ask.id,
                expires_ms=self._clock.in_ms(ask.expires_s - now_s),
                do="resend",
                args={"log": ask.log, "seqs": ask.seqs},
                now_ms=self._clock.now_ms(),
            )
            await self._line.publish(of(ask.gateway, Leaf.CMD), encode_command(command))

    async def _hand_out(self) -> None:
        """Send what people ordered, and the credentials that are being renewed."""
        in_ms, now_ms = self._clock.in_ms, self._clock.now_ms()
        # Lists: while one is being sent, others are made and end.
        commands = list(self.pace.due(self._clock.monotonic_s(), in_ms, now_ms))
        if self.renewals is not None:
            commands += list(self.renewals.due(in_ms, now_ms))
        for gateway, command in commands:
            await self._line.publish(of(gateway, Leaf.CMD), encode_command(command))

    async def _greet(self) -> None:
        """Tell every gateway that we are here; they resend at once to a new run."""
        self._told = self.taking
        status = CentreStatus(self._told, self._clock.now_ms(), self.run_id)
        await self._line.publish(CENTRE_STATUS, encode_centre_status(status), retain=True)

    async def _look(self) -> None:
        greeted_s = self._clock.monotonic_s()
        while True:
            # Not wait_for: on 3.11 it can swallow a cancellation that meets the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            self._looks += 1
            now_s = self._clock.monotonic_s()
            if now_s - greeted_s >= STATUS_S or self._told is not self.taking:
                greeted_s = now_s
                await self._greet()
            await self._note()
            await self._hand_out()
            await self._ask()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            if self._line.connected:
                try:
                    await self._journal.tick(self._clock.now_ms())
                except JournalError as error:
                    _log.error("event=tick_not_journalled error=%r", str(error))
