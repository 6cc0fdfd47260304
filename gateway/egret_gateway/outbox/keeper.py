"""Keeps the outbox file: opens it, runs transactions, replaces it when it is damaged."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from egret_gateway.outbox import exchange, salvage, space
from egret_gateway.outbox.file import OutboxFile
from egret_gateway.outbox.reader import Reader
from egret_gateway.outbox.reserve import Reserve
from egret_gateway.outbox.schema import DamagedError, is_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from egret_gateway.outbox.model import Held, Parcel
    from egret_gateway.outbox.scribe import Scribe

GROW_B = 256 * 1024  # bytes free on the disk before a capped file grows again: some commits
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

    def __init__(
        self,
        path: Path,
        boot: str,
        scribe: Scribe,
        rotten: Callable[[Parcel], None],
        max_bytes: int,
    ) -> None:
        self._path = path
        self._boot = boot
        self._scribe = scribe
        self._capped = False
        self.replaced = False  # a damaged file was replaced: older rows became ready
        self.reserve = Reserve(path.with_suffix(".reserve"), max_bytes)
        self.file = self._open()
        # Before anything is written here: an RTC that lags must not date the newest row.
        scribe.clock.raise_floor(self.file.last_real)
        self.reader = Reader(path, boot, rotten)
        self.summary: Summary
        self._move_in()
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
        self.file = self._replacement(self.file.next_id)
        self.reader.close()  # it would go on reading the damaged file
        return self._once(do)

    def free(self, settled: Sequence[int] = ()) -> bool:
        """Make room on a full disk; what is lost by it is recorded.

        Args:
            settled: marks that wait for a commit; those batches go first, and are no loss.

        Returns:
            False where giving way does not help: the disk is full around a file that has room
            inside, or is so full that not even a deletion can be written.
        """
        if self._capped and self.restock():
            return True
        spent = self.reserve.spend()
        with suppress(sqlite3.DatabaseError):
            self.file.tidy()
        self.file.cap()
        self._capped = True
        if self.file.free_share() >= space.FREED_SHARE:
            return spent
        before = self.file.used_bytes()
        limit = int(before * (1 - space.FREED_SHARE))
        for marks in (settled, ()):
            # Marks touch pages of their own: what they leave no room for is done without them.
            with suppress(sqlite3.OperationalError):
                self.transact(partial(self._give_way, marks, limit))
                return self.file.used_bytes() < before
        return False

    def restock(self) -> bool:
        """Lay room by again where the disk has some; tell whether the file may grow again."""
        whole = self.reserve.lay_by()
        if self._capped and whole and self.reserve.disk_free() >= GROW_B:
            self.file.uncap()
            self._capped = False
        return not self._capped

    def _give_way(self, settled: Sequence[int], limit: int) -> None:
        self.file.settle(settled)
        self._scribe.losses(self.file, space.give_way(self.file, limit))

    def _move_in(self) -> None:
        """Make a file ours that another gateway id filled: what it never sent goes as ours."""
        for log in self.transact(lambda: self._scribe.move_in(self.file)):
            _log.warning("outbox file=%s log=%s named another gateway: cut anew", self._path, log)
            while self.transact(partial(self._scribe.recut_some, self.file, log)):
                pass
            self.transact(partial(self.file.set_log_aside, log))

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
        exchange.finish(self._path)
        try:
            return OutboxFile(self._path, self._boot)
        except (DamagedError, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
                raise
            _log.error("outbox file=%s damaged error=%s", self._path, error)
            return self._replacement()

    def _replacement(self, ids_from: int = 1) -> OutboxFile:
        """Keep the damaged file aside; go on with a new one that holds what could be read."""
        with closing(OutboxFile(exchange.fresh_place(self._path), self._boot)) as file:
            file.db.execute("BEGIN IMMEDIATE")
            losses = salvage.salvage(self._path, file, ids_from)
            self._scribe.clock.raise_floor(file.last_real)
            self._scribe.recall(file)
            self._scribe.meta(file, file.older())
            self._scribe.losses(file, losses)
            file.db.execute("COMMIT")
            file.fold()
        exchange.exchange(self._path)
        self.replaced = True
        return OutboxFile(self._path, self._boot)
