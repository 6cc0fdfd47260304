"""The demo's seat reads a long series page by page, and names an answer that is none."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from egret_demo import centre
from egret_demo.centre import Centre, CentreError, Event, Stored, from_rfc3339, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT_S = 20
FROM_MS, TO_MS = 1_700_000_000_000, 1_700_000_600_000


class Api:
    """An API of scripted answers: `answer(path, query)` returns (status, body)."""

    def __init__(self, answer: Callable[[str, dict[str, str]], tuple[int, bytes]]) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                api.asked.append((parts.path, query, dict(self.headers)))
                status, body = answer(parts.path, query)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port


@contextmanager
def serving(answer: Callable[[str, dict[str, str]], tuple[int, bytes]]) -> Iterator[Api]:
    api = Api(answer)
    thread = threading.Thread(target=api.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield api
    finally:
        api.server.shutdown()
        thread.join(LIMIT_S)
        api.server.server_close()


def series(count: int) -> list[tuple[int, float | None]]:
    return [(FROM_MS + n * 1000, None if n % 7 == 3 else n / 2) for n in range(count)]


def paged(rows: list[tuple[int, float | None]], page: int) -> Callable[..., tuple[int, bytes]]:
    """An honest API over rows, a page at a time."""

    def answer(_path: str, query: dict[str, str]) -> tuple[int, bytes]:
        first, end = from_rfc3339(query["from"]), from_rfc3339(query["to"])
        found = [(at, value) for at, value in rows if first <= at < end]
        items = [
            {"time": rfc3339(at), "value": value, "flag": 9 if value is None else 1}
            for at, value in found[:page]
        ]
        more = len(found) > page
        body = {"items": items, "truncated": more}
        if more:
            body["next_from"] = rfc3339(found[page][0])
        return 200, json.dumps(body).encode()

    return answer


@pytest.mark.parametrize(("count", "page"), [(0, 10), (1, 10), (10, 10), (11, 10), (95, 10)])
def test_every_reading_comes_once_however_the_pages_fall(count: int, page: int) -> None:
    rows = series(count)
    with serving(paged(rows, page)) as api:
        found = list(Centre(api.port, "t").readings("bridge", "wl", FROM_MS, TO_MS))
    assert found == [(at, Stored(value, 9 if value is None else 1)) for at, value in rows]
    assert len(api.asked) == max(1, -(-count // page))
    path, query, headers = api.asked[0]
    assert path == "/api/v1/stations/bridge/channels/wl/readings"
    assert query["limit"] == str(centre.PAGE)
    assert headers["Authorization"] == "Bearer t"


def test_an_api_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centre, "PAGES_MAX", 5)

    def endless(_path: str, query: dict[str, str]) -> tuple[int, bytes]:
        body = {"items": [], "truncated": True, "next_from": query["from"]}
        return 200, json.dumps(body).encode()

    with serving(endless) as api, pytest.raises(CentreError, match="more than 5 pages"):
        list(Centre(api.port).readings("bridge", "wl", FROM_MS, TO_MS))
    assert len(api.asked) == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500, 503])
def test_any_other_answer_names_the_page_the_code_and_what_was_said(status: int) -> None:
    with serving(lambda *_: (status, b'{"title": "no such channel"}')) as api:
        with pytest.raises(CentreError, match=rf"readings.*: {status} .*no such channel"):
            list(Centre(api.port).readings("bridge", "wl", FROM_MS, TO_MS))
        assert Centre(api.port).alive() is False


def test_a_long_refusal_is_told_short() -> None:
    with serving(lambda *_: (500, b"x" * 100_000)) as api, pytest.raises(CentreError) as caught:
        Centre(api.port).get("/x")
    assert len(str(caught.value)) < 400


def test_figures_are_read_from_the_metrics_by_their_whole_name() -> None:
    metrics = b"# HELP a b\na 1\na_total 7\nab 3.0\nbad\n"
    with serving(lambda *_: (200, metrics)) as api:
        seat = Centre(api.port)
        assert [seat.figure(name) for name in ("a", "a_total", "ab", "b")] == [1, 7, 3, 0]


def test_a_server_that_hangs_up_is_no_answer() -> None:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        def hang_up() -> None:
            for _ in range(2):
                listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(CentreError, match="no answer"):
            Centre(port).get("/x")
        assert not Centre(port).alive()
        thread.join(LIMIT_S)


def heard(lines: str) -> list[Event]:
    """Feed a stream's text to a listener, line by line."""
    listener = centre.Listener(1, {})
    fields: dict[str, str] = {}
    for line in lines.splitlines():
        fields = listener._take(line, fields)
    found = []
    while not listener.events.empty():
        found.append(listener.events.get_nowait())
    return found


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        ("", []),
        ("\n\n\n", []),
        ("event: warning\n\n", []),
        ('data: {"a":1}\n\n', [Event("message", {"a": 1})]),
        ('data:{"a":1}\n\n', [Event("message", {"a": 1})]),
        ('event: x\ndata: {"a":\ndata: 1}\n\n', [Event("x", {"a": 1})]),
        (": comment\nevent: x\ndata: {}\n\n", [Event("x", {})]),
        ('event: x\ndata: {"a":1}\n', []),
        ('nonsense\ndata: {"a":1}\n\n', [Event("message", {"a": 1})]),
        ('data: {"a":1}\n\ndata: {"a":2}\n\n', [Event("message", {"a": n}) for n in (1, 2)]),
    ],
    ids=["nothing", "blank", "no data", "plain", "no space", "two lines", "comment", "unfinished",
         "unknown field", "two"],
)  # fmt: skip
def test_the_stream_is_read_line_by_line(lines: str, events: list[Event]) -> None:
    assert heard(lines) == events


def test_a_stream_that_is_refused_is_tried_again_until_told_to_stop() -> None:
    count = threading.Semaphore(0)

    def refuse(*_: Any) -> tuple[int, bytes]:
        count.release()
        return 503, b""

    with serving(refuse) as api:
        listener = Centre(api.port, "t").listen()
        for _ in range(2):
            assert count.acquire(timeout=LIMIT_S)
        listener.stop()
        listener.join(LIMIT_S)
        assert not listener.is_alive()
    assert {headers["Accept"] for _, _, headers in api.asked} == {"text/event-stream"}


def test_a_stream_of_nonsense_does_not_end_the_listening() -> None:
    bodies = iter([b"data: {nonsense\n\n", b'data: {"a":1}\n\n'])

    def answer(*_: Any) -> tuple[int, bytes]:
        return 200, next(bodies, b'data: {"a":2}\n\n')

    with serving(answer) as api:
        listener = Centre(api.port).listen()
        assert listener.events.get(timeout=LIMIT_S) == Event("message", {"a": 1})
        listener.stop()
        listener.join(LIMIT_S)


def test_times_keep_their_milliseconds() -> None:
    assert rfc3339(1_700_000_000_001) == "2023-11-14T22:13:20.001+00:00"
    assert from_rfc3339("2023-11-15T06:13:20.001+08:00") == 1_700_000_000_001
    for offset in range(0, 100_000, 777):
        assert from_rfc3339(rfc3339(FROM_MS + offset)) == FROM_MS + offset
