"""Whether the machine's clock may end accounts and date certificates. Pure: it is told everything.

A clock that is ahead for a minute would end a city's accounts and make a certificate of the
future. So it is trusted at once only where the kernel calls it synchronised and it is not far
beyond the newest receipt in the journal; else once it has run for a day without a step, which is
how a site without NTP goes on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FAR_MS = 30 * 86_400_000  # beyond the newest receipt: no centre is down for that long by plan
STEADY_S = 86_400.0  # without a step: what sets a clock has had its chance
STEP_MS = 60_000  # of wall against monotonic time between two looks

_log = logging.getLogger(__name__)


class ClockTrust:
    """One process's clock.

    Args:
        now_ms: the machine's time; now_s: monotonic.
        newest_ms: receipt of the journal's newest entry at the start, 0 for none.
        synchronised: asks the kernel.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        now_s: Callable[[], float],
        newest_ms: int,
        synchronised: Callable[[], bool],
    ) -> None:
        self._now_ms = now_ms
        self._now_s = now_s
        self._newest_ms = newest_ms
        self._synchronised = synchronised
        self._began_s = self._steady_s = now_s()
        self._apart_ms = self._apart()
        self._doubted = False

    def good(self) -> bool:
        """Tell whether the clock is trusted now; ask it again and again, a step is seen by that."""
        apart_ms, now_s = self._apart(), self._now_s()
        if abs(apart_ms - self._apart_ms) > STEP_MS:
            self._steady_s = now_s
        self._apart_ms = apart_ms
        far_ms = self._newest_ms + (now_s - self._began_s) * 1000 + FAR_MS
        likely = not self._newest_ms or self._now_ms() <= far_ms
        in_step = self._synchronised()
        good = (in_step and likely) or now_s - self._steady_s >= STEADY_S
        if good is self._doubted:
            self._doubted = not good
            why = "trusted" if good else "far beyond the journal" if in_step else "unsynchronised"
            _log.warning("event=clock_%s why=%r", "trusted" if good else "doubted", why)
        return good

    def _apart(self) -> float:
        return self._now_ms() - self._now_s() * 1000
