"""East, north and up against curvature radii and against another program's earth."""

from __future__ import annotations

from math import cos, dist, radians, sin, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynmeagps import nmeahelpers

from egret_gateway.protocols.geodesy import A_M, F, Position, offset

XIAMEN = Position(24.4798, 118.0894, 35.0)


def test_the_base_itself_is_nowhere_else() -> None:
    assert offset(XIAMEN, XIAMEN) == (0, 0, 0)


def test_small_steps_are_those_of_the_ellipsoid_s_radii() -> None:
    # Torge, Geodesy, 4.1.3: radii of curvature in the meridian and in the prime vertical.
    phi, step = radians(XIAMEN.latitude), 1e-6
    e2 = F * (2 - F)
    prime_m = A_M / sqrt(1 - e2 * sin(phi) ** 2)
    meridian_m = A_M * (1 - e2) / (1 - e2 * sin(phi) ** 2) ** 1.5
    north = offset(XIAMEN, XIAMEN._replace(latitude=XIAMEN.latitude + step))
    assert north.north == pytest.approx((meridian_m + 35) * radians(step), rel=1e-6)
    assert north.east == pytest.approx(0, abs=1e-8)
    east = offset(XIAMEN, XIAMEN._replace(longitude=XIAMEN.longitude + step))
    assert east.east == pytest.approx((prime_m + 35) * cos(phi) * radians(step), rel=1e-6)
    assert east.north == pytest.approx(0, abs=1e-8)
    up = offset(XIAMEN, XIAMEN._replace(height_m=35.012))
    assert up.up == pytest.approx(0.012, abs=1e-9)


LATITUDES, LONGITUDES = st.floats(-89, 89), st.floats(-180, 180)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(LATITUDES, LONGITUDES, st.floats(-0.01, 0.01), st.floats(-0.01, 0.01), st.floats(-50, 50))
def test_the_way_is_as_long_as_another_program_says(
    latitude: float, longitude: float, north: float, east: float, up: float
) -> None:
    base = Position(latitude, longitude, 100.0)
    point = Position(latitude + north, longitude + east, 100.0 + up)
    ends = [nmeahelpers.llh2ecef(*place) for place in (base, point)]
    assert dist((0, 0, 0), offset(base, point)) == pytest.approx(dist(*ends), abs=1e-4)


def test_a_date_line_is_no_wall() -> None:
    base, point = Position(0, 179.99999, 0), Position(0, -179.99999, 0)
    assert offset(base, point).east == pytest.approx(2.2264, abs=1e-3)
