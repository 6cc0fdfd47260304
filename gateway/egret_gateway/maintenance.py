"""A declared maintenance: a file in the data folder with an end, which comes by itself.

In the boot that set it the monotonic clock ends it, so that no step of the system clock moves the
end. After a reboot the system clock must lie between its start and its end; a clock that cannot be
believed ends it: better an alarm during work than a flood taken for work. The service removes a
file that is over or means nothing, so that no later boot with its clock set back revives it.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from egret_gateway.clock import FLOOR_MS
from egret_gateway.errors import MaintenanceError

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.clock import Clock

FILE = "maintenance.json"
LIMIT_S = 24 * 3600  # nobody works a day on one site without saying so again
LOOK_MS = 1_000  # the file is looked at so often, however many samples ask
_NO_FILE = (0, 0)
STEP_BACK_MS = 120_000  # a system clock set right by so much does not end a maintenance


@dataclass(frozen=True, slots=True)
class Declared:
    """What the file says.

    Attributes:
        boot: the boot in which it was set; mono_until_ms: its end on that boot's clock.
        wall_from_ms, wall_until_ms: its span on the system clock, ms since 1970.
    """

    boot: str
    mono_until_ms: int
    wall_from_ms: int
    wall_until_ms: int

    def left_ms(self, boot: str, mono_ms: int, wall_ms: int) -> int:
        """Return how long it still lasts, 0 once it is over."""
        if boot == self.boot:
            left = self.mono_until_ms - mono_ms
        elif min(self.wall_from_ms, wall_ms) < FLOOR_MS:
            return 0  # a clock that starts in 1970 at every boot would begin it anew
        elif wall_ms < self.wall_from_ms - STEP_BACK_MS:
            return 0
        else:
            left = self.wall_until_ms - wall_ms
        # Nobody can declare more: such an end is damage, and cutting it would never let it come.
        return max(0, left) if left <= LIMIT_S * 1000 + STEP_BACK_MS else 0


class Maintenance:
    """The flag of one data folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._looked_ms = clock.mono_ms() - LOOK_MS
        self._stamp = _NO_FILE
        self._declared: Declared | None = None

    def active(self) -> bool:
        """Tell whether maintenance is on; cheap enough to ask for every sample."""
        now = self._clock.mono_ms()
        if now - self._looked_ms >= LOOK_MS:
            self._looked_ms = now
            self._look()
            self._clear_away(now)
        return self._left(now) > 0

    def left_s(self) -> float:
        """Return how many seconds it still lasts, looking at the file."""
        self._look()
        return self._left(self._clock.mono_ms()) / 1000

    def turn_on(self, duration_s: float) -> None:
        """Declare it for some time, at most 24 hours.

        Raises:
            MaintenanceError: the duration is not in range, or the folder cannot be written.
        """
        if not 0 < duration_s <= LIMIT_S:
            raise MaintenanceError(f"{duration_s:g} s is not between 0 and {LIMIT_S} s")
        mono, wall, span = self._clock.mono_ms(), self._clock.wall_ms(), int(duration_s * 1000)
        body = json.dumps(asdict(Declared(self._clock.boot, mono + span, wall, wall + span)))
        whole = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole.open("w") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            whole.replace(self._path)
        except OSError as error:
            raise MaintenanceError(f"{self._path}: {error}") from error

    def turn_off(self) -> None:
        """End it now; harmless where there is none."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise MaintenanceError(f"{self._path}: {error}") from error

    def _clear_away(self, mono_ms: int) -> None:
        """Remove a file that is over; where that fails its end still holds in this boot."""
        if self._stamp != _NO_FILE and self._left(mono_ms) == 0:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
                self._declared, self._stamp = None, _NO_FILE

    def _left(self, mono_ms: int) -> int:
        if self._declared is None:
            return 0
        return self._declared.left_ms(self._clock.boot, mono_ms, self._clock.wall_ms())

    def _look(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp == self._stamp:
                return
            self._declared = _declared(self._path.read_bytes())
        except OSError:
            self._declared, stamp = None, _NO_FILE
        self._stamp = stamp


def _declared(body: bytes) -> Declared | None:
    """Return what a file says, None for none of ours: readings then count, the safe side."""
    try:
        found = Declared(**json.loads(body))
    except (ValueError, TypeError, RecursionError):
        return None
    times = (found.mono_until_ms, found.wall_from_ms, found.wall_until_ms)
    whole = isinstance(found.boot, str) and all(type(time) is int for time in times)
    return found if whole else None
