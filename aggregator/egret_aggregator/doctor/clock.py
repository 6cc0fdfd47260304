"""The centre's clock: kept right, and not behind what it dated before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.api.times import rfc3339
from egret_aggregator.doctor.finding import Finding, Result
from egret_aggregator.journal.inspection import inspect
from egret_aggregator.kernel_clock import synchronised

if TYPE_CHECKING:
    from pathlib import Path

ROOM = "clock"
BEHIND_MS = 60_000  # beyond it a clock was set back: absence and lateness are judged wrongly


def clock(data: Path, now_ms: int) -> Result:
    """Look at the clock; JournalError where the journal cannot be read."""
    found: list[Finding] = []
    in_step = synchronised()
    if not in_step:
        found.append(
            Finding(
                "the kernel calls its clock unsynchronised",
                "install chrony, or check `chronyc tracking`: gateways take their time from here",
            )
        )
    path = data / "journal.db"
    newest_ms = inspect(path).newest_ms if path.exists() else 0
    if newest_ms > now_ms + BEHIND_MS:
        found.append(
            Finding(
                f"it says {rfc3339(now_ms)}, and the journal holds {rfc3339(newest_ms)}",
                "set the clock right; until it has caught up nothing counts as current",
            )
        )
    state = "synchronised" if in_step else "not synchronised"
    return Result(ROOM, f"{rfc3339(now_ms)}, {state}", tuple(found))
