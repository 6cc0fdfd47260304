"""The ledger: one sealer appends condition events and people's acts, and folds them.

A line, its hash and the warning it changes are written in one transaction that holds the write
lock from before the head is read, so that the chain has one order across processes.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import ledger_rows, warning_rows
from egret_aggregator.errors import DatabaseUnavailableError
from egret_aggregator.warnings import acts, fold, lookback
from egret_aggregator.warnings.older_basis import is_older
from egret_aggregator.warnings.record import EMPTY, STREAMED, Head, Kind, Record, sealed
from egret_aggregator.warnings.state import State, summary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from egret_aggregator.database import Database
    from egret_aggregator.database.warning_rows import Query
    from egret_aggregator.warnings.acts import Act
    from egret_aggregator.warnings.state import WarningState
    from egret_core.rules.event import ConditionEvent

    Deed = Callable[[AsyncConnection], Awaitable[bool]]  # tells whether it changed anything

TAKE_MAX = 500  # events in one transaction: the write lock is held for tens of milliseconds
HISTORY_MAX = 1000  # lines of one warning in one answer; the newest are given
LOOKED_BACK_MAX = 100  # newest warnings of a subject among which an event of the past has its place
UNHEARD_MAX = 20_000  # lines told late; a stream further behind reads the ledger anew

_LOG = logging.getLogger(__name__)


class Acted(NamedTuple):
    """What became of an act: its line, the warning after it, and whether it was a repeat."""

    record: Record
    state: WarningState
    repeated: bool


class Ledger:
    """Warnings on record, for one database."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        self._sealing = asyncio.Lock()
        self._listeners: list[Callable[[Sequence[Record]], None]] = []
        self._head = EMPTY

    async def open(self) -> None:
        """Read the head; the database is open."""
        async with self._database.reading() as connection:
            self._head = await ledger_rows.head(connection)

    @property
    def head(self) -> Head:
        """The newest line this process has written or read."""
        return self._head

    @property
    def fault(self) -> str:
        """Why the database does not answer now, "" where it did at the last attempt."""
        return self._database.fault

    async def look(self) -> None:
        """Ask the database for a sign of life; `fault` tells whether it gave one."""
        with suppress(DatabaseUnavailableError):
            async with self._database.reading() as connection:
                await ledger_rows.head(connection)

    async def holds(self, head: Head) -> bool:
        """Tell whether a line that was the newest once still stands as it was."""
        if head.seq == 0:
            return True
        async with self._database.reading() as connection:
            lines = await ledger_rows.after(connection, head.seq - 1, 1)
        return [(line.seq, line.hash) for line in lines] == [head]

    def listen(self, listener: Callable[[Sequence[Record]], None]) -> None:
        """Have committed lines told to `listener`, in order; it must not block or raise."""
        self._listeners.append(listener)

    async def take(self, events: Sequence[ConditionEvent]) -> None:
        """Record condition events; durable when it returns, an event known by id is ignored."""
        for start in range(0, len(events), TAKE_MAX):
            part = events[start : start + TAKE_MAX]
            async with self._batch() as batch:
                await batch.take(part)

    async def act(self, act: Act) -> Acted:
        """Record a person's act; durable when it returns, a repeated key is answered again.

        Raises:
            ActRefusedError: nothing was recorded.
        """
        async with self._batch() as batch:
            repeated = await batch.repeated(act)
            if repeated is not None:
                return repeated
            state = await batch.act(act)
        return Acted(batch.records[-1], state, repeated=False)

    async def note(
        self, actor: str, kind: Kind, body: Mapping[str, object], does: Deed | None = None
    ) -> bool:
        """Record something that concerns no warning, together with what it `does`.

        Returns:
            False where `does` says that it did nothing: then nothing is recorded either.
        """
        async with self._batch() as batch:
            if does is not None and not await batch.does(does):
                return False
            batch.seal(actor, kind, "", None, body)
        return True

    async def find(self, query: Query) -> list[WarningState]:
        """Return the warnings asked for, the newest opened first."""
        async with self._database.reading() as connection:
            return await warning_rows.find(connection, query)

    async def get(self, warning: str) -> WarningState | None:
        """Return one warning, None for an id that is not on record."""
        async with self._database.reading() as connection:
            return await warning_rows.get(connection, warning)

    async def history(self, warning: str) -> list[Record]:
        """Return the newest lines of a warning in order, at most `HISTORY_MAX`."""
        async with self._database.reading() as connection:
            return await ledger_rows.of_warning(connection, warning, HISTORY_MAX)

    async def after(self, seq: int, limit: int) -> list[Record]:
        """Return lines that change warnings, after a seq, in order."""
        async with self._database.reading() as connection:
            return await ledger_rows.after(connection, seq, limit, STREAMED)

    async def count_after(self, seq: int, limit: int) -> int:
        """Return how many lines follow a seq, counting no further than `limit`."""
        async with self._database.reading() as connection:
            return await ledger_rows.count_after(connection, seq, limit)

    async def counts(self) -> dict[tuple[str, str], int]:
        """Return how many warnings that are not closed there are by (state, level)."""
        async with self._database.reading() as connection:
            return await warning_rows.counts(connection)

    @asynccontextmanager
    async def _batch(self) -> AsyncIterator[_Batch]:
        """Give lines to seal; they are durable, and told, when the block has ended."""
        async with self._sealing:
            async with self._database.writing() as connection:
                batch = await _Batch.begun(connection, self._now_ms())
                unheard: list[Record] = []
                if batch.head.seq > self._head.seq:
                    # Another process wrote, or a commit of ours went through without an answer.
                    unheard = await ledger_rows.after(connection, self._head.seq, UNHEARD_MAX)
                yield batch
                await batch.write()
            self._committed([*unheard, *batch.records])

    def _committed(self, records: Sequence[Record]) -> None:
        if not records:
            return
        self._head = Head(records[-1].seq, records[-1].hash)
        for record in records:
            _LOG.info(
                "ledger seq=%d kind=%s actor=%r warning=%s",
                record.seq,
                record.kind,
                record.actor,
                record.warning or "-",
            )
        for listener in self._listeners:
            listener(records)


