"""Silence after a time-out, for slaves that go deaf: learnt, or as the site says; pure.

Some slaves take a request to a dead neighbour for the beginning of its answer, wait for the rest,
and miss their own request (libmodbus: for half a second). Until it is known, silence is kept, for
what dies must not take its neighbours' polls along. A busy line cannot spare the time for good:
there the failure of a unit that is dead for certain is the test: the line goes on at once, and the
next unit that is asked hears, or does not.
Time is an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

from typing import NamedTuple

QUIET_S = 0.55  # a deaf slave hears again: libmodbus's response time-out, 0.5 s, and its lag
CERTAIN_FAILS = 3  # in a row: the unit itself is dead, and the next failure may be the test
BUSY_LOAD = 0.5  # below it there is time enough for half a second after a failure
USELESS_MAX = 3  # failures in a row in spite of the silence: the cause is another one


class _Unheard(NamedTuple):
    """The failure just before: whose, when its request ended, and what silence followed."""

    unit: str
    asked_s: float
    quiet_s: float


class Quiet:
    """Whether silence is kept on one line.

    Attributes:
        s: seconds of silence wanted after the failure that was taken in last, from the end of its
            request.
        deaf: whether there are deaf slaves, None while that is not known.
    """

    def __init__(self, fixed_s: float | None = None, load: float = 0.0) -> None:
        """Start with what the site has fixed, or to learn it.

        Args:
            fixed_s: the site's setting, seconds; None to learn it.
            load: the share of the line's time that its turns take.
        """
        self._fixed_s = fixed_s
        self._busy = load > BUSY_LOAD
        self.s = 0.0
        self.deaf: bool | None = None
        self._before: _Unheard | None = None
        self._fails: dict[str, int] = {}
        self._useless = 0

    def answered(self, unit: str, asked_s: float) -> None:
        """Take in that a unit was heard; its request ended at `asked_s`."""
        if self._neighbour(unit, asked_s):
            self._useless = 0
            if self.deaf is None:
                self.deaf = False
        self._before = None
        self._fails[unit] = 0

    def failed(self, unit: str, asked_s: float) -> None:
        """Take in that a unit was not heard; its request ended at `asked_s`."""
        well = self._fails.get(unit) == 0
        if well and self._neighbour(unit, asked_s):
            self.deaf = True
        elif well and self.deaf and self._before is not None and self._before.unit != unit:
            self._useless += 1
            if self._useless >= USELESS_MAX:
                self.deaf, self._useless = False, 0
        self._fails[unit] = self._fails.get(unit, 0) + 1
        self.s = self._wanted_s(unit)
        self._before = _Unheard(unit, asked_s, self.s)

    def _neighbour(self, unit: str, asked_s: float) -> bool:
        """Tell whether a unit was asked while a deaf one would not have heard."""
        before = self._before
        return (
            before is not None
            and before.unit != unit
            and before.quiet_s < QUIET_S
            and asked_s < before.asked_s + QUIET_S
        )

    def _wanted_s(self, unit: str) -> float:
        if self._fixed_s is not None:
            return self._fixed_s
        if self.deaf is None:
            tried = self._busy and self._fails[unit] > CERTAIN_FAILS
            return 0.0 if tried else QUIET_S
        return QUIET_S if self.deaf else 0.0
