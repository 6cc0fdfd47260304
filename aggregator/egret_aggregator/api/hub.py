"""The stream's hub: every event is encoded once and put into each client's mailbox."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from egret_aggregator.api.mailbox import End, Event, Mailbox
from egret_aggregator.api.shown import event_shown, summary_shown
from egret_aggregator.api.times import rfc3339
from egret_aggregator.metrics.histogram import FIELD_S, Histogram
from egret_aggregator.warnings.record import STREAMED, Kind
from egret_core.rules.event import Change, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_aggregator.warnings.record import Record

CLIENTS_MAX = 2000  # 128 seats with three screens each, five times over; 18 KiB a client
HEARTBEAT_S = 2.0  # real time; a client that hears nothing for 5 s shows STALE
_RISING = (Change.RAISED, Change.UPGRADED)  # what somebody waits for
_MEASURED = (Phase.PROVISIONAL, Phase.SETTLED)


class Hub:
    """The clients of the stream, in one process.

    Args:
        now_ms: the centre's clock, for `push_s`; without it nothing is measured.

    Attributes:
        push_s: by phase, from a rising event's time to its leaving this hub.
        overflows: clients that were cut off; stopping: no further ones join.
    """

    def __init__(self, now_ms: Callable[[], int] | None = None) -> None:
        self._now_ms = now_ms
        self.push_s = {str(phase): Histogram(FIELD_S) for phase in _MEASURED}
        self._mailboxes: set[Mailbox] = set()
        self._observed = 0
        self.stopping = False
        self.overflows = 0

    def __len__(self) -> int:
        return len(self._mailboxes)

    @property
    def observers(self) -> bool:
        """Whether any client wants observations."""
        return any(mailbox.wants_observations for mailbox in self._mailboxes)

    def join(self, mailbox: Mailbox) -> bool:
        """Add a client; False when there are too many or the centre stops."""
        if self.stopping or len(self._mailboxes) >= CLIENTS_MAX:
            return False
        self._mailboxes.add(mailbox)
        return True

    def leave(self, mailbox: Mailbox) -> None:
        """Remove a client."""
        self._mailboxes.discard(mailbox)
        if mailbox.end is End.OVERFLOW:
            self.overflows += 1

    def records(self, records: Sequence[Record]) -> None:
        """Tell every client of committed ledger lines."""
        for record in records:
            if record.kind in STREAMED:
                event = warning_event(record)
                for mailbox in tuple(self._mailboxes):
                    mailbox.put_warning(event)
                self._measure(record)

    def waiting(self) -> list[int]:
        """Return how many events wait in each mailbox."""
        return [len(mailbox) for mailbox in self._mailboxes]

    def observe(self, items: Sequence[Mapping[str, Any]], *, more: bool = False) -> None:
        """Tell the clients that want it of new latest values.

        `n` counts observations and `after` is the one before: a client that sees a gap has been
        given only the latest and reads `/api/v1/latest` for the rest.
        """
        before, self._observed = self._observed, self._observed + 1
        body = {"n": self._observed, "after": before, "items": items, "more": more}
        event = Event(0, encoded("observation", body))
        for mailbox in tuple(self._mailboxes):
            mailbox.put_observation(event)

    def heartbeat(self, body: Mapping[str, Any]) -> None:
        """Tell every client that the centre lives, and how far its ledger is."""
        event = Event(0, encoded("heartbeat", body))
        for mailbox in tuple(self._mailboxes):
            mailbox.put_heartbeat(event)

    def _measure(self, record: Record) -> None:
        if self._now_ms is None or record.kind != Kind.EVENT:
            return
        event = record.content["event"]
        span = self.push_s.get(event["phase"])
        if span is not None and event["change"] in _RISING:
            span.observe((self._now_ms() - event["time_ms"]) / 1000)

    def stop(self) -> None:
        """End every stream."""
        self.stopping = True
        for mailbox in tuple(self._mailboxes):
            mailbox.finish(End.STOPPING)


async def beat(hub: Hub, body: Callable[[], Mapping[str, Any]]) -> None:
    """Send heartbeats until cancelled."""
    while True:
        hub.heartbeat(body())
        await asyncio.sleep(HEARTBEAT_S)


def warning_event(record: Record) -> Event:
    """Return the event of a ledger line: live and replayed it has the same bytes."""
    content = record.content
    after = content.pop("after", None)
    event = content.get("event")
    if record.kind == Kind.EVENT and event is not None:
        content["event"] = event_shown(event)
    body = {
        "seq": record.seq,
        "at": rfc3339(record.time_ms),
        "actor": record.actor,
        "kind": record.kind,
        "id": record.warning or None,
        "warning": None if after is None else summary_shown(after),
        **content,
    }
    return Event(record.seq, encoded("warning", body, record.seq))


def encoded(name: str, body: Mapping[str, Any], seq: int = 0) -> bytes:
    """Return a server-sent event (HTML standard, 9.2); JSON text holds no line break."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    head = f"id: {seq}\n" if seq else ""
    return f"{head}event: {name}\ndata: {data}\n\n".encode("utf-8", "replace")
