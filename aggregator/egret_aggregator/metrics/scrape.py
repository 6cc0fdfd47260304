"""One answer of `/metrics`: figures of every stage, gathered once however many ask at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from egret_aggregator.api.context import Judgement
from egret_aggregator.errors import DatabaseUnavailableError
from egret_aggregator.metrics.exposition import exposition, labelled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_aggregator.api.context import Context
    from egret_aggregator.metrics.histogram import Histogram

    Counts = Mapping[tuple[str, str], int]

STORE_S = 2.0  # a store that takes longer to say how it is counts as not answering
DATABASE_S = 2.0  # the same for the database of ledger and accounts


class Scraper:
    """Gathers figures; whoever asks while it does is given the same answer.

    `/metrics` needs no token, so that its work must not grow with those who ask.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._running: asyncio.Task[str] | None = None
        self._counting: asyncio.Task[Counts] | None = None

    async def text(self) -> str:
        """Return figures in Prometheus' text format 0.0.4."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._gather())
        return await asyncio.shield(self._running)

    async def _gather(self) -> str:
        rooms = self._context
        figures: dict[str, float | Histogram] = {**self._standing(), **self._stream()}
        figures |= await rooms.line.figures(rooms.clock.now_ms())
        figures |= await self._store()
        figures |= await self._warnings()
        return exposition(figures)

    def _standing(self) -> dict[str, float]:
        state, _, age_s = self._context.judgement()
        kept, _, kept_age_s = self._context.recording()
        figures = {
            "egret_judgement_current": float(state is Judgement.CURRENT),
            "egret_recording_current": float(kept is Judgement.CURRENT),
            "egret_ledger_head": float(self._context.ledger.head.seq),
        }
        if age_s is not None:
            figures["egret_judgement_age_seconds"] = age_s
        if kept_age_s is not None:
            figures["egret_recording_age_seconds"] = kept_age_s
        return figures

    def _stream(self) -> dict[str, float | Histogram]:
        hub = self._context.hub
        waiting = hub.waiting()
        figures: dict[str, float | Histogram] = {
            "egret_stream_clients": float(len(hub)),
            "egret_stream_waiting_events": float(sum(waiting)),
            "egret_stream_waiting_events_max": float(max(waiting, default=0)),
            "egret_stream_overflows_total": float(hub.overflows),
        }
        for phase, histogram in hub.push_s.items():
            figures[labelled("egret_warning_push_seconds", phase=phase)] = histogram
        return figures

    async def _warnings(self) -> dict[str, float]:
        try:
            counts = await self._counts()
        except (DatabaseUnavailableError, TimeoutError):
            return {"egret_database_up": 0.0}
        figures = {"egret_database_up": float(not self._context.ledger.fault)}
        for (where, level), count in counts.items():
            figures[labelled("egret_warnings", state=where, level=level)] = float(count)
        return figures

    async def _counts(self) -> Counts:
        """Return the ledger's counts; TimeoutError where it takes too long.

        It is not cancelled then: to break off a question to a frozen server can itself take for
        ever. No other is asked until it has ended.
        """
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._context.ledger.counts())
            self._counting.add_done_callback(_heed)
        await asyncio.wait({self._counting}, timeout=DATABASE_S)
        if not self._counting.done():
            raise TimeoutError
        return self._counting.result()

    async def _store(self) -> dict[str, float]:
        try:
            async with asyncio.timeout(STORE_S):
                health = await self._context.series.health()
        except TimeoutError:
            return {"egret_store_up": 0.0}
        return {
            "egret_store_up": 1.0,
            "egret_store_used_bytes": float(health.used_b),
            "egret_store_asides": float(health.asides),
            "egret_store_asides_dropped_total": float(health.asides_dropped),
        }


def _heed(task: asyncio.Task[Counts]) -> None:
    """Look at what became of a question that nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()
