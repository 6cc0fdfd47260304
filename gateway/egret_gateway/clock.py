"""The gateway's only look at clocks: the monotonic one, the system's, and the centre's time.

Every date is `monotonic + offset`. The offset comes from the system clock where its source is
trusted (`ntp` and `gnss` only once the clock is verified) and plausible, else from the centre's
live acks, each bounded by its round trip. A clock that the centre contradicts by more than a
minute is wrong: batteries age, and nobody looks at them. Only a disciplined clock is never
overruled.
A small step back is walked off at half speed, so that readings keep their order; a forward step,
and a backward one too large to walk, hold from their instant on and never for samples taken before.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from egret_core.messages import ClockSource, ClockStamp
from egret_core.timescale import REAL, Timescale
from egret_gateway.system_clock import Verified

if TYPE_CHECKING:
    from collections.abc import Callable

FLOOR_MS = 1_767_225_600_000  # 2026-01-01T00:00Z: no gateway of this build ran earlier
RTC = str(ClockSource.RTC)
# Something disciplines the kernel's clock: it must have done so, before it is believed.
DISCIPLINED = (str(ClockSource.NTP), str(ClockSource.GNSS))
DRIFT = 100e-6  # a quartz outdoors, ms per ms: how fast an old sample grows uncertain
ROUND_TRIP_MAX_MS = 20_000  # a sample worse than +-10 s is no time
WALK_RATE = 0.5  # while walking back, a second lasts this many dated seconds less
WALK_MAX_MS = 300_000  # five minutes are walked off in ten; beyond, wrong dates hurt more
CONTRADICTED_MS = 60_000  # a day's error is a wrong RTC; a quartz drifts a minute in a month
STEP_MIN_MS = 5  # below it a change of the system clock is jitter between two reads
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Line(NamedTuple):
    """From `mono_ms` on: date = mono + offset, less what has been walked back since."""

    mono_ms: int
    offset_ms: float
    walk_ms: float = 0.0  # still to be taken off, at WALK_RATE

    def left(self, mono_ms: int) -> float:
        """Return how much is still to be walked back at an instant."""
        return max(0.0, self.walk_ms - max(0, mono_ms - self.mono_ms) * WALK_RATE)

    def at(self, mono_ms: int) -> float:
        """Return the date of an instant, real ms since 1970."""
        return mono_ms + self.offset_ms - (self.walk_ms - self.left(mono_ms))


class _Heard(NamedTuple):
    """One bounded sample of the centre's time."""

    mono_ms: int
    offset_ms: float
    doubt_ms: float

    def doubt_at(self, mono_ms: int) -> float:
        """Return the bound of its error once drift has aged it."""
        return self.doubt_ms + abs(mono_ms - self.mono_ms) * DRIFT


class Vouched(NamedTuple):
    """What is known of the true time, real ms since 1970.

    Attributes:
        now_ms: the date of now, None while no time is known.
        floor_ms: it is later than this: the last that was committed.
        own: the machine's own clock is vouched for.
    """

    now_ms: int | None
    floor_ms: int
    own: bool


@dataclass(frozen=True, slots=True)
class Hands:
    """Where clocks are read; tests hand in their own.

    Attributes:
        mono_ms: monotonic milliseconds; wall_ms: system clock, ms since 1970.
        boot: id of this boot: monotonic times of another boot mean nothing.
        verified: whether the system clock was disciplined or set by an RTC.
        disciplined: whether it was disciplined, and not only set by an RTC.
    """

    mono_ms: Callable[[], int]
    wall_ms: Callable[[], int]
    boot: str
    verified: Callable[[], bool] = lambda: True
    disciplined: Callable[[], bool] = lambda: True


def system_hands() -> Hands:
    """Return the machine's own clocks."""
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:
        boot = f"process-{time.time_ns()}"  # without an id no boot equals another
    verified = Verified()
    return Hands(
        mono_ms=lambda: time.monotonic_ns() // 1_000_000,
        wall_ms=lambda: time.time_ns() // 1_000_000,
        boot=boot,
        verified=verified,
        disciplined=lambda: verified.disciplined,
    )


