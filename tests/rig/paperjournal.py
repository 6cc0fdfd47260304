"""A journal on paper: entries in a list, consumers' positions and state in dictionaries.

It keeps what the judge is promised of a journal and nothing else; what was not saved is lost with
the consumer, as after a kill.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from egret_aggregator.journal.entry import Entry, EntryKind
from egret_core.codec import encode_batch
from egret_core.entries import entries_of, meta_entry
from egret_core.messages import Batch, ClockStamp, Kind
from egret_core.partition import ALL, partition_of
from egret_core.rules.step import Receipt, Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from egret_aggregator.judge import Judge
    from egret_core.messages import ChannelMeta
    from egret_core.reading import Reading
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.step import Item

LOG = "0" * 32
CLOCK = ClockStamp("ntp", 0)
LIMIT_S = 30  # generous: what is on paper takes no second


class PaperJournal:
    """Entries in commit order; `saves` counts how often a consumer saved."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.saves = 0
        self._positions: dict[str, dict[int, int]] = {}
        self._state: dict[str, dict[str, bytes]] = {}
        self._committed = asyncio.Condition()

    async def load(self, consumer: str) -> tuple[dict[int, int], dict[str, bytes]]:
        return dict(self._positions.get(consumer, {})), dict(self._state.get(consumer, {}))

    async def read(self, positions: Mapping[int, int], limit: int) -> list[Entry]:
        found = [e for e in self.entries if e.id > positions.get(e.partition, 0)]
        return found[:limit]

    async def save(
        self, consumer: str, positions: Mapping[int, int], changed: Mapping[str, bytes | None]
    ) -> None:
        self._positions[consumer] = dict(positions)
        state = self._state.setdefault(consumer, {})
        for key, body in changed.items():
            if body is None:
                state.pop(key, None)
            else:
                state[key] = body
        self.saves += 1

    async def wait(self, after_id: int) -> None:
        async with self._committed:
            await self._committed.wait_for(lambda: len(self.entries) > after_id)

    async def change(self, payload: bytes, now_ms: int) -> int:
        return await self._commit(ALL, EntryKind.CHANGE, now_ms, payload)

    async def tick(self, now_ms: int) -> int:
        return await self._commit(ALL, EntryKind.TICK, now_ms, b"")

    async def readings(self, gateway: str, now_ms: int, readings: Sequence[Reading]) -> int:
        base_ms = readings[0].time_ms if readings else now_ms
        return await self._batch(
            gateway, now_ms, Kind.READINGS, entries_of(readings, base_ms), base_ms
        )

    async def metas(self, gateway: str, now_ms: int, metas: Sequence[ChannelMeta]) -> int:
        rows = tuple(meta_entry(meta) for meta in metas)
        return await self._batch(gateway, now_ms, Kind.META, rows, now_ms)

    async def damaged(self, gateway: str, now_ms: int) -> int:
        return await self._commit(partition_of(gateway), EntryKind.BATCH, now_ms, b"}", gateway)

    async def _batch(
        self, gateway: str, now_ms: int, kind: str, rows: tuple[object, ...], base_ms: int
    ) -> int:
        seq = len(self.entries) + 1
        batch = Batch(gateway, LOG, seq, kind, "", now_ms, base_ms, CLOCK, rows)
        body = encode_batch(batch)
        return await self._commit(partition_of(gateway), EntryKind.BATCH, now_ms, body, gateway)

    async def _commit(
        self, partition: int, kind: EntryKind, now_ms: int, payload: bytes, gateway: str = ""
    ) -> int:
        at = len(self.entries) + 1
        log = LOG if gateway else ""
        async with self._committed:
            self.entries.append(Entry(at, partition, kind, gateway, log, at, now_ms, payload))
            self._committed.notify_all()
        return at


class PaperLedger:
    """Takes events as the ledger does: inserted, or ignored by their id.

    Attributes:
        dies: whether its centre is killed when the ledger has events that are `fatal`.
    """

    def __init__(self, fatal: Callable[[ConditionEvent], bool] = lambda _: False) -> None:
        self.events: dict[str, ConditionEvent] = {}
        self.dies = False
        self._fatal = fatal

    async def take(self, events: Sequence[ConditionEvent]) -> None:
        for event in events:
            self.events.setdefault(event.id, event)
        if self.dies and any(self._fatal(event) for event in events):
            raise ConnectionError("killed after the ledger had it, before the position was saved")


async def written(journal: PaperJournal, items: Iterable[Item]) -> None:
    """Commit readings and ticks in their order."""
    for item in items:
        if isinstance(item, Receipt):
            await journal.readings(item.gateway, item.received_ms, item.readings)
        else:
            assert isinstance(item, Tick), item
            await journal.tick(item.now_ms)


async def run_to_end(judge: Judge, journal: PaperJournal) -> None:
    """Run until every entry is judged, then stop it as a kill would."""
    async with asyncio.timeout(LIMIT_S):
        task = asyncio.create_task(judge.run())
        while judge.health()["position"] < len(journal.entries) or not journal.entries:
            await asyncio.sleep(0)
            assert not task.done(), task.exception()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
