from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.api.times import parsed, rfc3339


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_there_and_back(time_ms: int) -> None:
    assert parsed(rfc3339(time_ms)) == time_ms


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.001z", 1),
        ("1970-01-01T08:00:00+08:00", 0),
        ("1970-01-01T08:00:00 08:00", 0),
        ("1969-12-31T19:00:00-05:00", 0),
        ("1970-01-01T00:00:00.123456789Z", 123),
        ("2017-08-18T00:00:00.5Z", 1_503_014_400_500),
    ],
)
def test_what_is_read(text: str, time_ms: int) -> None:
    assert parsed(text) == time_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1970",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-01-01T00:00:60Z",
        "1970-01-01T00:00:00+99:00",
        "0001-01-01T00:00:00+08:00",
        "1970-01-01T00:00:00Z; DROP TABLE ledger",
        "\uff11970-01-01T00:00:00Z",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time"):
        parsed(text)
