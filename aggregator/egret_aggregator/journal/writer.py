"""The journal's one writing thread: it commits whatever queued while the last commit ran."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from egret_aggregator.database import sqlite
from egret_aggregator.errors import JournalClosedError, JournalError
from egret_aggregator.journal.desk import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_aggregator.journal.desk import Desk

GROUP_MAX_B = 8 * 1024 * 1024  # payload bytes of one commit: about 50 ms of a slow disk

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class _Job(NamedTuple):
    work: Callable[[Desk], Any]
    weight_b: int
    done: asyncio.Future[Any]
    after: Callable[[Any], None] | None


class Writer:
    """Runs jobs against a desk, a group a commit.

    Args:
        db: its connection; desk: what jobs are given.
        committed: called in the event loop with each commit's outcome.
    """

    def __init__(
        self, db: sqlite3.Connection, desk: Desk, committed: Callable[[Outcome], None]
    ) -> None:
        self._db = db
        self._desk = desk
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._closed = False
        self._running: list[_Job] = []
        self.commits = 0
        self.failures = 0
        self.asked = 0  # jobs taken in
        self.answered = 0  # of them, those whose caller was told

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def submit(
        self,
        work: Callable[[Desk], _T],
        weight_b: int = 0,
        after: Callable[[_T], None] | None = None,
    ) -> _T:
        """Run work in the next transaction, return its result once that is durable.

        Args:
            work: changes the desk.
            weight_b: payload bytes it brings.
            after: called with the result in the event loop, before anybody sees the entries.

        Raises:
            JournalError: the commit failed.
            JournalClosedError: the journal is closed.
        """
        if self._closed:
            raise JournalClosedError("the journal is closed")
        done: asyncio.Future[_T] = self._loop.create_future()
        self.asked += 1
        self._jobs.put(_Job(work, weight_b, done, after))
        return await done

    async def stop(self) -> None:
        """Commit what is queued, then end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            last = False
            while not last:
                self._running, last = self._group()
                if self._running:
                    self._commit(self._running)
        except Exception as error:  # noqa: BLE001  (whatever it was, nobody may wait for ever)
            # Without this thread whoever waits would wait for ever: better no journal than that.
            _log.critical("event=journal_writer_died error=%r", str(error), exc_info=error)
            self._closed = True
            self._call(self._refuse, self._left(), JournalClosedError(f"the writer died: {error}"))

    def _left(self) -> list[_Job]:
        """Return every job that nobody will run."""
        left = list(self._running)
        with contextlib.suppress(Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    left.append(job)
        return left

    def _group(self) -> tuple[list[_Job], bool]:
        job = self._jobs.get()
        jobs: list[_Job] = []
        weight_b = 0
        while job is not None:
            jobs.append(job)
            weight_b += job.weight_b
            if weight_b >= GROUP_MAX_B:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            sqlite.begin(self._db)
            results = [job.work(self._desk) for job in jobs]
            changed = self._desk.flush()
            sqlite.commit(self._db)
        except Exception as error:  # noqa: BLE001  (one job's fault must not end the thread)
            self._give_up()
            if len(jobs) > 1 and not sqlite.is_disk_fault(error):
                # One of them is to blame: alone, only that one is refused.
                for job in jobs:
                    self._commit([job])
                return
            self._failed(jobs, error)
            return
        outcome = self._desk.adopt(changed)
        self.commits += 1
        self._call(self._finish, jobs, results, outcome)
        if self._desk.wants_trim():
            self._trim()

    def _failed(self, jobs: list[_Job], error: Exception) -> None:
        self.failures += 1
        _log.error("event=journal_commit_failed jobs=%d error=%r", len(jobs), str(error))
        self._call(self._refuse, jobs, JournalError(f"commit failed: {error}"))

    def _trim(self) -> None:
        try:
            sqlite.begin(self._db)
            self._desk.trim()
            sqlite.commit(self._db)
            self._call(self._committed, Outcome([], self._desk.measured()))
        except (sqlite3.Error, OSError) as error:
            self._give_up()
            _log.error("event=journal_trim_failed error=%r", str(error))

    def _give_up(self) -> None:
        self._desk.forget()
        try:
            sqlite.rollback(self._db)
        except sqlite3.Error as error:
            _log.error("event=journal_rollback_failed error=%r", str(error))

    def _call(self, what: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *args)
        except RuntimeError:
            # The loop has ended: nobody waits for the answer any more.
            _log.warning("event=journal_unheard")

    def _finish(self, jobs: list[_Job], results: list[Any], outcome: Outcome) -> None:
        self.answered += len(jobs)
        for job, result in zip(jobs, results, strict=True):
            if job.after is not None:
                job.after(result)
            if not job.done.done():
                job.done.set_result(result)
        self._committed(outcome)

    def _refuse(self, jobs: list[_Job], error: JournalError) -> None:
        self.answered += len(jobs)
        for job in jobs:
            if not job.done.done():
                job.done.set_exception(error)
