"""Line protocol: golden lines, equal bytes, and everything comes back out of them."""

from __future__ import annotations

import gzip
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.store import StoredReading
from egret_aggregator.store.influx import line

T0 = 1_700_000_000_000
HEAD = line.head("XM0001", "s01", "pore_pressure")


def row(value: float | None, raw: float | None = None, **more: int) -> StoredReading:
    plain = {"flag": 1, "reasons": 0, "notes": 0, "lag_ms": 35} | more
    return StoredReading("XM0001", "s01", T0, value, raw, **plain)


@pytest.mark.parametrize(
    ("given_", "fields"),
    [
        (row(50.123, 1024.0), "value=50.123,raw=1024.0,q=1i,f=0i,notes=0i,lag=35i"),
        (row(5.0), "value=5.0,q=1i,f=0i,notes=0i,lag=35i"),
        (row(None, flag=9, reasons=8), "q=9i,f=8i,notes=0i,lag=35i"),
        (row(None, 7.0, notes=3), "raw=7.0,q=1i,f=0i,notes=3i,lag=35i"),
        (row(1e-07, 1e16), "value=1e-07,raw=1e+16,q=1i,f=0i,notes=0i,lag=35i"),
        (row(-1.5, -0.0, lag_ms=-9), "value=-1.5,raw=-0.0,q=1i,f=0i,notes=0i,lag=-9i"),
    ],
)
def test_golden_lines(given_: StoredReading, fields: str) -> None:
    tags = "reading,station=XM0001,channel=s01,quantity=pore_pressure"
    assert line.lines(HEAD, [given_]) == [f"{tags} {fields} {T0}"]


def test_tags_stand_in_their_order_and_are_escaped() -> None:
    begin = line.head("翔安 雨量,1", "a=b", "rain_total")
    assert begin == "reading,station=翔安\\ 雨量\\,1,channel=a\\=b,quantity=rain_total "
    assert line.head("back\\slash", "a", "b").startswith("reading,station=back\\slash,")


@pytest.mark.parametrize("name", ["", "a\nb", "a\\", "a\tb", "a\x00"])
def test_what_no_tag_can_carry_is_refused(name: str) -> None:
    for tags in ((name, "c", "q"), ("s", name, "q"), ("s", "c", name)):
        with pytest.raises(ValueError, match="no tag value"):
            line.head(*tags)


def test_the_same_rows_are_the_same_bytes() -> None:
    rows = [row(value / 7, value * 1.5) for value in range(500)]
    first = line.body(line.lines(HEAD, rows))
    assert line.body(line.lines(HEAD, list(rows))) == first
    assert gzip.decompress(first).decode().split("\n") == line.lines(HEAD, rows)
    assert len(first) < len(gzip.decompress(first)) / 4


FLOATS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(st.sampled_from("aZ09_-. ,=\\/'\"水"), min_size=1, max_size=8).filter(
    lambda text: not text.endswith("\\")
)
INTEGERS = st.integers(-(2**53), 2**53)
ROWS = st.builds(
    StoredReading, NAMES, NAMES, INTEGERS, FLOATS, FLOATS, *(INTEGERS for _ in range(4))
)


@given(ROWS, NAMES)
def test_everything_comes_back(given_: StoredReading, quantity: str) -> None:
    begin = line.head(given_.station, given_.channel, quantity)
    (made,) = line.lines(begin, [given_])
    assert parsed(made) == (given_, quantity)


def parsed(text: str) -> tuple[StoredReading, str]:
    """Read a line as a server does: the parts end at a space, an item at a comma, unescaped."""
    names, fields, time_ms = split(text, " ")
    tags = dict(split(item, "=") for item in split(names, ",")[1:])
    station, channel, quantity = (re.sub(r"\\([,= ])", r"\1", tag) for tag in tags.values())
    assert list(tags) == ["station", "channel", "quantity"]
    found = dict(item.split("=") for item in fields.split(","))
    whole = [int(found[name][:-1]) for name in ("q", "f", "notes", "lag")]
    assert all(found[name].endswith("i") for name in ("q", "f", "notes", "lag"))
    value, raw = (float(found[name]) if name in found else None for name in ("value", "raw"))
    return StoredReading(station, channel, int(time_ms), value, raw, *whole), quantity


def split(text: str, at: str) -> list[str]:
    return re.split(rf"(?<!\\){at}", text)


def test_no_number_is_written_that_a_server_would_not_read() -> None:
    for value in (5e-324, 1.7976931348623157e308, 0.1 + 0.2):
        (made,) = line.lines(HEAD, [row(value)])
        assert math.isfinite(float(made.split("value=")[1].split(",")[0]))
