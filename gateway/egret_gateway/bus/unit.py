"""What is remembered of one unit: its open questions, and how long it takes to answer.

An RTU reply does not say which request it answers, so after a timeout the unit is tainted: its
late reply may still come. Until that is over no request may have the shape of one that is still
open; where no other shape exists the unit is left alone for a while. Time is an argument, in
seconds of a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.protocols.modbus_pdu import Shape, data_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence


SILENCE_S = 2.0  # a unit silent so long has forgotten a question; fieldbus practice
TAU_FACTOR = 3.0  # nor is a reply expected after three times its slowest
LATE_WINDOW_S = 1.0  # least quarantine of a unit that can be asked in one shape only
WAIT_MIN_S = 0.05  # least patience beyond the learnt answer time: USB adapters add 16 ms
DEVIATIONS = 6.0
SHORT_AFTER = 3  # a unit never heard so often is asked with its neighbours' patience ...
FULL_EVERY = 4  # ... but each fourth time with its own: it may be slower than all of them
DOUBLINGS = 16  # of the learnt wait, at the 4th, 8th, 16th ... miss: in the end the profile's most
_TAU_SHARE = 1 / 8  # weight of a new answer time, as for round trips in RFC 6298
_DEVIATION_SHARE = 1 / 4


class Span(NamedTuple):
    """One way to ask: `words` registers from `address`."""

    address: int
    words: int


class Patience(NamedTuple):
    """A profile's limits, seconds.

    Attributes:
        least_s, most_s: bounds of the wait for an answer beyond its wire time.
        late_window_s: quarantine of a unit with one shape only, 0 for the learnt one.
        gap_s: least silence before a request, beside the 3.5 characters.
    """

    least_s: float = 0.05
    most_s: float = 1.0
    late_window_s: float = 0.0
    gap_s: float = 0.0


@dataclass(slots=True)
class Counts:
    """How a unit's polls ended since the start."""

    ok: int = 0
    timeout: int = 0
    crc: int = 0
    exception: int = 0
    quarantined: int = 0
    late_dropped: int = 0
    resync: int = 0  # replies found behind a glitch, an echo or a foreign frame
    malformed: int = 0  # replies that bear the request's number and answer something else


@dataclass(slots=True)
class Unit:
    """One unit's memory; it outlives a replugged port.

    Attributes:
        open: shapes asked and not answered; asked_s: when it was last asked.
        quiet_since_s: when it was last asked, heard, or given up.
        tau_s: learnt answer time, None before the first; deviation_s: its mean deviation.
        tau_max_s: the slowest answer, late ones included; counts: for health.
        write_free_s: until then the answer to a write that was given up may still come.
        missed: questions in a row without an answer.
        late_s: the slowest answer since the last right one, which came when nobody waited.
        patient: the next answer is waited for as long as the profile says.
    """

    open: list[Shape] = field(default_factory=list)
    asked_s: float = 0.0
    quiet_since_s: float = 0.0
    tau_s: float | None = None
    deviation_s: float = 0.0
    tau_max_s: float = 0.0
    counts: Counts = field(default_factory=Counts)
    write_free_s: float = 0.0
    missed: int = 0
    late_s: float = 0.0
    patient: bool = False

    def timeout_s(self, patience: Patience, usual_s: float | None = None) -> float:
        """Return how long to wait beyond the reply's wire time; the most at first contact.

        Args:
            patience: of the profile.
            usual_s: what the slowest other unit of the line is given, None where none was heard.
        """
        if self.patient:
            return patience.most_s
        if self.tau_s is None:
            full = self.missed < SHORT_AFTER or self.missed % FULL_EVERY == 0
            if full or usual_s is None:
                return patience.most_s
            return min(max(usual_s, patience.least_s), patience.most_s)
        learnt = self.tau_s + max(WAIT_MIN_S, DEVIATIONS * self.deviation_s)
        if self.late_s:
            learnt = max(learnt, self.late_s + WAIT_MIN_S)
        learnt = max(learnt, patience.least_s)
        if self.missed >= FULL_EVERY and self.missed.bit_count() == 1:
            # It may have become slower; all the other times its neighbours are spared.
            learnt *= 2 ** min(self.missed.bit_length() - FULL_EVERY.bit_length() + 1, DOUBLINGS)
        return min(learnt, patience.most_s)

    def free_s(self, ways: Sequence[Span], patience: Patience) -> float:
        """Return when every open question is forgotten, given no more bytes of this unit."""
        if len({way.words for way in ways}) > 1:
            window = max(TAU_FACTOR * self.tau_max_s, SILENCE_S)
        else:
            window = patience.late_window_s or max(LATE_WINDOW_S, 2 * self.tau_max_s)
        # Less than the longest wait would end a quarantine while an answer is still awaited.
        return self.quiet_since_s + max(window, patience.most_s)

    def choose(self, fc: int, ways: Sequence[Span], patience: Patience, now_s: float) -> int | None:
        """Return the index of the way to ask now, None while every shape is still open."""
        if self.open and now_s >= self.free_s(ways, patience):
            self.open.clear()
        taken = {shape.data_bytes for shape in self.open if shape.fc == fc}
        for index, way in enumerate(ways):
            if data_bytes(fc, way.words) not in taken:
                return index
        return None

    def answered(self, tau_s: float) -> None:
        """Learn from a right answer that took `tau_s`; it ends the taint."""
        self.open.clear()
        self.missed, self.late_s, self.patient = 0, 0.0, False
        tau_s = max(0.0, tau_s)
        self.tau_max_s = max(self.tau_max_s, tau_s)
        if self.tau_s is None:
            self.tau_s, self.deviation_s = tau_s, tau_s / 2
            return
        self.deviation_s += _DEVIATION_SHARE * (abs(tau_s - self.tau_s) - self.deviation_s)
        self.tau_s += _TAU_SHARE * (tau_s - self.tau_s)

    def wrote(self, patience: Patience, now_s: float) -> None:
        """Remember a write: while its answer may come, that could pass for another write's."""
        window = max(TAU_FACTOR * self.tau_max_s, SILENCE_S, patience.late_window_s)
        self.write_free_s = now_s + window + patience.most_s

    def left_open(self, shape: Shape, now_s: float) -> None:
        """Remember a question whose answer may still come."""
        self.open.append(shape)
        self.asked_s = self.quiet_since_s = now_s

    def gave_up(self, now_s: float) -> None:
        """Begin the silence that ends the taint: until now an answer was awaited anyway."""
        self.missed += 1
        self.patient = False
        self.quiet_since_s = now_s

    def came_late(self, shape: Shape, now_s: float) -> None:
        """Strike off a question whose answer came when nobody waited for it any more."""
        self.counts.late_dropped += 1
        self.late_s = max(self.late_s, now_s - self.asked_s)
        self.tau_max_s = max(self.tau_max_s, self.late_s)
        self.quiet_since_s = now_s
        if shape in self.open:
            self.open.remove(shape)
