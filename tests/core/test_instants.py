"""Instants and lengths of time as people write and read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core.instants import length, length_ms, parsed, rfc3339

NOON_MS = 1_783_828_800_000  # 2026-07-12T04:00:00Z
YEAR_MS = 366 * 86_400_000


def test_an_instant_is_told_in_its_own_offset() -> None:
    assert rfc3339(NOON_MS) == "2026-07-12T04:00:00Z"
    assert rfc3339(NOON_MS, 480) == "2026-07-12T12:00:00+08:00"
    assert rfc3339(NOON_MS, -210) == "2026-07-12T00:30:00-03:30"
    assert rfc3339(NOON_MS + 5) == "2026-07-12T04:00:00.005Z"
    assert rfc3339(NOON_MS, exact=True) == "2026-07-12T04:00:00.000Z"


def test_an_instant_beyond_the_calendar_is_told_all_the_same() -> None:
    assert rfc3339(10**17) == "100000000000000000 ms"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-12T04:00:00Z", (NOON_MS, 0)),
        ("2026-07-12t12:00:00+08:00", (NOON_MS, 480)),
        ("2026-07-12T04:00:00.25Z", (NOON_MS + 250, 0)),
        ("2026-07-12 12:00:00+08:00", (NOON_MS, 480)),
    ],
)
def test_an_instant_is_read_with_its_offset(text: str, expected: tuple[int, int]) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    "text", ["", "now", "2026-07-12", "2026-07-12T04:00:00", "2026-13-12T04:00:00Z"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write an RFC 3339|month"):
        parsed(text)


@given(st.integers(-YEAR_MS * 100, YEAR_MS * 200), st.integers(-840, 840))
def test_what_is_told_is_read_again(time_ms: int, offset_min: int) -> None:
    assert parsed(rfc3339(time_ms, offset_min)) == (time_ms, offset_min)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("90s", 90_000), ("0.5s", 500), ("10m", 600_000), ("1d2h3m4s", 93_784_000)],
)
def test_a_length_is_read(text: str, expected: int) -> None:
    assert length_ms(text) == expected


@pytest.mark.parametrize("text", ["", "5", "1 h", "-1m", "1s1m", "h", "1e3s", "9" * 40 + "s"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="length of time"):
        length_ms(text)


@pytest.mark.parametrize(
    ("span_ms", "expected"),
    [
        (0, "0 s"),
        (1500, "1.5 s"),
        (600_000, "10 min"),
        (5_400_000, "1 h 30 min"),
        (1_810_000, "30 min 10 s"),
        (86_400_000 * 3, "72 h"),
        (0.25, "0.00025 s"),
    ],
)
def test_a_length_is_told_with_its_units(span_ms: float, expected: str) -> None:
    assert length(span_ms) == expected
