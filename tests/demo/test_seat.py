"""The demo's seat at the API reads the stream as the HTML standard writes it."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from egret_demo.centre import Centre, CentreError, Event, from_rfc3339, rfc3339
from egret_demo.voice import told

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 20
STREAM = (
    'retry: 2000\nevent: hello\ndata: {"head":0}\n\n'
    ": a comment\n"
    'id: 7\nevent: warning\ndata: {"a":\ndata: 1}\n\n'
    'event: heartbeat\ndata: {"head":7}\n\n'
)


class Handler(http.server.BaseHTTPRequestHandler):
    """A server of fixed answers; it remembers what it was asked."""

    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.asked.append((self.path, dict(self.headers)))
        body = STREAM if self.path.endswith("/stream") else json.dumps({"path": self.path})
        self.send_response(404 if self.path.startswith("/none") else 200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    Handler.asked = []
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=found.serve_forever, args=(0.01,))
    serving.start()
    yield found
    found.shutdown()
    serving.join(LIMIT_S)
    found.server_close()


def test_events_are_read_and_a_broken_stream_is_taken_up_where_it_ended(
    server: http.server.ThreadingHTTPServer,
) -> None:
    listener = Centre(server.server_port, "secret").listen()
    first = [listener.events.get(timeout=LIMIT_S) for _ in range(3)]
    assert first == [
        Event("hello", {"head": 0}),
        Event("warning", {"a": 1}),
        Event("heartbeat", {"head": 7}),
    ]
    for _ in range(3):  # it comes again by itself
        listener.events.get(timeout=LIMIT_S)
    listener.stop()
    listener.join(LIMIT_S)
    assert not listener.is_alive()
    headers = [headers for _, headers in Handler.asked]
    assert all(asked["Authorization"] == "Bearer secret" for asked in headers)
    assert "Last-Event-ID" not in headers[0]
    assert headers[1]["Last-Event-ID"] == "7"


def test_a_refusal_is_an_error_that_names_the_page(
    server: http.server.ThreadingHTTPServer,
) -> None:
    seat = Centre(server.server_port)
    assert seat.get("/some", {"from": "a b"}) == {"path": "/some?from=a+b"}
    with pytest.raises(CentreError, match=r"GET /none: 404"):
        seat.get("/none")


def test_a_centre_that_is_not_there_is_not_alive() -> None:
    assert not Centre(1).alive()
    with pytest.raises(CentreError, match=r"GET /x: no answer"):
        Centre(1).get("/x")


def test_a_figure_that_is_not_given_is_nothing(server: http.server.ThreadingHTTPServer) -> None:
    assert Centre(server.server_port).figure("egret_recorder_readings_total") == 0


@pytest.mark.parametrize("time_ms", [0, 1, 1_700_000_000_123, 253_402_300_799_999])
def test_times_go_there_and_back(time_ms: int) -> None:
    assert from_rfc3339(rfc3339(time_ms)) == time_ms
    assert from_rfc3339(rfc3339(time_ms).replace("+00:00", "Z")) == time_ms


EVENT = {
    "subject": "bridge/wl",
    "hazard": "level",
    "change": "raised",
    "phase": "provisional",
    "time": "2026-11-22T12:31:40.000Z",
    "evidence": {"value": 4.5123, "threshold": 4.5, "unit": "m", "datum": "zero"},
}
RAIN = {"window_h": 3.0, "value": 100.58, "threshold": 100.0, "unit": "mm"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "4.51 m against 4.50 m (zero)"),
        ({"hazard": "rain", "evidence": RAIN}, "100.6 mm in 3 h against 100 mm"),
        ({"hazard": "absence", "evidence": {"limit_s": 900}}, "no good reading for 15 min"),
        ({"hazard": "slope", "evidence": {"rate_mm_h": 4}}, "rate_mm_h 4"),
        ({"evidence": {"value": None, "threshold": 4.5}}, "value None, threshold 4.5"),
    ],
    ids=["level", "rain", "absence", "unknown", "numbers-missing"],
)
def test_a_warning_is_told_in_one_line_with_its_evidence(
    change: dict[str, Any], words: str
) -> None:
    assert told(EVENT | change) == f"bridge/wl   {words}; raised as of 12:31:40, provisional"
