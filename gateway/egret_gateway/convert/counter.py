"""Counters: raw counts become a total that never decreases.

A wrap goes on, a reset starts again from 0 (unless the old count is back at once), a leap that no
rain makes adds nothing, and contacts that follow each other faster than a bucket tips are bounce.
The memory is JSON text, kept with the very samples it explains.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from egret_core.quality import Flag, Reason
from egret_core.screening.rain import rain_most_mm
from egret_core.screening.verdict import GOOD, Verdict, combined
from egret_core.units import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_gateway.profiles import Counter

LOST = "lost"  # memory of a counter that had one: its next total is doubtful
BACK_MM = 10.0  # below it a count that comes back costs little, whichever way it is taken
SHORT_S = 60.0  # what rain can bring in so long is believed without knowing how long it took
_LEAP = Verdict(int(Flag.SUSPECT), int(Reason.GAP))
_RESET = Verdict(int(Flag.GOOD), int(Reason.COUNTER_RESET))
_RESET_UNCOUNTED = Verdict(int(Flag.SUSPECT), int(Reason.COUNTER_RESET))
_BOUNCE = Verdict(int(Flag.SUSPECT), int(Reason.BOUNCE))


class Counted(NamedTuple):
    """A total, what is said of it, and the new memory, "" where nothing changed."""

    total: float
    verdict: Verdict
    memory: str


class Counting(NamedTuple):
    """How a channel counts.

    Attributes:
        counter: its width and its largest believable step; amount: of so many counts.
        rain: the total is of rain, in mm; min_tip_s: the least time between two tips, 0 for any.
        clears: reading sets the counter back, so that it tells what came since.
    """

    counter: Counter
    amount: Callable[[float], float]
    rain: bool = True
    min_tip_s: float = 0.0
    clears: bool = False


class Total(NamedTuple):
    """A counter's memory: the last raw count and the total in the canonical unit.

    After a reset `former` is the count before it, until the next count decides.
    """

    last: int
    total: float
    former: int | None = None


def count(how: Counting, raw: int, memory: str, since_s: float | None) -> Counted:
    """Add what was counted since the last read.

    Args:
        how: the channel's way.
        raw: the counter as read.
        memory: of the last read, "" before the first, `LOST` where it had one.
        since_s: seconds since that read, None where nobody knows.
    """
    before = _remembered(memory)
    if before is None:
        # Seen for the first time, its own count is the best guess of the total; where there was
        # a memory and it cannot be read, that guess is doubtful.
        verdict = _RESET_UNCOUNTED if memory else GOOD
        total, former = how.amount(raw), None
    else:
        back = _is_back(how, before, raw)
        if how.clears:
            step, verdict = _since_cleared(how.counter, raw)
        elif back:
            step, verdict = raw - (before.former or 0), _RESET_UNCOUNTED
        else:
            step, verdict = _step(how.counter, before.last, raw)
        if since_s is not None:
            step, bounce = _tips(how, step, since_s)
            verdict = combined(verdict, bounce)
            if how.rain and how.amount(step) > rain_most_mm(since_s):
                # No rain: another device, or a wrong number. A false sum is a false alarm.
                step, verdict = 0, _RESET_UNCOUNTED
        elif how.rain and how.amount(step) > rain_most_mm(SHORT_S):
            verdict = combined(verdict, _LEAP)  # an outage's rain, or another device: who knows
        total = settle(before.total + how.amount(step))
        former = None if back or how.clears else _former(before, raw, verdict)
    fresh = memory_of(raw, total, former)
    return Counted(total, verdict, fresh if fresh != memory else "")


def memory_of(raw: float, total: float, former: int | None = None) -> str:
    """Return a counter's memory: its last raw count and the total that went with it.

    Args:
        raw: the count.
        total: in the canonical unit.
        former: the count before a reset, None where there was none just now.
    """
    return json.dumps([int(raw), total] if former is None else [int(raw), total, former])


def _former(before: Total, raw: int, verdict: Verdict) -> int | None:
    """Return the count that may come back: the one before a reset, until the next one decides."""
    if verdict.reasons & Reason.COUNTER_RESET:
        return before.last
    return before.former if raw == before.last else None


def _is_back(how: Counting, before: Total, raw: int) -> bool:
    """Tell whether a reset was a wrong number, and the counter is where it was before.

    Rain alone can say so: that so much fell in one step, just as much as had fallen before, is
    less likely than one lost read.
    """
    if before.former is None or not how.rain or raw < before.former:
        return False
    missed, again = how.amount(raw - before.former), how.amount(abs(raw - before.last))
    return missed <= BACK_MM < again


def _tips(how: Counting, step: int, since_s: float) -> tuple[int, Verdict]:
    """Return the counts that tips can have made; one more than fits, as both ends may hold one."""
    if how.min_tip_s == 0:
        return step, GOOD
    most = int(since_s / how.min_tip_s) + 1
    return (step, GOOD) if step <= most else (most, _BOUNCE)


def _since_cleared(counter: Counter, raw: int) -> tuple[int, Verdict]:
    """Return what a register counted since the last read set it back."""
    return (raw, GOOD) if raw <= counter.max_step else (0, _RESET_UNCOUNTED)


def _step(counter: Counter, last: int, raw: int) -> tuple[int, Verdict]:
    """Return the counts between two reads, and what is to be said of them."""
    step = (raw - last) % 2**counter.bits
    if step <= counter.max_step:
        return step, GOOD
    if raw < last and raw <= counter.max_step:
        return raw, _RESET
    # Neither a believable step nor a start from zero: another device, or a wrong number. What
    # it counted is unknown; the total goes on from here.
    return 0, _RESET_UNCOUNTED


def _remembered(memory: str) -> Total | None:
    try:
        last, total, *former = json.loads(memory)
        return Total(int(last), float(total), *(int(count) for count in former[:1]))
    except (TypeError, ValueError):
        return None
