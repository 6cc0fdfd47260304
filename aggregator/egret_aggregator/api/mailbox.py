"""What waits for one client of the stream; bounded, whatever the client does."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import StrEnum
from typing import NamedTuple

WARNINGS_MAX = 1000  # events; beyond it the client is cut off and resumes by Last-Event-ID


class End(StrEnum):
    """Why a stream ends from our side."""

    STOPPING = "stopping"  # the centre stops
    OVERFLOW = "overflow"  # the client does not read: WARNINGS_MAX wait for it
    STALLED = "stalled"  # one write has waited too long
    TOKEN_ENDED = "token_ended"  # noqa: S105  (a reason, no secret)


class Event(NamedTuple):
    """One encoded event: the ledger seq of a warning, 0 for what carries no id; its bytes."""

    seq: int
    data: bytes


class Mailbox:
    """Warnings in order, never dropped; observations and heartbeats one slot each."""

    __slots__ = (
        "_heartbeat",
        "_observation",
        "_warnings",
        "end",
        "ended",
        "filled",
        "wants_observations",
    )

    def __init__(self, *, wants_observations: bool) -> None:
        self.wants_observations = wants_observations
        self.end: End | None = None
        self.ended = asyncio.Event()
        self.filled = asyncio.Event()
        self._warnings: deque[Event] = deque()
        self._observation: Event | None = None
        self._heartbeat: Event | None = None

    def put_warning(self, event: Event) -> None:
        """Queue a warning; one too many ends the stream, and nothing follows the gap."""
        if self.end is not None:
            return
        if len(self._warnings) >= WARNINGS_MAX:
            self.finish(End.OVERFLOW)
        else:
            self._warnings.append(event)
            self.filled.set()

    def put_observation(self, event: Event) -> None:
        """Keep the newest observation, where the client wants any."""
        if self.wants_observations:
            self._observation = event
            self.filled.set()

    def put_heartbeat(self, event: Event) -> None:
        """Keep the newest heartbeat."""
        self._heartbeat = event
        self.filled.set()

    def finish(self, end: End) -> None:
        """End the stream; what waits is dropped, the client resumes by Last-Event-ID."""
        if self.end is None:
            self.end = end
            self._warnings.clear()
            self.ended.set()

    def take(self) -> list[Event]:
        """Return what waits, warnings first, and leave nothing."""
        events = list(self._warnings)
        self._warnings.clear()
        events.extend(event for event in (self._observation, self._heartbeat) if event)
        self._observation = self._heartbeat = None
        self.filled.clear()
        return events

    def __len__(self) -> int:
        return len(self._warnings) + bool(self._observation) + bool(self._heartbeat)
