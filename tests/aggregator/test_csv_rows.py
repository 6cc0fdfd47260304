"""A CSV file line by line: what people really write, read or refused with line and remedy."""

from __future__ import annotations

import io
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.csv_rows import LINE_MAX, NEEDED, Row, columns, rows
from egret_core.errors import ConfigError

HEAD = "station,channel,time,value,unit\n"
BERLIN = ZoneInfo("Europe/Berlin")


def read(text: str, zone: ZoneInfo | None = None, head: str = HEAD) -> list[Row]:
    file = io.StringIO(head + text)
    return list(rows(file, columns(file, "x.csv"), zone))


def entry(text: str, zone: ZoneInfo | None = None) -> dict[str, Any]:
    (row,) = read(text, zone)
    assert row.entry is not None, row.detail
    return row.entry


def refused(text: str, zone: ZoneInfo | None = None) -> tuple[str, str]:
    (row,) = read(text, zone)
    assert row.entry is None
    return row.why, row.detail


def test_a_line_is_an_entry() -> None:
    assert entry("st1,wl,2026-01-02T03:04:05+08:00,3.42,m\n") == {
        "station": "st1",
        "channel": "wl",
        "time": "2026-01-01T19:04:05.000Z",
        "value": 3.42,
        "unit": "m",
    }


def test_further_columns_may_be_there_in_any_order_and_a_byte_order_mark() -> None:
    head = "\ufeffunit,value,time,channel,station,flag,reasons,raw,datum,notes,lag_ms\r\n"
    (row,) = read('m,,2026-01-02T00:00:00Z,wl,st1,9,"TIMEOUT CRC",5,Sea,IMPORTED,7\r\n', head=head)
    assert row.entry is not None
    assert row.entry["value"] is None
    assert (row.entry["flag"], row.entry["reasons"], row.entry["raw"]) == (9, ["TIMEOUT", "CRC"], 5)
    assert (row.entry["datum"], "notes" in row.entry) == ("Sea", False)


def test_empty_lines_are_passed_over_and_lines_keep_their_numbers() -> None:
    found = read("\na,b,2026-01-02T00:00:00Z,1,m\n\n  \na,b,2026-01-02T00:00:01Z,x,m\n")
    assert [(row.line, row.why) for row in found] == [(3, ""), (6, "not_a_number")]


@pytest.mark.parametrize(
    ("line", "why", "remedy"),
    [
        ('a,b,2026-01-02T00:00:00Z,"3,42",m', "not_a_number", "write '3.42'"),
        ("a,b,2026-01-02T00:00:00Z,3,42,m", "bad_line", "decimal comma"),
        ("a,b,2026-01-02T00:00:00Z,1_000,m", "not_a_number", "1_000"),
        ("a,b,2026-01-02T00:00:00Z,\u0663,m", "not_a_number", "write a number"),
        ("a,b,2026-01-02T00:00:00Z", "bad_line", "3 fields"),
        ('a,b,2026-01-02T00:00:00Z,"1,m', "bad_line", "no CSV"),
        ("a,b,2026-01-02T00:00:00,1,m", "bad_time", "--zone"),
        ("a,b,2026-13-02T00:00:00Z,1,m", "bad_time", "no such time"),
        ("a,b,02.01.2026 00:00,1,m", "bad_time", "RFC 3339"),
        ("a,b,yesterday,1,m", "bad_time", "RFC 3339"),
        ("a,b,2026-01-02T00:00:00 08:00,1,m", "bad_time", "with its sign"),
        ("a,b,2026-01-02 00:00:00 08:00,1,m", "bad_time", "with its sign"),
        ("a,b,,1,m", "bad_time", "RFC 3339"),
        ("a" * LINE_MAX + ",b,2026-01-02T00:00:00Z,1,m", "bad_line", "longer"),
    ],
)
def test_a_bad_line_has_a_word_and_a_remedy(line: str, why: str, remedy: str) -> None:
    row = read(line + "\n")[0]
    assert (row.why, remedy in row.detail) == (why, True), row


def test_nan_is_read_as_what_it_is_so_that_the_check_names_it() -> None:
    assert str(entry("a,b,2026-01-02T00:00:00Z,nan,m\n")["value"]) == "nan"


@pytest.mark.parametrize(("flag", "why"), [("4", ""), ("x", "bad_quality"), ("1.0", "bad_quality")])
def test_a_flag_is_a_whole_number(flag: str, why: str) -> None:
    head = HEAD.strip() + ",flag\n"
    (row,) = read(f"a,b,2026-01-02T00:00:00Z,1,m,{flag}\n", head=head)
    assert row.why == why


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59.000Z"),
        ("2026-03-29 03:00:00", "2026-03-29T01:00:00.000Z"),
        ("2026-07-01T12:00", "2026-07-01T10:00:00.000Z"),
        ("2026-10-25T01:59:59.5", "2026-10-24T23:59:59.500Z"),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00.000Z"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00.000Z"),
        ("2026-10-25 02:30:00+01:00", "2026-10-25T01:30:00.000Z"),
        ("2026-10-25 01:30:00.25Z", "2026-10-25T01:30:00.250Z"),
    ],
)
def test_a_local_time_is_read_where_its_clock_hung(local: str, instant: str) -> None:
    assert entry(f"a,b,{local},1,m\n", BERLIN)["time"] == instant


@pytest.mark.parametrize(
    ("local", "what"),
    [("2026-03-29T02:30:00", "did not exist"), ("2026-10-25T02:30:00", "was twice")],
)
def test_a_local_time_in_the_gap_or_twice_is_refused(local: str, what: str) -> None:
    why, detail = refused(f"a,b,{local},1,m\n", BERLIN)
    assert (why, what in detail, "offset" in detail) == ("bad_time", True, True)


@pytest.mark.parametrize(
    ("head", "remedy"),
    [
        ("station;channel;time;value;unit\n", "divide columns by commas"),
        ("station\tchannel\n", "divide columns by commas"),
        ("station,channel,time,value\n", "'unit' is missing"),
        ("", "'station' is missing"),
        (HEAD.strip() + ",colour\n", "nothing else"),
        (HEAD.strip() + ",unit\n", "at most once"),
    ],
)
def test_a_header_that_cannot_be_used(head: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy):
        columns(io.StringIO(head), "x.csv")
    assert len(NEEDED) == 5


@given(st.text(max_size=200))
def test_whatever_a_line_holds_it_is_an_entry_or_refused(text: str) -> None:
    for row in read(text.replace("\n", " ") + "\n", BERLIN):
        assert (row.entry is None) == bool(row.why)
