"""Has the judge's events recorded, however long the database takes.

While it does not answer, the judge stands where it is and the journal keeps what comes: nothing
is lost, and nothing is called judged that is on no record.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from egret_aggregator.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_aggregator.warnings.ledger import Ledger
    from egret_core.rules.event import ConditionEvent

RETRY_S = (0.5, 1.0, 2.0, 5.0)  # a warning waits: seldom enough for a server that starts

_log = logging.getLogger(__name__)


class Clerk:
    """Stands between judge and ledger.

    Args:
        ledger: open.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def take(self, events: Sequence[ConditionEvent]) -> None:
        """Return once the events are durable; what was recorded already is ignored by its id."""
        attempt = 0
        while True:
            try:
                await self._ledger.take(events)
            except DatabaseUnavailableError as error:
                pause_s = RETRY_S[min(attempt, len(RETRY_S) - 1)]
                attempt += 1
                _log.warning(
                    "event=events_wait count=%d retry_s=%s why=%r", len(events), pause_s, str(error)
                )
                await asyncio.sleep(pause_s)
            else:
                return