class Clock:
    """Dates monotonic instants; knows how well."""

    def __init__(
        self, source: str = RTC, timescale: Timescale = REAL, hands: Hands | None = None
    ) -> None:
        self._own = "" if source == "none" else source
        self._timescale = timescale
        self._hands = hands or system_hands()
        self._floor_ms = FLOOR_MS
        self._source = ""
        self._lines: tuple[_Line, ...] = ()
        self._heard: _Heard | None = None
        self._lock = threading.Lock()  # the outbox's thread dates too
        self.boot = self._hands.boot

    def mono_ms(self) -> int:
        """Return the monotonic clock, real ms."""
        return self._hands.mono_ms()

    def wall_ms(self) -> int:
        """Return the system clock as it is, trusted or not, ms since 1970."""
        return self._hands.wall_ms()

    def raise_floor(self, real_ms: int) -> None:
        """No undisciplined clock is plausible before this one: the last that was committed."""
        self._floor_ms = max(self._floor_ms, real_ms)

    def vouched(self) -> Vouched:
        """Return what is known of the time just now."""
        now_ms = self.real_ms(self.mono_ms())
        return Vouched(now_ms, self._floor_ms, self._own_offset_plausible())

    def real_ms(self, mono_ms: int) -> int | None:
        """Return the unscaled date of an instant, None while no time is known."""
        self._look()
        lines = self._lines
        if not lines:
            return None
        line = next((ln for ln in reversed(lines) if ln.mono_ms <= mono_ms), lines[0])
        return int(line.at(mono_ms))

    def stamp(self, mono_ms: int) -> int | None:
        """Return the date of an instant on the wire's line, None while no time is known."""
        real = self.real_ms(mono_ms)
        return None if real is None else self._timescale.at(real)

    def stamped(self) -> ClockStamp:
        """Return what dates batches now, and by how much it is knowingly off, ms."""
        self._look()
        if not self._lines:
            return ClockStamp(ClockSource.NONE, 0)
        return ClockStamp(self._source, int(self._lines[-1].left(self.mono_ms())))

    def hear(self, now_ms: int, sent_mono_ms: int, came_mono_ms: int) -> None:
        """Learn from a live message of the centre that answers one of ours.

        Args:
            now_ms: the centre's time in the message, on the wire's line.
            sent_mono_ms: when the question was first sent.
            came_mono_ms: when the answer came.
        """
        trip = came_mono_ms - sent_mono_ms
        real = self._unscaled(now_ms)
        if not 0 <= trip <= ROUND_TRIP_MAX_MS or real < FLOOR_MS:
            return
        heard = _Heard(came_mono_ms, real + trip / 2 - came_mono_ms, trip / 2)
        best = self._heard
        if best is not None and best.doubt_at(came_mono_ms) <= heard.doubt_ms:
            return
        self._heard = heard
        if not self._own_offset_plausible():
            self._adopt(str(ClockSource.CENTRE), heard.offset_ms)

    def _look(self) -> None:
        """Follow the system clock where it is trusted; it is read at every dating."""
        if not self._own_offset_plausible():
            return
        before = self._hands.mono_ms()
        wall = self._hands.wall_ms()
        if self._hands.mono_ms() - before >= STEP_MIN_MS // 2:
            return  # put to sleep between two reads: their difference would look like a step
        self._adopt(self._own if self._disciplined() else RTC, float(wall - before))

    def _own_offset_plausible(self) -> bool:
        if not self._own or self._hands.wall_ms() < FLOOR_MS:
            return False
        if self._hands.wall_ms() < self._floor_ms and not self._disciplined():
            return False  # disciplined it is right, and what was committed had a date of the future
        if self._own in DISCIPLINED and not self._hands.verified():
            return False
        return not self._contradicted()

    def _disciplined(self) -> bool:
        return self._own in DISCIPLINED and self._hands.disciplined()

    def _contradicted(self) -> bool:
        """Tell whether the centre's time proves that a clock which nothing disciplines is wrong."""
        heard = self._heard
        if heard is None or self._disciplined():
            return False
        now = self._hands.mono_ms()
        apart = abs(self._hands.wall_ms() - now - heard.offset_ms)
        return apart > CONTRADICTED_MS + heard.doubt_at(now)

    def _adopt(self, source: str, offset_ms: float) -> None:
        with self._lock:
            self._extend(source, offset_ms)

    def _extend(self, source: str, offset_ms: float) -> None:
        now = self.mono_ms()
        self._source = source
        if not self._lines:
            # Samples of this boot taken before the time was known are dated by this line too.
            self._lines = (_Line(now, offset_ms),)
            return
        last = self._lines[-1]
        step = now + offset_ms - last.at(now) + last.left(now)
        if abs(step) < STEP_MIN_MS:
            return
        ahead = last.at(now) - (now + offset_ms)
        walk = ahead if 0 < ahead <= WALK_MAX_MS else 0.0
        start = last.at(now) - now if walk else offset_ms
        # Two lines are enough: what was taken before a step is cut within seconds.
        self._lines = (*self._lines[-1:], _Line(now, start, walk))

    def _unscaled(self, scaled_ms: int) -> float:
        scale = self._timescale
        if scale.scale == 1 and scale.from_ms == scale.to_ms:
            return float(scaled_ms)
        return scale.from_ms + (scaled_ms - scale.to_ms) / scale.scale
