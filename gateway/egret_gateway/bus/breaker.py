"""What a unit that fails costs its neighbours, and the bounds of it; pure.

A breaker per unit: three failures park it, then it is probed, after twice its period at first,
doubling to a cap. A bucket per line: failures of all units together may burn a twentieth of the
line's time, beside what a line without any live unit has anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FAILS_TO_OPEN = 3  # one is a glitch, two a coincidence
BACKOFF_PERIODS = 2.0
BACKOFF_MAX_S = 300.0  # a revived device is found again within five minutes (scaled with periods)
WARNING_SHARE = 0.2  # of that for rain and level: within a minute
BURN_SHARE = 0.05  # of the line's time
BURN_START_S = 1.0
BURN_MAX_S = 2.0  # what can be saved up: two usual time-outs
_ROUNDING_S = 1e-6
EXCUSED_MAX = 6  # failures in a row for which a neighbour is blamed; then the unit itself is dead
BURN_DEBT_S = 10.0  # the longest usual time-out: more debt than one would keep probes away for long


@dataclass(slots=True)
class Breaker:
    """A unit's failures; `open` while it is parked until `probe_s`.

    Attributes:
        fails: in a row; excused: those before that were put down to a neighbour.
        backoff_s: the last wait; failed_s: when it began; cost_s: what its last failure took.
    """

    fails: int = 0
    excused: int = 0
    open: bool = False
    backoff_s: float = 0.0
    probe_s: float = 0.0
    failed_s: float = 0.0
    cost_s: float = 0.0

    def close(self) -> None:
        """Take in an answer."""
        self.fails, self.excused, self.open = 0, 0, False

    def back_off(self, now_s: float, first_s: float, most_s: float, dice: float) -> None:
        """Park the unit, or park it longer.

        Args:
            now_s: now.
            first_s: the first wait.
            most_s: the longest.
            dice: from [0, 1): jitter keeps the probes of several dead units from falling together.
        """
        self.backoff_s = min(2 * self.backoff_s if self.open else first_s, most_s)
        self.open, self.failed_s = True, now_s
        self.probe_s = now_s + self.backoff_s * (0.8 + 0.4 * dice)


@dataclass(slots=True)
class Bucket:
    """Seconds of the line's time that failures may still burn."""

    at_s: float
    level_s: float = field(default=BURN_START_S)

    def has(self, cost_s: float, now_s: float) -> bool:
        """Tell whether a failure of `cost_s` may be risked; a full bucket risks any."""
        self._fill(now_s)
        return self.level_s >= min(cost_s, BURN_MAX_S) - _ROUNDING_S

    def spend(self, cost_s: float, now_s: float) -> None:
        """Take in a failure, allowed or not."""
        self._fill(now_s)
        self.level_s = max(self.level_s - cost_s, -BURN_DEBT_S)

    def ready_s(self, cost_s: float, now_s: float) -> float:
        """Return when there will be enough for `cost_s`."""
        self._fill(now_s)
        lacks_s = min(cost_s, BURN_MAX_S) - self.level_s
        # Rounding must not leave a rest that is never quite paid.
        return now_s if lacks_s <= _ROUNDING_S else now_s + lacks_s / BURN_SHARE

    def _fill(self, now_s: float) -> None:
        self.level_s = min(self.level_s + BURN_SHARE * max(0.0, now_s - self.at_s), BURN_MAX_S)
        self.at_s = max(self.at_s, now_s)
