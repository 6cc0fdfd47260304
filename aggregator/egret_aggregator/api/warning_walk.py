"""Warnings read from the record page by page, so that other requests are served in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.database import warning_rows
from egret_aggregator.warnings.state import State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from egret_aggregator.warnings import Ledger
    from egret_aggregator.warnings.state import WarningState

PAGE = 500  # warnings read at a time: some milliseconds of the loop
LOOKED_MAX = 20_000  # warnings looked through for one span: years of a city

_STANDING = (str(State.OPEN), str(State.ACKNOWLEDGED))
_CLOSED = (str(State.CLOSED),)


async def standing(ledger: Ledger, stations: Sequence[str] = ()) -> list[WarningState]:
    """Return every warning that is not closed; one a rule and subject at most, so they are few."""
    return [state async for state in _found(ledger, _STANDING, stations, None)]


async def stood(
    ledger: Ledger, from_ms: int, to_ms: int, stations: Sequence[str], most: int
) -> tuple[list[WarningState], bool]:
    """Return warnings that stood within a span, the newest first, and whether some are left out."""
    found: list[WarningState] = []
    looked = 0
    async for state in _either(ledger, from_ms, stations):
        looked += 1
        if looked > LOOKED_MAX:
            break
        if state.onset_ms <= to_ms:
            found.append(state)
        if len(found) > most:
            break
    cut = len(found) > most or looked > LOOKED_MAX
    found = found[:most]
    found.sort(key=lambda state: (-state.onset_ms, state.id))
    return found, cut


async def _either(
    ledger: Ledger, from_ms: int, stations: Sequence[str]
) -> AsyncIterator[WarningState]:
    """Yield those that stand, then those closed since: closing is a warning's last change."""
    async for state in _found(ledger, _STANDING, stations, None):
        yield state
    async for state in _found(ledger, _CLOSED, stations, from_ms):
        yield state


async def _found(
    ledger: Ledger, states: Sequence[str], stations: Sequence[str], since_ms: int | None
) -> AsyncIterator[WarningState]:
    before: int | None = None
    while True:
        query = warning_rows.Query(
            states=tuple(states),
            stations=tuple(stations),
            since_ms=since_ms,
            before_seq=before,
            limit=PAGE,
        )
        page = await ledger.find(query)
        for state in page:
            yield state
        if len(page) < PAGE:
            return
        before = page[-1].opened_seq
