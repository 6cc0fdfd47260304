"""One scaled clock for the demo and for tests: the same line for every process.

Stamps, periods, cuts, ticks and rules live on the scaled line; bus timing, MQTT, resends,
probes and heartbeats stay on the real one.
"""

from __future__ import annotations

from dataclasses import dataclass

SCALE_MAX = 120  # beyond it a second of jitter is minutes of storm


@dataclass(frozen=True, slots=True)
class Timescale:
    """Maps real milliseconds to scaled ones: `scaled = to_ms + (real - from_ms) * scale`.

    Attributes:
        scale: how many scaled seconds pass in a real one, 1 to 120.
        from_ms: a real instant, ms since 1970 UTC.
        to_ms: the scaled instant that belongs to it.
    """

    scale: float = 1.0
    from_ms: int = 0
    to_ms: int = 0

    def __post_init__(self) -> None:
        """Refuse a scale that is out of bounds (ValueError)."""
        if not 1 <= self.scale <= SCALE_MAX:
            raise ValueError(f"scale {self.scale} is not between 1 and {SCALE_MAX}")

    def at(self, real_ms: float) -> int:
        """Return the scaled instant of a real one, ms."""
        if self.scale == 1 and self.from_ms == self.to_ms:
            return int(real_ms)
        return int(self.to_ms + (real_ms - self.from_ms) * self.scale)

    def real_s(self, scaled_s: float) -> float:
        """Return how many real seconds a scaled duration takes."""
        return scaled_s / self.scale


REAL = Timescale()
