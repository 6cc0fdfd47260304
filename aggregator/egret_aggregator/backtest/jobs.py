"""Backtests that the API asks for: one at a time, each in a process of its own.

The centre only reads that process's lines, so the judge goes on as before. The last few results
are kept in memory; they are gone when the centre ends, and so is the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from egret_aggregator.backtest import request
from egret_aggregator.backtest.replay import Told
from egret_aggregator.errors import AggregatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

KEPT_MAX = 10  # jobs with their results: about 20 MB where all are full
RUN_MAX_S = 4 * 3600.0  # real time of one; a province's year takes minutes
STOP_S = 5.0  # a process that was told to end has so long
WHY_MAX = 500  # characters of a reason that are kept

_log = logging.getLogger(__name__)


class State(StrEnum):
    """How far a job is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BusyError(AggregatorError):
    """Another backtest runs; `job` is its id."""

    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__(f"backtest {job} is running", "wait for it, or cancel it")


class TooLargeError(AggregatorError):
    """A request is more than its process reads."""

    def __init__(self, size: int) -> None:
        most = request.REQUEST_MAX_B
        remedy = f"catalogue and observed events may take {most} bytes: take fewer stations"
        super().__init__(f"the request has {size} bytes", remedy)


@dataclass(slots=True)
class Job:
    """One backtest; times in ms of the centre's clock.

    Attributes:
        id: a random word; by: who asked; asked: what for, as the API shows it.
        progress: as `Told`, the process's newest word; result: once it is done; why: of a failure.
    """

    id: str
    by: str
    asked: dict[str, Any]
    started_ms: int
    progress: dict[str, Any]
    state: State = State.RUNNING
    ended_ms: int | None = None
    result: dict[str, Any] | None = None
    why: str = ""


class Backtests:
    """The office that starts, watches and ends them.

    Args:
        command: what is run; the settings' file is its last word.
        now_ms: the centre's clock.
    """

    def __init__(self, command: Sequence[str], now_ms: Callable[[], int]) -> None:
        self._command = tuple(command)
        self._now_ms = now_ms
        self._jobs: dict[str, Job] = {}
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def over(cls, config: Path, now_ms: Callable[[], int]) -> Backtests:
        """Return the office over a centre's own series."""
        module = "egret_aggregator.backtest.child"
        return cls((sys.executable, "-m", module, str(config)), now_ms)

    def start(self, asked: request.Request, by: str, shown: dict[str, Any]) -> Job:
        """Begin one and return it.

        Raises:
            BusyError: one is running, or its process has not ended yet.
            TooLargeError: its catalogue and events are more than a process reads.
        """
        task = self._task
        dying = task is not None and not task.done() and task.cancelling() > 0
        for job in self.newest_first()[:1]:
            if dying or job.state is State.RUNNING:
                raise BusyError(job.id)
        line = asked.line()
        if len(line) > request.REQUEST_MAX_B:
            raise TooLargeError(len(line))
        nothing = Told(0.0, asked.span.from_ms, 0, 0)._asdict()
        job = Job(uuid.uuid4().hex, by, shown, self._now_ms(), nothing)
        self._jobs[job.id] = job
        for old in list(self._jobs)[:-KEPT_MAX]:
            del self._jobs[old]
        self._task = asyncio.create_task(self._run(job, line), name="backtest")
        _log.info("event=backtest_started id=%s by=%r", job.id, by)
        return job

    def get(self, job: str) -> Job | None:
        """Return a job, None where it is not known any more."""
        return self._jobs.get(job)

    def newest_first(self) -> list[Job]:
        """Return the jobs that are known."""
        return list(reversed(self._jobs.values()))

    async def cancel(self, job: Job) -> None:
        """End a job that runs; one that has ended stays as it is."""
        if job.state is State.RUNNING and self._task is not None:
            self._end(job, State.CANCELLED)
            await _ended(self._task)

    async def close(self) -> None:
        """End what runs, with its process."""
        if self._task is not None:
            await _ended(self._task)

    async def _run(self, job: Job, line: bytes) -> None:
        try:
            async with asyncio.timeout(RUN_MAX_S):
                await self._answered(job, line)
        except TimeoutError:
            self._end(job, State.FAILED, f"it took more than {RUN_MAX_S:g} s")
        except (OSError, ValueError) as error:
            self._end(job, State.FAILED, str(error))
        finally:
            self._end(job, State.CANCELLED)  # of one that has ended it changes nothing

    async def _answered(self, job: Job, line: bytes) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=request.LINE_MAX_B,
        )
        try:
            if process.stdin is None or process.stdout is None:
                raise OSError("its process has no pipes")  # asyncio's promise, for the types
            with contextlib.suppress(ConnectionError):
                process.stdin.write(line)
                await process.stdin.drain()
            async for said in process.stdout:
                self._take(job, json.loads(said))
            code = await process.wait()
            if job.state is State.RUNNING:
                self._end(job, State.FAILED, f"its process ended with {code} and no result")
        finally:
            await _gone(process)

    def _take(self, job: Job, said: dict[str, Any]) -> None:
        if "progress" in said:
            job.progress = said["progress"]
        elif "result" in said:
            job.result = said["result"]
            self._end(job, State.DONE)
        else:
            self._end(job, State.FAILED, str(said.get("failed")))

    def _end(self, job: Job, state: State, why: str = "") -> None:
        if job.state is not State.RUNNING:
            return
        job.state, job.why, job.ended_ms = state, why[:WHY_MAX], self._now_ms()
        _log.info("event=backtest_ended id=%s state=%s why=%r", job.id, state, job.why)


async def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelling():  # a second one would leave its process alive
        task.cancel()
    await asyncio.wait([task])


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Return when a process is gone: told to end, and after a while made to."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            pass
        finally:
            if process.returncode is None:
                process.kill()
    await process.wait()
