"""The journal's memory of how far the ledger was: a ledger that is new or older is noticed.

The judge tells an event once and then remembers that it told it. Were the ledger lost or an older
copy put back, what stands would be on no record and nobody would say it again: silence that looks
like all clear. Then the judge begins anew with the journal's oldest entry: events that are on
record are ignored by their ids, the others are taken, and what is still over its threshold at the
newest reading is raised again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

from egret_aggregator.errors import JournalError
from egret_aggregator.judge import CONSUMER as JUDGE
from egret_aggregator.warnings.record import EMPTY, Head

if TYPE_CHECKING:
    from egret_aggregator.journal import Journal
    from egret_aggregator.warnings import Ledger

NAME = "ledger"  # the journal keeps it under this name; trimming does not wait for it
LOOK_S = 5.0  # real time between two notes of the head
_KEY = "head"

_log = logging.getLogger(__name__)


class Witness:
    """Notes the ledger's head in the journal, and compares them at a start.

    Args:
        journal: open; ledger: open.
    """

    def __init__(self, journal: Journal, ledger: Ledger) -> None:
        self._journal = journal
        self._ledger = ledger
        self._noted: Head | None = None

    async def compare(self) -> bool:
        """Have the judge begin anew where the ledger is behind; tell whether it does.

        Call it before the judge starts.

        Raises:
            JournalError: the journal does not answer.
        """
        _, state = await self._journal.load(NAME)
        kept = state.get(_KEY)
        noted = EMPTY if kept is None else Head(*json.loads(kept))
        if await self._ledger.holds(noted):
            return False
        _log.critical(
            "event=ledger_behind_journal noted=%d head=%d remedy=%r",
            noted.seq,
            self._ledger.head.seq,
            "what the journal still holds is judged anew; older warnings: see your backups",
        )
        await self._journal.restart(JUDGE)
        await self.note()
        return True

    async def run(self) -> None:
        """Note the head, and whether the database answers, until cancelled."""
        while True:
            try:
                await self.note()
            except JournalError as error:
                _log.error("event=ledger_head_not_noted error=%r", str(error))
            await asyncio.sleep(LOOK_S)
            await self._ledger.look()  # a database that is gone is noticed though nothing happens

    async def note(self) -> None:
        """Note the head now, where it moved.

        Raises:
            JournalError: it could not be noted.
        """
        head = self._ledger.head
        if head != self._noted:
            await self._journal.save(NAME, {}, {_KEY: json.dumps(head).encode()})
            self._noted = head
