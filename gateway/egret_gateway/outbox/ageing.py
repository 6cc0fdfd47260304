"""When settled batches have served as the centre's second copy: by the time that really passed.

A look that finds nothing to let go writes nothing: flash wears by the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_gateway.outbox import space

if TYPE_CHECKING:
    from egret_gateway.outbox.file import OutboxFile

LOOK_MS = 60_000  # how often the oldest rows are looked at
MARK_MS = 600_000  # how often it is written down how far we are: those pages are other ones
SPEED = 2  # times real time: what an absence left over is caught up, a wrong clock is not
AGED = "aged_to_ms"  # fact: settled batches cut before it have been let go


class Ageing:
    """How far the oldest batches have been let go; used by the thread that writes."""

    def __init__(self, keep_ms: int) -> None:
        self._keep_ms = keep_ms
        self._to_ms = 0
        self._looked_ms: int | None = None
        self._marked_ms = 0

    def due(self, now: int) -> bool:
        """Whether to look again, at a monotonic time."""
        return self._looked_ms is None or now >= self._looked_ms + LOOK_MS

    def look(self, file: OutboxFile, now: int, real_ms: int) -> None:
        """Let go what has served its time; write down now and then how far we are."""
        # Of the time before the first look only the fact tells: each start has the same credit, 0.
        elapsed = 0 if self._looked_ms is None else now - self._looked_ms
        if self._looked_ms is None:
            self._marked_ms = now
        self._looked_ms = now
        gone = space.drop_aged(file, self.limit(file, real_ms - self._keep_ms, elapsed))
        marks = now >= self._marked_ms + MARK_MS
        if gone or marks:
            file.set_fact(AGED, self._to_ms)
        if marks:
            self._marked_ms = now
            file.mark()

    def limit(self, file: OutboxFile, wanted_ms: int, elapsed_ms: int) -> int:
        """Return the date up to which settled batches may age out.

        It follows the time that really passed: a clock that leaps to 2100 throws nothing away.

        Args:
            file: where the date of an earlier run is kept.
            wanted_ms: now less the time that batches are kept, by the gateway's clock.
            elapsed_ms: monotonic time since the last look.
        """
        last = self._to_ms or file.fact(AGED) or file.oldest_cut() or wanted_ms
        self._to_ms = min(wanted_ms, last + SPEED * elapsed_ms)
        return self._to_ms
