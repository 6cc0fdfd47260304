"""Whose a row of a write is: what becomes no row is kept under its sender's name. Pure."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import TYPE_CHECKING

from egret_aggregator.store.model import Aside, Origin, StoredReading

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFLICT = "value_conflict"
REFUSED = "store_refused"  # its words follow a colon
_NOBODY = Origin(0, "", "", 0)  # rows that came by no batch


class Origins:
    """The senders of one write's rows.

    Args:
        rows: of the write, which outlive this.
        runs: whose they are, ascending by `end`; rows after the last are nobody's.
    """

    def __init__(self, rows: Sequence[StoredReading], runs: Sequence[Origin]) -> None:
        self._rows = rows
        self._runs = runs
        self._at: dict[int, int] = {}

    def aside(self, row: StoredReading, why: str) -> Aside:
        """Return the aside that keeps a row, one of this write's."""
        told = {key: value for key, value in row._asdict().items() if key not in _CENTRES}
        body = json.dumps(told, separators=(",", ":")).encode()
        _, gateway, log, seq = self._origin(row)
        return Aside(gateway, log, seq, -1, why, row.time_ms + row.lag_ms, body)

    def _origin(self, row: StoredReading) -> Origin:
        if not self._runs:
            return _NOBODY
        if not self._at:  # rows that are set aside are rare: made at the first
            self._at = {id(one): at for at, one in enumerate(self._rows)}
        at = self._at.get(id(row), len(self._rows))
        run = bisect_right(self._runs, at, key=lambda one: one.end)
        return self._runs[run] if run < len(self._runs) else _NOBODY


_CENTRES = ("notes", "lag_ms")  # what is the centre's own, and is not the sender's word
