"""`TimeSeriesStore` over InfluxDB 1.8+, 2.x and 3.x.

InfluxDB overwrites; here the first value of an identity stays. The order of a write is the whole
point: what may be there already is asked for, new rows are sent and answered 204, and only then
one local transaction keeps positions, latest values and where rows may be. A crash between the two
sends equal bytes again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.errors import StoreError
from egret_aggregator.store.influx import influxql, lanes, server, sift, state
from egret_aggregator.store.influx.answers import NO_ANSWER, Verdict
from egret_aggregator.store.influx.book import Book
from egret_aggregator.store.influx.client import InfluxHttp
from egret_aggregator.store.influx.influxql import RefusedQueryError
from egret_aggregator.store.influx.lanes import Group, HeldError, Lanes, Refused
from egret_aggregator.store.influx.ranges import Ranges
from egret_aggregator.store.model import Receipt, StoreHealth
from egret_aggregator.store.origins import CONFLICT, REFUSED, Origins
from egret_aggregator.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from egret_aggregator.store.influx.sift import Key
    from egret_aggregator.store.model import (
        Aside,
        KeptAside,
        MetaFact,
        Origin,
        Page,
        StoredReading,
    )
    from egret_aggregator.store.settings import StoreSettings

SLICE = 1000  # rows sorted before the event loop gets a turn: under 1 ms
LOOK_S = 5.0  # at the start: a server that hangs must not keep the centre from judging
_AGAIN = frozenset((Verdict.CREDENTIALS, Verdict.MISSING, Verdict.STRANGE))  # looked at anew
_BEYOND = f"{REFUSED}: InfluxDB holds the years 1677 to 2262"

_log = logging.getLogger(__name__)


class _Sent(NamedTuple):
    """What became of a write's rows; fresh ones by channel, in time order."""

    fresh: dict[Key, list[StoredReading]]
    known: list[StoredReading]
    conflicts: list[StoredReading]
    beyond: list[StoredReading]
    refused: list[Refused]


