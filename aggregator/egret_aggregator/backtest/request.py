"""What the centre asks of a backtest's own process, and what that says: JSON, a line each.

The request is one object on standard input: `payload` (the catalogue, as in a change entry),
`from_ms`, `to_ms`, `observed` (lists of start, end, station), `before_ms`, `apart_ms`. Answers are
lines on standard output, each with one member: `progress` (share, to, readings, events), at the end
`result`, or `failed` (why it ended without one).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egret_aggregator.backtest.observed import Observed, Windows
from egret_aggregator.backtest.replay import Span
from egret_aggregator.catalogue import from_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_aggregator.catalogue import Catalogue

EVENTS_MAX = 2000  # of one result over the API: about 2 MB with their sentences
LINE_MAX_B = 8 * 1024 * 1024  # of one answer: such a result, and room
REQUEST_MAX_B = 4 * 1024 * 1024  # a catalogue of thousands of channels
MEMORY_MAX_B = 1024 * 1024 * 1024  # address space of the process; a slice needs a tenth of it
_ROOM_B = 64 * 1024  # of an answer: its own member, and to spare
NICE = 19  # the last to get the processor: the judge and the API go first


def cut(body: dict[str, Any]) -> dict[str, Any]:
    """Return a result that fits into one answer: events of large areas take some kB each."""
    while len(json.dumps(body)) > LINE_MAX_B - _ROOM_B:
        kept = {name: body[name][: len(body[name]) // 2] for name in ("standing", "events")}
        body = {**body, **kept, "truncated": True}
        if not any(kept.values()):
            break
    return body


@dataclass(frozen=True, slots=True)
class Request:
    """One backtest to be made."""

    catalogue: Catalogue
    span: Span
    observed: Sequence[Observed] = ()
    windows: Windows = field(default_factory=Windows)

    def line(self) -> bytes:
        """Return it as it is sent."""
        body = {
            "payload": self.catalogue.payload().decode(),
            "from_ms": self.span.from_ms,
            "to_ms": self.span.to_ms,
            "observed": [list(one) for one in self.observed],
            "windows": list(self.windows),
        }
        return json.dumps(body).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Request:
        """Return what `line` said; ConfigError where its catalogue is of another version."""
        body = json.loads(line)
        return cls(
            from_payload(body["payload"].encode()),
            Span(body["from_ms"], body["to_ms"]),
            [Observed._make(row) for row in body["observed"]],
            Windows._make(body["windows"]),
        )
