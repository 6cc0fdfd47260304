"""What the centre believes of one channel: the limits of its screening, in canonical units."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egret_core.screening.range import ANY, Span

if TYPE_CHECKING:
    from egret_core.screening.flat_line import Stillness
    from egret_core.screening.seasonal import Season
    from egret_core.screening.spike import Limits

Pair = tuple[str, str]  # station and channel
_VERSION_DIGITS = 8


@dataclass(frozen=True, slots=True)
class NeighbourLaw:
    """How far a value may be off its neighbours.

    Attributes:
        channels: of the same quantity and datum; off_by: canonical.
        least: how many of them must have a fresh value, else nothing is said.
    """

    channels: tuple[Pair, ...]
    off_by: float
    least: int


@dataclass(frozen=True, slots=True)
class ScreeningLaw:
    """Every test of one channel; what is left at its default is not tested.

    Attributes:
        sensor: outside fails; operator: outside is suspect; seasons: the same by month.
        utc_offset_ms: of the months' local time.
        spike: in the canonical unit; rate: in the canonical unit per second.
        flat: when it counts as flat.
        movement: where none of these channels moved, it is not expected to move.
        neighbours: how far it may be off them.
        gap_ms: a longer silence says so, and spike and flat line begin anew after it.
    """

    sensor: Span = ANY
    operator: Span = ANY
    seasons: tuple[Season, ...] = ()
    utc_offset_ms: int = 0
    spike: Limits | None = None
    rate: Limits | None = None
    flat: Stillness | None = None
    movement: tuple[Pair, ...] = ()
    neighbours: NeighbourLaw | None = None
    gap_ms: int | None = None

    @property
    def version(self) -> str:
        """Hash of all limits: state goes on while it is the same."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:_VERSION_DIGITS]

    @property
    def fails_late(self) -> bool:
        """Whether a value can fail by what came before it: that is known once it is settled."""
        return self.flat is not None and self.flat.fail_ms is not None

    @property
    def look_back_ms(self) -> int:
        """How far back it asks them, ms."""
        return self.flat.suspect_ms if self.flat is not None and self.movement else 0

    @property
    def company(self) -> tuple[Pair, ...]:
        """The other channels that it asks."""
        beside = self.neighbours.channels if self.neighbours is not None else ()
        return (*self.movement, *beside)
