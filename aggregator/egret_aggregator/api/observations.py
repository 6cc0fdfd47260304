"""New latest values for the stream, while any client wants them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from egret_aggregator.api.readings import latest_item
from egret_aggregator.errors import StoreError

if TYPE_CHECKING:
    from egret_aggregator.api.context import Context
    from egret_aggregator.store.model import StoredReading

LOOK_S = 1.0  # real time between two looks: a wall screen needs no more
ITEMS_MAX = 1000  # values in one event; beyond it `more` is true, and `/latest` has the rest


class Observations:
    """Tells the hub which latest values are new since the look before."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[tuple[str, str], StoredReading] | None = None

    async def run(self) -> None:
        """Look until cancelled; a store that fails is asked again."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._context.hub.observers:
                self._known = None
                continue
            try:
                await self.look()
            except StoreError:
                self._known = None

    async def look(self) -> None:
        """Compare with the look before; the first one only remembers."""
        rows = await self._context.series.latest(None)
        latest = {(row.station, row.channel): row for row in rows}
        before, self._known = self._known, latest
        if before is None:
            return
        new = [row for key, row in latest.items() if before.get(key) != row]
        if new:
            items = [latest_item(self._context, row) for row in new[:ITEMS_MAX]]
            self._context.hub.observe(items, more=len(new) > ITEMS_MAX)
