"""Rain windows for which a gauge is read too rarely: they never hold any of its rain. Pure.

    window too short where period > window + window / 20

An increment counts only in windows that reach over the time since the reading before it
(`egret_core.rules.windows`). A gauge that is read more rarely than that fills a window at no
reading at all, and a level that needs it is never said. Units: s, of the period; ms, of windows.
A period of 0 is one that nobody told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_core.rules.model import RainLaw
from egret_core.rules.windows import reach_ms

if TYPE_CHECKING:
    from egret_core.rules.model import Law


def is_too_short(window_ms: int, period_s: float) -> bool:
    """Tell whether a window can never hold rain of a gauge that is read so rarely."""
    return period_s * 1000 > reach_ms(window_ms)


def too_short_ms(law: Law, period_s: float) -> list[int]:
    """Return the windows of a law that are too short for a gauge, ms, the shortest first."""
    if not isinstance(law, RainLaw):
        return []
    windows = {one.window_ms for level in law.levels for one in level.sums}
    return sorted(window for window in windows if is_too_short(window, period_s))