class _Batch:
    """Lines being sealed within one transaction, and the warnings they change."""

    def __init__(self, connection: AsyncConnection, now_ms: int, head: Head) -> None:
        self._connection = connection
        self._now_ms = now_ms
        self.head = head
        self._states: dict[str, WarningState] = {}
        self._standing: dict[tuple[str, str], WarningState] = {}
        self._of: dict[tuple[str, str], dict[str, WarningState]] = {}
        self._changed: set[str] = set()
        self.records: list[Record] = []

    @classmethod
    async def begun(cls, connection: AsyncConnection, now_ms: int) -> _Batch:
        return cls(connection, now_ms, await ledger_rows.head(connection))

    def seal(
        self, actor: str, kind: Kind, warning: str, key: str | None, body: Mapping[str, object]
    ) -> None:
        record = sealed(
            self.head,
            time_ms=self._now_ms,
            actor=actor,
            kind=kind,
            warning=warning,
            key=key,
            body=body,
        )
        self.head = Head(record.seq, record.hash)
        self.records.append(record)

    async def take(self, events: Sequence[ConditionEvent]) -> None:
        wanted = {event.id for event in events} | {event.provisional_id for event in events}
        owners = await ledger_rows.known(self._connection, sorted(wanted - {""}))
        await self._load(events, owners)
        for event in events:
            if event.id in owners:
                continue
            before = self._place(event, owners)
            seq = self.head.seq + 1
            if before is not None:
                after = fold.after_event(before, event, seq, self._now_ms)
            elif fold.opens(event):
                after = fold.opened(event, seq, self._now_ms)
            else:
                after = None
            body: dict[str, object] = {"event": fold.event_json(event)}
            if after is not None:
                self._hold(after)
                self._changed.add(after.id)
                body["after"] = summary(after)
            owners[event.id] = "" if after is None else after.id
            self.seal(f"rule:{event.rule}", Kind.EVENT, owners[event.id], event.id, body)

    async def does(self, deed: Deed) -> bool:
        return await deed(self._connection)

    async def repeated(self, act: Act) -> Acted | None:
        return await _repeated(self._connection, act)

    async def act(self, act: Act) -> WarningState:
        state = acts.check(await warning_rows.get(self._connection, act.warning), act)
        state = await _of_today(self._connection, state)
        content = act.content(state)
        before = self.head
        self.seal(act.actor, act.kind, act.warning, _key(act), content)
        after = fold.after_act(state, self.records.pop())
        # The line says what the warning is after it: sealed again, with that.
        self.head = before
        body = {**content, "after": summary(after)}
        self.seal(act.actor, act.kind, act.warning, _key(act), body)
        self._hold(after)
        self._changed.add(after.id)
        return after

    async def write(self) -> None:
        await ledger_rows.append(self._connection, self.records)
        changed = [self._states[id_] for id_ in sorted(self._changed)]
        await warning_rows.put(self._connection, changed)

    def _place(self, event: ConditionEvent, owners: Mapping[str, str]) -> WarningState | None:
        key = fold.rule_id(event.rule), event.subject
        if event.retrospective:
            known = sorted(self._of.get(key, {}).values(), key=lambda state: -state.opened_seq)
            return lookback.place(event, known)
        named = self._states.get(owners.get(event.provisional_id, ""))
        return fold.place(event, self._standing.get(key), named)

    async def _load(self, events: Sequence[ConditionEvent], owners: Mapping[str, str]) -> None:
        """Hold the warnings that these events may concern."""
        subjects = sorted({event.subject for event in events})
        named = {owners.get(event.provisional_id, "") for event in events} - {""}
        for state in await warning_rows.several(self._connection, sorted(named)):
            await self._take_in(state)
        for state in await warning_rows.standing(self._connection, subjects):
            await self._take_in(state)
        past = sorted({event.subject for event in events if event.retrospective})
        for state in await warning_rows.newest(self._connection, past, LOOKED_BACK_MAX):
            await self._take_in(state)

    async def _take_in(self, state: WarningState) -> None:
        self._hold(await _of_today(self._connection, state))

    def _hold(self, state: WarningState) -> None:
        self._states[state.id] = state
        self._of.setdefault((state.rule, state.subject), {})[state.id] = state
        if state.state is not State.CLOSED and not state.retrospective:
            self._standing[state.rule, state.subject] = state


