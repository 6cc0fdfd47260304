"""Where a point lies from a base, east, north and up in metres; pure.

Over the ellipsoid WGS 84 (a = 6 378 137 m, 1/f = 298.257 223 563; NGA.STND.0036 3.4) by
earth-centred coordinates, so that no map projection enters.
"""

from __future__ import annotations

from math import cos, radians, sin, sqrt
from typing import NamedTuple

A_M = 6_378_137.0
F = 1 / 298.257223563
_E2 = F * (2 - F)


class Position(NamedTuple):
    """Degrees north and east, and metres above the ellipsoid (not above the sea)."""

    latitude: float
    longitude: float
    height_m: float


class Offset(NamedTuple):
    """Metres east, north and up."""

    east: float
    north: float
    up: float


def offset(base: Position, point: Position) -> Offset:
    """Return where `point` lies, seen from `base`."""
    x, y, z = (p - b for p, b in zip(_earth_centred(point), _earth_centred(base), strict=True))
    phi, lam = radians(base.latitude), radians(base.longitude)
    outward = cos(lam) * x + sin(lam) * y
    return Offset(
        east=-sin(lam) * x + cos(lam) * y,
        north=-sin(phi) * outward + cos(phi) * z,
        up=cos(phi) * outward + sin(phi) * z,
    )


def _earth_centred(point: Position) -> tuple[float, float, float]:
    phi, lam = radians(point.latitude), radians(point.longitude)
    normal_m = A_M / sqrt(1 - _E2 * sin(phi) ** 2)
    across_m = (normal_m + point.height_m) * cos(phi)
    return (
        across_m * cos(lam),
        across_m * sin(lam),
        (normal_m * (1 - _E2) + point.height_m) * sin(phi),
    )