class InfluxStore:
    """A bucket for the rows, and a file for what must be transactional.

    Args:
        settings: `[store]` of kind `influx`.
        path: the file; it belongs to this bucket alone.
    """

    def __init__(self, settings: StoreSettings, path: Path) -> None:
        self._settings = settings
        self._local = SqliteStore(path)
        self._http = InfluxHttp(settings)
        self._book = Book(self._http, self._local)
        self._lanes = Lanes(self._http)
        self._server = server.NOBODY
        self._looked = False
        self._adopted = False
        self._adoption = 0
        self._not_before_s = 0.0
        self._turn = asyncio.Lock()
        self._last_error = ""
        self._ranges = Ranges(self._http, self._book)

    async def open(self) -> None:
        """Open the file and look at the server; one that does not answer is waited for later.

        Raises:
            StoreError: the file, the token or the certificate is at fault.
        """
        await self._local.open()
        try:
            await self._book.open()
            self._adoption = await self._local.commit(state.adoption)
            await self._http.open()
        except StoreError:
            await self.close()
            raise
        try:
            async with asyncio.timeout(LOOK_S):
                await self._look()
        except StoreError as error:
            _log.error("event=influx_not_ready error=%r", self._failed(str(error)))
        except TimeoutError:
            why = f"InfluxDB at {self._settings.url}: no answer within {LOOK_S:g} s"
            _log.error("event=influx_not_ready error=%r", self._failed(why))

    async def close(self) -> None:
        """Let go of the file and the connections."""
        await self._http.close()
        await self._local.close()

    async def write(
        self,
        rows: Sequence[StoredReading],
        asides: Sequence[Aside] = (),
        positions: Mapping[int, int] | None = None,
        metas: Sequence[MetaFact] = (),
        origins: Sequence[Origin] = (),
    ) -> Receipt:
        """Write; see `TimeSeriesStore.write`.

        Raises:
            StoreError: positions and all that is local stand as before; rows that went out are
                sent again, byte for byte.
        """
        async with self._turn:
            try:
                senders = Origins(rows, origins)
                return await self._write(rows, asides, dict(positions or {}), metas, senders)
            except HeldError as error:
                answer = error.answer
                self._not_before_s = asyncio.get_running_loop().time() + answer.pause_s
                self._looked = self._looked and answer.verdict not in _AGAIN
                why = server.refused(answer, self._server, self._settings)
                raise StoreError(self._failed(why)) from error
            except RefusedQueryError as error:
                raise self._question_refused(error) from error
            except StoreError as error:
                self._failed(str(error))
                raise

    @property
    def adoption(self) -> int:
        """Return the number of the newest adoption; see `TimeSeriesStore.adoption`."""
        return self._adoption

    async def position(self) -> dict[int, int]:
        """Return the recorder's positions."""
        return await self._local.position()

    async def latest(self, keys: Sequence[tuple[str, str]] | None = None) -> list[StoredReading]:
        """Return the latest readings, by station and channel; the server is not asked."""
        return await self._local.latest(keys)

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        """Return rows of one channel in [from, to).

        Raises:
            StoreError: the server does not answer, or refuses the span, as InfluxDB 3 Core does.
        """
        try:
            return await self._ranges.read((station, channel), from_ms, to_ms, limit)
        except RefusedQueryError as error:
            raise self._question_refused(error) from error
        except StoreError as error:
            self._failed(str(error))
            raise

    async def asides(self, limit: int, before_id: int | None = None) -> list[KeptAside]:
        """Return asides, newest first."""
        return await self._local.asides(limit, before_id)

    async def metas(self) -> list[MetaFact]:
        """Return the newest facts of each channel."""
        return await self._local.metas()

    async def health(self) -> StoreHealth:
        """Return how the store is; the bytes are those of the file here."""
        told = await self._local.health()
        engine = f"{self._server.told} at {self._settings.url} bucket {self._settings.bucket}"
        error = self._last_error or told.last_error
        if not error and self._ranges.left_out:
            error = f"points of another writer, left out: {self._ranges.left_out}"
        return told._replace(engine=engine, last_error=error)

    async def _write(
        self,
        rows: Sequence[StoredReading],
        asides: Sequence[Aside],
        positions: Mapping[int, int],
        metas: Sequence[MetaFact],
        senders: Origins,
    ) -> Receipt:
        self._book.learn(metas)
        sent = _Sent({}, [], [], [], [])
        if rows:
            await self._ready()
            await self._send(rows, sent)
        held = self._book.grown(sent.fresh)
        if sent.refused:
            out = {id(item.row) for item in sent.refused}
            for key, group in sent.fresh.items():
                sent.fresh[key] = [row for row in group if id(row) not in out]
        kept = [senders.aside(item.row, f"{REFUSED}: {item.why}") for item in sent.refused]
        kept += [senders.aside(row, _BEYOND) for row in sent.beyond]
        change = state.Change(
            held,
            sent.fresh,
            sent.known,
            [senders.aside(row, CONFLICT) for row in sent.conflicts],
            [*asides, *kept],
            positions,
            metas,
        )
        await self._local.commit(lambda db: state.commit(db, change))
        self._book.take(held)
        if kept:
            _log.error("event=influx_refused readings=%d why=%r", len(kept), kept[0].why)
        accepted, conflicts = sum(map(len, sent.fresh.values())), len(sent.conflicts)
        duplicates = len(rows) - accepted - len(kept) - conflicts
        return Receipt(accepted, duplicates, conflicts, len(kept))

    async def _send(self, rows: Sequence[StoredReading], sent: _Sent) -> None:
        """Sort rows and send the new ones; while the server takes a lane, the next is made."""
        groups: dict[Key, list[StoredReading]] = {}
        for at in range(0, len(rows), SLICE):
            sift.by_channel(rows[at : at + SLICE], groups)
            await asyncio.sleep(0)
        under_way: list[asyncio.Task[list[Refused]]] = []
        try:
            for share in lanes.shares(groups):
                lane = await self._sort(share, sent)
                under_way.append(asyncio.create_task(self._lanes.send(lane)))
        finally:
            # Every lane ends before a failure is told: the next try must not meet one of this.
            outcomes = await asyncio.gather(*under_way, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            sent.refused.extend(outcome)
        if sent.conflicts:
            # Kept in the order they came, as every store does.
            second = {id(row) for row in sent.conflicts}
            sent.conflicts[:] = [row for row in rows if id(row) in second]

    async def _sort(self, share: dict[Key, list[StoredReading]], sent: _Sent) -> list[Group]:
        """Tell the rows of a lane apart; return the new ones."""
        await self._book.meet(share, adopted=self._adopted)
        stored = await self._book.stored(share)
        new: list[Group] = []
        sifted = 0
        for key, group in share.items():
            fresh, known, conflicts, beyond = sift.sift(group, stored.get(key, {}))
            if fresh:
                sent.fresh[key] = fresh
                new.append(Group(self._book.begin(key), fresh))
            sent.known.extend(known)
            sent.conflicts.extend(conflicts)
            sent.beyond.extend(beyond)
            sifted += len(group)
            if sifted >= SLICE:
                sifted = 0
                await asyncio.sleep(0)
        return new

    async def _ready(self) -> None:
        """Wait as long as the server asked for, and look at it where that is due."""
        pause_s = self._not_before_s - asyncio.get_running_loop().time()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        if not self._looked:
            await self._look()

    async def _look(self) -> None:
        """Find out who is there and whether everything is; StoreError with the remedy if not."""
        self._http.authorize()
        reply = await self._http.ping()
        if reply.status == NO_ANSWER:
            raise StoreError(f"InfluxDB at {self._settings.url}: {reply.text}")
        self._server = server.found(reply.headers, reply.text)
        try:
            types = influxql.types(await self._http.query(influxql.fields()))
        except RefusedQueryError as error:
            raise self._question_refused(error) from error
        why = server.foreign_fields(types)
        if why:
            raise StoreError(why)
        adopted = await self._local.commit(state.adopted)
        if adopted is None:
            adopted = bool(types)
            if adopted:
                count = await self._book.adopt()
                _log.warning("event=influx_history_adopted channels=%d", count)
            else:
                await self._local.commit(state.begin_empty)
        elif len(self._book) and not types:
            _log.error("event=influx_bucket_empty bucket=%r", self._settings.bucket)
        # Whoever adopted: a start cut short, or a command beside a centre that could not look yet.
        await self._book.remember()
        self._adoption = await self._local.commit(state.adoption)
        self._adopted, self._looked = adopted, True
        _log.info(
            "event=influx_found server=%r bucket=%r adopted=%s note=%r",
            self._server.told,
            self._settings.bucket,
            adopted,
            server.caveat(self._server),
        )

    def _question_refused(self, error: RefusedQueryError) -> StoreError:
        why = server.question_refused(str(error), self._server, self._settings)
        return StoreError(self._failed(why))

    def _failed(self, why: str) -> str:
        self._last_error = why
        return why