def _key(act: Act) -> str | None:
    return f"act:{act.actor}:{act.key}" if act.key else None


async def _repeated(connection: AsyncConnection, act: Act) -> Acted | None:
    """Return the answer given before to an act of the same key."""
    key = _key(act)
    record = None if key is None else await ledger_rows.by_key(connection, key)
    if record is None:
        return None
    said = record.content
    same = (record.kind, record.warning, said["level"], said["note"], said["despite_condition"])
    if same != (str(act.kind), act.warning, act.level, act.note, act.despite_condition):
        raise acts.ActRefusedError(
            acts.Refusal.KEY_REUSED, "this idempotency key was used for another act"
        )
    state = await warning_rows.get(connection, act.warning)
    if state is None:
        raise acts.ActRefusedError(acts.Refusal.UNKNOWN_WARNING, "its warning is gone")
    if state.last_seq != record.seq:
        lines = await ledger_rows.of_warning(connection, act.warning, HISTORY_MAX, up_to=record.seq)
        whole = bool(lines) and lines[0].seq == state.opened_seq
        state = (_refolded(lines) if whole else None) or state
    return Acted(record, state, repeated=True)


async def _of_today(connection: AsyncConnection, state: WarningState) -> WarningState:
    """Return a warning as its lines have it, where its row was kept before levels had bases."""
    if not is_older(state):
        return state
    lines = await ledger_rows.of_warning(connection, state.id, HISTORY_MAX)
    whole = bool(lines) and lines[0].seq == state.opened_seq
    return (_refolded(lines) if whole else None) or state


def _refolded(lines: Sequence[Record]) -> WarningState | None:
    state: WarningState | None = None
    for line in lines:
        state = fold.after(state, line)
    return state
