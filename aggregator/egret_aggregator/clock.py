"""The centre's only wall clock; everything else is told the time."""

from __future__ import annotations

import asyncio
import time

from egret_core.timescale import REAL, Timescale


class Clock:
    """Time on the scaled line, ms since 1970 UTC.

    Args:
        timescale: the demo's and tests' scale; real time by default.
    """

    def __init__(self, timescale: Timescale = REAL) -> None:
        self._timescale = timescale

    def now_ms(self) -> int:
        """Return the present instant."""
        return self._timescale.at(time.time() * 1000)

    def in_ms(self, real_s: float) -> int:
        """Return the instant that will be present after so many real seconds."""
        return self._timescale.at((time.time() + real_s) * 1000)

    def monotonic_s(self) -> float:
        """Return unscaled seconds of a clock that never steps."""
        return time.monotonic()

    def elapsed_ms(self, since_s: float) -> int:
        """Return how far the scaled line went since a `monotonic_s`; no step of a clock counts."""
        return round((time.monotonic() - since_s) * 1000 * self._timescale.scale)

    async def sleep(self, scaled_s: float) -> None:
        """Wait for a duration of the scaled line."""
        await asyncio.sleep(self._timescale.real_s(scaled_s))
