"""The demo as a client of the warning API: nothing here that any other client could not do."""

from __future__ import annotations

import http.client
import json
import queue
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPLY_LIMIT_S = 10.0  # one page; the centre is on the same machine
STREAM_LIMIT_S = 10.0  # the stream's heartbeat comes every 2 s
EVENTS_MAX = 1000  # events waiting to be shown
PAGE = 1000
PAGES_MAX = 1000  # a million readings: no demo takes so many
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class Event(NamedTuple):
    """One event of the live stream."""

    name: str
    data: dict[str, Any]


class Stored(NamedTuple):
    """A reading as the API gives it back; its time in ms since 1970."""

    value: float | None
    flag: int


class CentreError(Exception):
    """The API did not answer, or something else than what was asked for."""


class Centre:
    """One seat at the centre.

    Attributes:
        port: of the API on loopback; token: bearer token, "" for the open pages.
    """

    def __init__(self, port: int, token: str = "") -> None:
        self.port = port
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def alive(self) -> bool:
        """Tell whether the centre answers at all."""
        try:
            return self._ask("/healthz")[0] == http.client.OK
        except CentreError:
            return False

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        """Return the JSON at a path.

        Raises:
            CentreError: any other answer than 200.
        """
        where = f"{path}?{urlencode(query)}" if query else path
        status, body = self._ask(where)
        if status != http.client.OK:
            raise CentreError(f"GET {where}: {status} {body[:300].decode(errors='replace')}")
        found: dict[str, Any] = json.loads(body)
        return found

    def figure(self, name: str) -> int:
        """Return one figure of `/metrics`, 0 where the centre does not give it."""
        for line in self._ask("/metrics")[1].decode().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(float(value))
        return 0

    def _ask(self, where: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REPLY_LIMIT_S)
        try:
            connection.request("GET", where, headers=self._headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise CentreError(f"GET {where}: no answer ({error})") from error
        finally:
            connection.close()

    def readings(
        self, station: str, channel: str, from_ms: int, to_ms: int
    ) -> Iterator[tuple[int, Stored]]:
        """Yield every stored reading of a channel with its time, page by page."""
        path = f"/api/v1/stations/{station}/channels/{channel}/readings"
        query: dict[str, str | int] = {
            "from": rfc3339(from_ms),
            "to": rfc3339(to_ms),
            "limit": PAGE,
        }
        for _ in range(PAGES_MAX):
            page = self.get(path, query)
            for item in page["items"]:
                yield from_rfc3339(item["time"]), Stored(item["value"], item["flag"])
            if not page["truncated"]:
                return
            query["from"] = page["next_from"]
        raise CentreError(f"{path}: more than {PAGES_MAX} pages")

    def listen(self) -> Listener:
        """Connect to the live stream of warnings."""
        listener = Listener(self.port, self._headers)
        listener.start()
        return listener


class Listener(threading.Thread):
    """The live stream, read in a thread; events wait in `events` until they are shown.

    It connects again with Last-Event-ID whenever the stream ends, until told to stop.
    """

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        super().__init__(name="stream", daemon=True)
        self.events: queue.Queue[Event] = queue.Queue(EVENTS_MAX)
        self._port = port
        self._headers = headers
        self._done = threading.Event()
        self._last_id = ""

    def run(self) -> None:
        """Read until stopped."""
        while not self._done.is_set():
            try:
                self._read()
            except (OSError, ValueError, http.client.HTTPException):
                self._done.wait(0.5)

    def stop(self) -> None:
        """End after the event now being read, at most a heartbeat later."""
        self._done.set()

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=STREAM_LIMIT_S)
        headers = dict(self._headers) | {"Accept": "text/event-stream"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        try:
            connection.request("GET", "/api/v1/warnings/stream", headers=headers)
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise http.client.HTTPException(str(response.status))
            fields: dict[str, str] = {}
            while not self._done.is_set() and (line := response.readline()):
                fields = self._take(line.decode().rstrip("\r\n"), fields)
        finally:
            connection.close()

    def _take(self, line: str, fields: dict[str, str]) -> dict[str, str]:
        """Take one line of the stream; return the fields of the event under way."""
        if line:
            key, _, value = line.partition(":")
            return fields | {key: fields.get(key, "") + value.removeprefix(" ")} if key else fields
        if "data" in fields:
            event = Event(fields.get("event", "message"), json.loads(fields["data"]))
            self._last_id = fields.get("id", self._last_id)
            self.events.put(event)
        return {}


def rfc3339(time_ms: int) -> str:
    """Return an instant as the API writes it, exact to the millisecond."""
    return (EPOCH + time_ms * MILLISECOND).isoformat(timespec="milliseconds")


def from_rfc3339(text: str) -> int:
    """Return ms since 1970 of an instant as the API writes it, without a detour by floats."""
    return (datetime.fromisoformat(text) - EPOCH) // MILLISECOND
