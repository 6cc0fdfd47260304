"""The judge: journal in, condition events out, in event time.

It consumes the journal as `judge`: entries in the order of their ids through the pure fold of
`egret_core.rules.step`. Events are handed to `take`, which returns once they are durable; only
then are the positions and the changed state saved. A crash in between replays the same entries
to the same event ids, which are inserted or ignored: the judge never reads the ledger.

At a change, rules that begin without state take their history from the store (`warmup`). The state
is saved before the next entry, so that what was read once is what every replay goes on from. So it
is at a tick at which the second fold (`retrospect`) has found something in late readings.

A save that fails is tried again and stops nothing: on a full disk the judge goes on with what the
journal shows, and a crash would only have it judge more of it twice, to the same ids.

It breathes after at most 256 readings, so that intake and API in the same process stay honest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from egret_aggregator import judge_health
from egret_aggregator.catalogue import Catalogue, from_payload
from egret_aggregator.errors import JournalClosedError, JournalError
from egret_aggregator.journal.entry import Entry, EntryKind
from egret_aggregator.retrospect import SecondFold
from egret_aggregator.warmup import Past, Warmed, warm
from egret_core.codec import decode_batch
from egret_core.entries import Readings, read_metas, read_readings
from egret_core.errors import ConfigError, EgretError
from egret_core.messages import Batch, Kind
from egret_core.progress import Pulse
from egret_core.rules.step import SLICE, Change, Facts, Fold, Receipt

if TYPE_CHECKING:
    from egret_aggregator.judge_entries import Entries
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.screened import Shown
    from egret_core.rules.standings import Standings

CONSUMER = "judge"
ENTRIES_MAX = 64  # entries a read: at 200 readings each, a quarter of a second's work at most
TELL_WITHIN_S = 0.1  # real time an event may wait for others to be judged: one commit for all
TELL_MAX = 500  # events of one commit
SAVE_EVERY_S = 5.0  # real time between saves: what a crash replays, at a twentieth of the cost
_CATALOGUE = "catalogue"  # key of the change entry in force

Take = Callable[[Sequence["ConditionEvent"]], Awaitable[None]]
_log = logging.getLogger(__name__)


def decoded(entry: Entry) -> Batch:
    """Return the batch in an entry; WireError where it is none."""
    return decode_batch(entry.payload)


def readings(entry: Entry) -> Readings:
    """Return the readings in an entry; WireError where it holds no batch."""
    return read_readings(decoded(entry))


class Judge:
    """A consumer of the journal; one `run` at a time."""

    def __init__(
        self,
        journal: Entries,
        take: Take,
        catalogue: Catalogue,
        now_ms: Callable[[], int],
        *,
        past: Past | None = None,
        decoded: Callable[[Entry], Batch] = decoded,
        readings: Callable[[Entry], Readings] = readings,
    ) -> None:
        """Remember its neighbours.

        Args:
            journal: what it reads and where its state is kept.
            take: takes events, and returns once they are durable.
            catalogue: in force from the next change entry on.
            now_ms: the centre's clock.
            past: where new rules find their history, and the second fold late readings; without
                it rules begin cold, and nobody looks back.
            decoded: the batch of an entry; the journal's own shares one parse.
            readings: the readings of an entry; likewise.
        """
        self._journal = journal
        self._take = take
        self._catalogue = catalogue
        self._now_ms = now_ms
        self._decoded = decoded
        self._readings = readings
        self._past = past
        self._warmed = Warmed()
        self._second = SecondFold(past)
        self._fold = Fold()
        self._in_force = ""
        self._positions: dict[int, int] = {}
        self._changed: dict[str, bytes | None] = {}
        self._since_breath = 0
        self._unsaved = False
        self._within_entry = False
        self._saved_at_s = 0.0
        self._events = 0
        self._unreadable = 0
        self._judged_to_ms = 0
        self._newest_ms = 0
        self._told_to = 0
        self._pending: list[ConditionEvent] = []
        self._pending_since_s = 0.0
        self._announced = False
        self._announce_from_s = float("-inf")
        self._told_failure = ""
        self.failures = 0  # commits that were refused since the start
        self._taken = 0  # entries judged; grows with each
        self._waits = False  # for those who record what was decided, or for what they recorded

    async def run(self) -> None:
        """Judge until cancelled: resume, announce the catalogue, follow the journal."""
        try:
            await self._follow()
        finally:
            await self._second.stop()

    async def _follow(self) -> None:
        await self._resume()
        self._announced = self._in_force == self._catalogue.version
        while True:
            await self._announce()
            entries = await self._journal.read(self._positions, ENTRIES_MAX)
            for entry in entries:
                await self._judge(entry)
                if self._pending and self._time_s() - self._pending_since_s >= TELL_WITHIN_S:
                    await self._tell()
            if not self._pending or len(entries) < ENTRIES_MAX:
                await self._tell()  # else there is more to judge already: it may share the commit
            await self._save_in_time()
            if not entries:
                self._announced = self._in_force == self._catalogue.version  # not another start's
                await self._rest()

    async def flush(self) -> None:
        """Save positions and state now; for an orderly end, after `run` was cancelled.

        Where it was cancelled within an entry, or before its events were recorded, nothing is
        saved: the state is ahead, and what follows the last save is judged again. A commit that
        fails is told, and what is unsaved stays so.

        Raises:
            JournalClosedError: there will be no commit any more.
        """
        if not self._unsaved or self._within_entry or self._pending:
            return
        for part in self._fold.changed_slices():
            self._changed.update(part)
            await asyncio.sleep(0)
        self._saved_at_s = self._time_s()  # of the try: the next is not at once
        try:
            await self._journal.save(CONSUMER, dict(self._positions), dict(self._changed))
        except JournalClosedError:
            raise
        except JournalError as error:
            self._failed(f"state not saved: {error}")
            return
        self._changed = {}
        self._unsaved = False
        self._told_failure = ""

    def pulse(self, head: int) -> Pulse:
        """Return whether there are entries up to `head` to judge, and how many were judged.

        While it waits for its events to be recorded, or for history, it is not its turn: a database
        may be away.
        """
        behind = head > max(self._positions.values(), default=0)
        return Pulse(behind and not self._waits, self._taken)

    @property
    def position(self) -> int:
        """Return the newest entry that was judged and whose events are on record."""
        return self._told_to

    @property
    def judged_to_ms(self) -> int:
        """Return the receipt time of the newest entry judged, 0 before the first."""
        return self._judged_to_ms

    @property
    def catalogue(self) -> str:
        """Return the version of the catalogue that is judged by, "" before the first."""
        return self._in_force

    def health(self) -> Mapping[str, Any]:
        """Return what an operator may want to see: counts since start, and how far it is."""
        return {
            **judge_health.of_fold(self._fold),
            "position": self._told_to,
            "judged_to_ms": self._judged_to_ms,
            "catalogue": self._in_force,
            "events": self._events,
            "unreadable": self._unreadable,
            "warm": self._warmed.warm,
            "cold": self._warmed.cold,
            "looked_back": self._second.looked,
            "look_back_failed": self._second.failed,
            "looking_back": self._second.reading,
        }

    def screened(self, station: str, channel: str) -> Shown:
        """Return what the centre's screening says of a channel."""
        return judge_health.of_screening(self._fold, station, channel)

    def standings(self, station: str) -> Mapping[str, Standings]:
        """Return what each rule can say now, by channel of a station."""
        return judge_health.of_station(self._fold, station)

    def standing_counts(self) -> Mapping[str, int]:
        """Return how many pairs of rule and channel have each standing."""
        return judge_health.standing_counts(self._fold)

    async def _announce(self) -> None:
        """Have the catalogue take effect at an entry; until then the saved one is in force."""
        if self._announced or self._time_s() < self._announce_from_s:
            return
        self._announce_from_s = self._time_s() + SAVE_EVERY_S
        try:
            await self._journal.change(self._catalogue.payload(), self._now_ms())
            self._announced = True
        except JournalClosedError:
            raise
        except JournalError as error:
            self._failed(f"catalogue not announced: {error}")

    def _failed(self, why: str) -> None:
        """Tell each new reason once; tries are many."""
        self.failures += 1
        if why != self._told_failure:
            self._told_failure = why
            _log.error("event=judge_not_saved why=%r retry_s=%s", why, SAVE_EVERY_S)

    async def _resume(self) -> None:
        self._positions, state = await self._journal.load(CONSUMER)
        self._fold = Fold()
        self._changed = {}
        self._in_force = ""
        self._unsaved = False
        self._within_entry = False
        self._pending = []
        self._waits = False
        self._saved_at_s = self._time_s()
        payload = state.get(_CATALOGUE)
        if payload is not None:
            catalogue = self._of_its_time(payload)
            self._fold.change(Change(catalogue.places(), catalogue.rules, 0), [])
            self._fold.restore(state)
            self._in_force = catalogue.version
        at = self._told_to = max(self._positions.values(), default=0)
        _log.info("judge resumed position=%d catalogue=%s", at, self._in_force or "none")

    def _of_its_time(self, payload: bytes) -> Catalogue:
        try:
            return from_payload(payload)
        except ConfigError as error:
            # Today's rules begin as any new ones do: at an entry, warmed and dated by it.
            _log.warning("saved catalogue not read, no rules until today's why=%r", str(error))
            return Catalogue(self._catalogue.stations, (), "", {})

    async def _judge(self, entry: Entry) -> None:
        self._within_entry = True
        save_now = entry.kind is EntryKind.CHANGE
        if entry.kind is EntryKind.TICK:
            for events in self._fold.tick(entry.received_ms):
                await self._say(events, SLICE)
            save_now = self._second.tick(self._fold, (entry.id, entry.received_ms))
        elif entry.kind is EntryKind.CHANGE:
            await self._change(entry)
        elif entry.kind is EntryKind.BATCH:
            await self._batch(entry)
        self._positions[entry.partition] = entry.id
        if entry.kind is not EntryKind.CHANGE:  # our own word at the start is no news of the field
            self._newest_ms = entry.received_ms
        self._taken += 1
        self._unsaved = True
        self._within_entry = False
        if save_now:
            # What follows from history must follow from saved state: the store may hold more
            # when a crash replays this entry.
            await self._tell()
            await self.flush()

    async def _batch(self, entry: Entry) -> None:
        try:
            batch = self._decoded(entry)
            if batch.kind == Kind.META:
                self._fold.learn(Facts(entry.gateway, read_metas(batch).channels))
            if batch.kind != Kind.READINGS:
                return
            dated = self._readings(entry).dated
        except EgretError as error:
            self._unreadable += 1
            _log.warning("entry not judged id=%d gateway=%s why=%r", entry.id, entry.gateway, error)
            return
        for start in range(0, len(dated), SLICE):
            events: list[ConditionEvent] = []
            part = dated if len(dated) <= SLICE else dated[start : start + SLICE]
            self._fold.receive(Receipt(entry.gateway, entry.received_ms, part), events)
            await self._say(events, len(part))

    async def _change(self, entry: Entry) -> None:
        try:
            catalogue = from_payload(entry.payload)
        except ConfigError as error:
            self._unreadable += 1
            _log.error("change not taken id=%d why=%r", entry.id, str(error))
            return
        if catalogue.version == self._in_force:
            return
        events: list[ConditionEvent] = []
        change = Change(catalogue.places(), catalogue.rules, entry.received_ms)
        self._fold.change(change, events)
        if self._past is not None:
            self._waits = True  # for the store: not long, and not its own turn
            await warm(self._fold, self._past, (entry.id, entry.received_ms), self._warmed)
            self._waits = False
        self._in_force = catalogue.version
        self._changed[_CATALOGUE] = entry.payload
        _log.info("catalogue in force version=%s rules=%d", self._in_force, len(catalogue.rules))
        await self._say(events, SLICE)

    async def _say(self, events: list[ConditionEvent], work: int) -> None:
        if events:
            if not self._pending:
                self._pending_since_s = self._time_s()
            self._pending += events
            if len(self._pending) >= TELL_MAX:
                await self._tell()
        self._since_breath += work
        if self._since_breath >= SLICE:
            self._since_breath = 0
            await asyncio.sleep(0)

    async def _tell(self) -> None:
        """Have what was decided recorded: only then is it shown as judged, or saved."""
        if self._pending:
            self._waits = True
            await self._take(self._pending)
            self._waits = False
            self._events += len(self._pending)
            self._pending = []
        if not self._within_entry:
            self._told_to = max(self._positions.values(), default=0)
            self._judged_to_ms = self._newest_ms

    @staticmethod
    def _time_s() -> float:
        return asyncio.get_running_loop().time()

    async def _save_in_time(self) -> None:
        if self._time_s() - self._saved_at_s >= SAVE_EVERY_S:
            await self._tell()
            await self.flush()

    async def _rest(self) -> None:
        """Wait for the next entry, saving on the way when it is time."""
        after = max(self._positions.values(), default=0)
        if not self._unsaved and self._announced:
            await self._journal.wait(after)
            return
        due_s = self._saved_at_s + SAVE_EVERY_S if self._announced else self._announce_from_s
        left_s = due_s - self._time_s()
        try:
            # Not wait_for: on 3.11 it can swallow a cancellation that meets the entry.
            async with asyncio.timeout(max(left_s, 0.0)):
                await self._journal.wait(after)
        except TimeoutError:
            await self.flush()
