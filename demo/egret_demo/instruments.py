"""What the valley's instruments hold in their registers at an instant.

Register maps as in the device profiles, turned round: a value in, 16-bit words out.

| instrument | input register | content |
|---|---|---|
| radar level (VEGAPULS C 21) | 2000 | status, 0 = good |
| | 2002, 2003 | level in metres, f32 ABCD |
| | 2004 to 2009 | its further values, f32, not set up |
| | 104 | unit of the level, 45 = metres |
| rain bucket (DFRobot SEN0575) | 6, 7 | rain in a window of its own, not set up |
| | 8, 9 | rain since power-up, mm x 10000, u32 CDAB, wraps |
| | 10, 11 | tips since power-up, u32 CDAB |
| | 12 | minutes since power-up |
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Protocol

from egret_gateway.protocols.registers import encode

if TYPE_CHECKING:
    from egret_demo.valley import Valley

PLACES = ("weir", "bridge")
RADAR_NOISE_M = 0.002  # a radar over rough water, standard deviation
TIP_MM = 0.2794  # the bucket's resolution
RAIN_WRAP = 1 << 32
RAIN_PER_MM = 10_000
# The counter stands 40 mm before its wrap, so that every storm drives it over the edge.
RAIN_START = RAIN_WRAP - 40 * RAIN_PER_MM
METRES = 45


class Instrument(Protocol):
    """Anything with input registers."""

    def registers(self, at_s: float) -> dict[int, int]:
        """Return address -> word at so many seconds after the valley's beginning."""


class Radar:
    """A radar level sensor above the water.

    Attributes:
        valley: whose water; place: `weir` or `bridge`; seed: of its noise.
    """

    def __init__(self, valley: Valley, place: str, seed: int) -> None:
        self._valley = valley
        self._place = place
        self._random = Random(f"{seed}/radar/{place}")

    def registers(self, at_s: float) -> dict[int, int]:
        """Return status, unit and level."""
        moment = self._valley.at(at_s)
        stage_m = moment.weir_m if self._place == "weir" else moment.bridge_m
        high, low = encode(stage_m + self._random.gauss(0, RADAR_NOISE_M), "f32", "ABCD")
        # The values after the first are the sensor's own affair: it is set up to show none.
        return {104: METRES} | dict.fromkeys(range(2000, 2010), 0) | {2002: high, 2003: low}


class RainBucket:
    """A tipping bucket on the ridge; its counter wraps in the middle of the storm."""

    def __init__(self, valley: Valley) -> None:
        self._valley = valley

    def registers(self, at_s: float) -> dict[int, int]:
        """Return rain, tips and minutes since power-up."""
        tips = int(self._valley.at(at_s).rain_mm / TIP_MM)
        rain = (RAIN_START + round(tips * TIP_MM * RAIN_PER_MM)) % RAIN_WRAP
        rain_low, rain_high = encode(rain, "u32", "CDAB")
        tips_low, tips_high = encode(tips, "u32", "CDAB")
        minutes = int(max(at_s, 0) / 60) & 0xFFFF
        words = (0, 0, rain_low, rain_high, tips_low, tips_high, minutes)
        return dict(enumerate(words, start=6))
