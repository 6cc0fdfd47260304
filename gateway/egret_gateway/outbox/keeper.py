"""Keeps the outbox file: opens it, runs transactions, replaces it when it is damaged."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from egret_gateway.outbox import salvage, space
from egret_gateway.outbox.file import OutboxFile
from egret_gateway.outbox.reader import Reader
from egret_gateway.outbox.schema import DamagedError, is_damage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from egret_gateway.outbox.model import Held
    from egret_gateway.outbox.scribe import Scribe

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Summary(NamedTuple):
    """The file as of the last commit, for other threads."""

    current_log: str
    held: Held
    used_bytes: int
    unsettled: int
    drafts: int


class Keeper:
    """The file, whichever file it is by now; used by one thread at a time."""

    def __init__(self, path: Path, boot: str, scribe: Scribe) -> None:
        self._path = path
        self._boot = boot
        self._scribe = scribe
        self.replaced = False  # a damaged file was replaced: older rows became ready
        self.file = self._open()
        self.reader = Reader(path, boot)
        self.summary: Summary
        self.transact(lambda: scribe.meta(self.file, self.file.older()))

    def close(self) -> None:
        """Close both connections."""
        self.reader.close()
        self.file.close()

    def transact(self, do: Callable[[], T]) -> T:
        """Run in one durable transaction; a file found damaged is replaced, and it runs again."""
        try:
            return self._once(do)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            _log.error("outbox file=%s damaged error=%s", self._path, error)
        self.file.close()
        self.file = self._replacement()
        return self._once(do)

    def free(self) -> None:
        """Make room on a full disk; what is lost by it is recorded."""
        limit = int(self.file.used_bytes() * (1 - space.FREED_SHARE))
        with suppress(sqlite3.OperationalError):
            self.transact(lambda: self._scribe.losses(self.file, space.give_way(self.file, limit)))

    def _once(self, do: Callable[[], T]) -> T:
        file = self.file
        file.db.execute("BEGIN IMMEDIATE")
        try:
            result = do()
            file.db.execute("COMMIT")
        except BaseException:
            if file.db.in_transaction:
                file.db.execute("ROLLBACK")
            with suppress(sqlite3.DatabaseError):
                file.reload()
            raise
        self.summary = Summary(
            file.current.id, file.held(), file.used_bytes(), file.unsettled, file.drafts
        )
        return result

    def _open(self) -> OutboxFile:
        try:
            return OutboxFile(self._path, self._boot)
        except (DamagedError, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
                raise
            _log.error("outbox file=%s damaged error=%s", self._path, error)
            return self._replacement()

    def _replacement(self) -> OutboxFile:
        """Keep the damaged file aside; go on with a new one that holds what could be read."""
        aside = salvage.set_aside(self._path)
        file = OutboxFile(self._path, self._boot)
        file.db.execute("BEGIN IMMEDIATE")
        losses = salvage.salvage(aside, file)
        self._scribe.meta(file, file.older())
        self._scribe.losses(file, losses)
        file.db.execute("COMMIT")
        self.replaced = True
        return file
