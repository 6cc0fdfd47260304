"""InfluxDB over HTTP: influxdb-client as transport, and nothing else of it.

Its batching write interface is not used: it answers before the server has, and gives up in silence.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_aggregator.errors import StoreError
from egret_aggregator.store.influx import influxql
from egret_aggregator.store.influx.answers import NO_ANSWER, Answer, judged, words
from egret_aggregator.store.influx.influxql import RefusedQueryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from egret_aggregator.store.influx.influxql import Found
    from egret_aggregator.store.influx.sift import Key
    from egret_aggregator.store.settings import StoreSettings

TIMEOUT_MS = 30_000  # a server that compacts may take seconds
CONNECTIONS = 8  # writing lanes and questions at once
PAUSES_S = (0.05, 0.2, 0.5)  # before a row that looks half written is asked for again
STRANGE_MAX = 1000  # channels remembered whose half rows stay half
TOKEN_MAX_B = 4096  # a longer file is something else

_WRITE = {
    "Content-Encoding": "gzip",
    "Content-Type": "text/plain; charset=utf-8",  # any other and the client makes JSON of the body
    "Accept": "application/json",
}


class Reply(NamedTuple):
    """Status, text and headers of an answer; status `NO_ANSWER` where none came."""

    status: int
    text: str
    headers: Mapping[str, str]


class InfluxHttp:
    """The transport to one bucket.

    Args:
        settings: `[store]` of kind `influx`.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        database, _, policy = settings.bucket.partition("/")
        self._place = [("db", database), *([("rp", policy)] if policy else [])]
        self._client: Any = None
        self._strange: set[Key] = set()

    async def open(self) -> None:
        """Make the client; nothing is sent yet.

        Raises:
            StoreError: the extra is not installed, or token or certificate cannot be read.
        """
        try:
            from influxdb_client.client.influxdb_client_async import (  # noqa: PLC0415  (0.5 s)
                InfluxDBClientAsync,
            )
        except ImportError as error:
            remedy = "pip install 'egret-ews[aggregator,influx]'"
            raise StoreError(f"[store] kind = 'influx': {error}: {remedy}") from error
        settings = self._settings
        ca_file = str(settings.ca_file) if settings.ca_file else None
        try:
            self._client = InfluxDBClientAsync(
                settings.url,
                token="",  # `authorize` sets it
                org=settings.org,
                timeout=TIMEOUT_MS,
                ssl_ca_cert=ca_file,
                connection_pool_maxsize=CONNECTIONS,
                allow_redirects=False,  # a token goes to nobody else
            )
        except OSError as error:
            why = f"[store] ca_file {ca_file}: {error}: name a readable PEM file"
            raise StoreError(why) from error
        self.authorize()

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def authorize(self) -> None:
        """Read the token anew; StoreError where that fails, without the token."""
        if self._settings.token_file is not None:
            token = _token(self._settings.token_file)
            self._client.api_client.set_default_header("Authorization", f"Token {token}")

    async def write(self, body: bytes) -> Answer:
        """Post one compressed body; whatever comes back is an answer."""
        query = [
            ("bucket", self._settings.bucket),
            ("org", self._settings.org),
            ("precision", "ms"),
        ]
        reply = await self._call("/api/v2/write", "POST", query, dict(_WRITE), body)
        return judged(reply.status, reply.text, reply.headers)

    async def query(self, statement: str) -> list[Mapping[str, Any]]:
        """Return the series that one InfluxQL statement gives.

        Raises:
            RefusedQueryError: the server refuses the statement; its status, then its words.
            StoreError: it does not answer.
        """
        query = [*self._place, ("epoch", "ms"), ("q", statement)]
        reply = await self._call("/query", "GET", query, {"Accept": "application/json"})
        if reply.status == NO_ANSWER or reply.status >= 500:  # noqa: PLR2004  (HTTP)
            raise StoreError(f"InfluxDB at {self._settings.url}: {_told(reply)}")
        if reply.status != 200:  # noqa: PLR2004  (HTTP)
            return influxql.series({"error": _told(reply)})
        try:
            return influxql.series(json.loads(reply.text))
        except json.JSONDecodeError as error:
            raise RefusedQueryError(f"no JSON from /query: {error}") from error

    async def rows(self, statement: str, key: Key) -> Found:
        """Return what one `influxql.rows_of` gives; what looks half written is asked for again.

        A server shows the fields of a row that is being written one after the other.

        Raises:
            RefusedQueryError, StoreError: as `query`.
        """
        found = influxql.rows(await self.query(statement), *key)
        for pause_s in () if key in self._strange else PAUSES_S:
            if not found.half:
                return found
            await asyncio.sleep(pause_s)
            found = influxql.rows(await self.query(statement), *key)
        if found.half and len(self._strange) < STRANGE_MAX:
            self._strange.add(key)  # not on their way: another writer's
        return found

    async def ping(self) -> Reply:
        """Ask whether it is there, and of what version; status `NO_ANSWER` where it is not."""
        return await self._call("/ping", "GET", [], {"Accept": "application/json"})

    async def _call(
        self,
        path: str,
        method: str,
        query: list[tuple[str, str]],
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> Reply:
        from aiohttp import ClientError  # noqa: PLC0415  (of the extra, see `open`)
        from influxdb_client.rest import ApiException  # noqa: PLC0415  (same)

        try:
            answer = await self._client.api_client.request(
                method,
                f"{self._settings.url}{path}",
                query_params=query,
                headers=headers | self._client.api_client.default_headers,
                body=body,
            )
        except ApiException as error:
            return Reply(error.status or NO_ANSWER, _text(error.body), dict(error.headers or {}))
        except (TimeoutError, ClientError, OSError) as error:
            why = str(error) or type(error).__name__  # a timeout has no words
            return Reply(NO_ANSWER, f"no answer: {why}"[:500], {})
        return Reply(answer.status, _text(answer.data), dict(answer.getheaders()))


def _told(reply: Reply) -> str:
    return f"{reply.status or ''} {words(reply.text)}".strip()


def _text(body: object) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")


def _token(path: Path) -> str:
    try:
        raw = path.read_bytes()
        token = raw.decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise StoreError(f"[store] token_file {path}: {why}: name a readable file") from None
    if not token or len(raw) > TOKEN_MAX_B or not token.isprintable():
        raise StoreError(f"[store] token_file {path}: write the token into it, on one line")
    return token
