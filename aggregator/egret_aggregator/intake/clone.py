"""Two outboxes under one gateway id: a cloned or re-imaged card. Pure.

A gateway opens a new log after a conflict or with a new card, and never goes back: all it cut
under the old log is older. A fresh batch of a log that was left, cut after the newest one of its
successor, therefore comes from another box.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egret_core.messages import Batch

LEFT_MAX = 16  # logs remembered as left behind; a gateway has one in years
OLDER = "older"  # field of a log's first meta: the logs it still holds


class LogChange(StrEnum):
    """What a batch's log says of its box."""

    SAME = "same"
    SUCCESSOR = "successor"  # a new log that names the one before
    UNNAMED = "unnamed"  # a new log that does not: a new card, or a clone's first word
    CLONE = "clone"  # back to a log that was left


class LogWatch:
    """The logs of one gateway, as its fresh batches come."""

    def __init__(self) -> None:
        self.current = ""
        self._newest_cut_ms = 0
        self._left: dict[str, None] = {}
        self._named: dict[str, frozenset[str]] = {}

    def saw(self, batch: Batch) -> LogChange:
        """Take note of a fresh batch."""
        older = batch.extra.get(OLDER)
        if isinstance(older, list) and len(self._named) < LEFT_MAX:
            self._named[batch.log] = frozenset(str(name) for name in older[:LEFT_MAX])
        if batch.log == self.current or not self.current:
            self.current = batch.log
            self._newest_cut_ms = max(self._newest_cut_ms, batch.cut_ms)
            return LogChange.SAME
        if batch.cut_ms <= self._newest_cut_ms:
            return LogChange.SAME  # what an old log still had to send
        named = self.current in self._named.get(batch.log, frozenset())
        back = batch.log in self._left
        self._left[self.current] = None
        if len(self._left) > LEFT_MAX:
            del self._left[next(iter(self._left))]
        self.current, self._newest_cut_ms = batch.log, batch.cut_ms
        if back:
            return LogChange.CLONE
        return LogChange.SUCCESSOR if named else LogChange.UNNAMED
