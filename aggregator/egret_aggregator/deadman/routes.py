"""Telling somebody: a webhook, a command; each tried until it took the notice.

A notice has an id; a receiver that is told twice, because we were stopped between its answer and
our note of it, knows it again by that.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import signal
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from egret_aggregator.deadman.heartbeat import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from egret_aggregator.deadman.settings import WebhookSettings

    Notice = Mapping[str, Any]

RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # between attempts; the last one again and again
ATTEMPTS_MAX = 1500  # a day of them: who could not be called by then is not called by this
WAITING_MAX = 16  # notices of one route: eight outages that nobody could be told of
COMMAND_S = 60.0  # a program that runs for longer is stopped and run again
RECEIPT_MAX = 200  # characters of an answer that the log keeps
OUTPUT_B = 64 * 1024  # of a program's output read at a time: what a pipe holds
_GOOD = range(200, 300)

_log = logging.getLogger(__name__)


class RouteError(Exception):
    """A notice was not taken; the next attempt may succeed."""


class Route(Protocol):
    """One way to tell somebody."""

    name: str

    async def tell(self, notice: Notice) -> str:
        """Return the receiver's receipt; RouteError where it did not take the notice."""


class Webhook:
    """POSTs a notice as JSON; any 2xx answer is a receipt."""

    name = "webhook"

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings

    async def tell(self, notice: Notice) -> str:
        """POST it."""
        return await asyncio.to_thread(self._post, notice)

    def _post(self, notice: Notice) -> str:
        parts = urlsplit(self._settings.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(notice["id"])}
        try:
            if self._settings.token_file is not None:
                token = self._settings.token_file.read_text().strip()
                headers["Authorization"] = f"Bearer {token}"
            with closing(connection(self._settings.url, self._settings.ca_file)) as line:
                line.request("POST", target, json.dumps(notice).encode(), headers)
                answer = line.getresponse()
                said = answer.read(RECEIPT_MAX).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RouteError(f"{type(error).__name__}: {error}") from error
        if answer.status not in _GOOD:
            raise RouteError(f"status {answer.status}: {said}")
        return f"status {answer.status}: {said}"


class Command:
    """Runs a program with the notice on its standard input; exit code 0 is a receipt.

    It leads a process group of its own. What it leaves running does not delay its receipt, and
    goes on; where it failed, the whole group is ended before it is run again.
    """

    name = "command"

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words

    async def tell(self, notice: Notice) -> str:
        """Run it."""
        try:
            output = _Output()
        except OSError as error:  # no more files may be open: another time
            raise RouteError(str(error)) from error
        try:
            child = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=output.end,
                stderr=output.end,
                start_new_session=True,
            )
        except OSError as error:
            raise RouteError(str(error)) from error
        finally:
            os.close(output.end)
        try:
            async with asyncio.timeout(COMMAND_S):
                await child.communicate(json.dumps(notice).encode())
        except TimeoutError:
            raise RouteError(f"still running after {COMMAND_S:g} s: stopped") from None
        finally:
            if child.returncode != 0:
                with suppress(OSError):  # all of it is gone, or not ours to end
                    os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
        output.read()
        said = output.said.decode("utf-8", "replace").strip()
        if child.returncode != 0:
            raise RouteError(f"exit code {child.returncode}: {said}")
        return said


class _Output:
    """A pipe of which the beginning is kept; read until nobody holds its other end.

    Attributes:
        end: the other end, for a program; to be closed here once the program has it.
        said: the beginning.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._here: int | None
        self._here, self.end = os.pipe()
        self.said = b""
        os.set_blocking(self._here, False)
        self._loop.add_reader(self._here, self.read)

    def read(self) -> None:
        """Take what is there."""
        if self._here is None:
            return
        try:
            some = os.read(self._here, OUTPUT_B)
        except BlockingIOError:
            return
        self.said += some[: RECEIPT_MAX - len(self.said)]
        if not some:
            self._loop.remove_reader(self._here)
            os.close(self._here)
            self._here = None


class Desk:
    """The notices of one route, in order, until each is taken.

    Args:
        route: how they are told.
        waiting: what a former process left behind.
        changed: told whenever one was taken; who puts one remembers it after every desk has it.
    """

    def __init__(self, route: Route, waiting: list[Notice], changed: Callable[[], None]) -> None:
        self.route = route
        self.waiting = waiting
        self._changed = changed
        self._some = asyncio.Event()
        if waiting:
            self._some.set()

    def put(self, notice: Notice) -> None:
        """Queue a notice; the oldest gives way to one too many, and the log says so."""
        if len(self.waiting) >= WAITING_MAX:
            lost = self.waiting.pop(0)
            _log.error("event=notice_dropped route=%s kind=%s", self.route.name, lost["kind"])
        self.waiting.append(notice)
        self._some.set()

    async def run(self) -> None:
        """Tell one after the other until cancelled."""
        while True:
            await self._some.wait()
            if not self.waiting:
                self._some.clear()
                continue
            notice = self.waiting[0]
            await self._deliver(notice)
            if self.waiting and self.waiting[0] is notice:
                self.waiting.pop(0)
                self._changed()

    async def _deliver(self, notice: Notice) -> None:
        name, kind = self.route.name, notice["kind"]
        for attempt in range(ATTEMPTS_MAX):
            try:
                receipt = await self.route.tell(notice)
            except RouteError as error:
                pause_s = RETRY_S[min(attempt, len(RETRY_S) - 1)]
                _log.warning(
                    "event=notice_refused route=%s kind=%s again_s=%g why=%r",
                    *(name, kind, pause_s, str(error)),
                )
                await asyncio.sleep(pause_s)
            else:
                _log.info("event=notice_taken route=%s kind=%s receipt=%r", name, kind, receipt)
                return
        _log.error("event=notice_given_up route=%s kind=%s", name, kind)
