"""Statements are quoted and bounded in time; an error that comes with HTTP 200 is an error."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.store import StoredReading
from egret_aggregator.store.influx import influxql

T0 = 1_700_000_000_000


def test_the_statement_for_rows() -> None:
    assert influxql.rows_of("st1", "wl", 7, 60_007, 5) == (
        'SELECT "value", "raw", "q", "f", "notes", "lag" FROM "reading"'
        " WHERE \"station\" = 'st1' AND \"channel\" = 'wl'"
        " AND time >= 7ms AND time < 60007ms ORDER BY time ASC LIMIT 5"
    )


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("O'Brien", r"'O\'Brien'"),
        ('say "x"', "'say \"x\"'"),
        ("a\\", r"'a\\'"),
        ("a\\'", r"'a\\\''"),
        ("two\nlines", r"'two\nlines'"),
        ("/re.*/", "'/re.*/'"),
        ("翔安 雨量,1", "'翔安 雨量,1'"),
        ("'; DROP MEASUREMENT reading; --", r"'\'; DROP MEASUREMENT reading; --'"),
    ],
)
def test_text_is_quoted(value: str, literal: str) -> None:
    assert influxql.text(value) == literal
    assert influxql.rows_of(value, value, 0, 1, 1).count(literal) == 2


def test_names_are_quoted() -> None:
    assert influxql.name('a"b\\c\nd') == r'"a\"b\\c\nd"'


@given(st.text(st.sampled_from("a'\"\\\n/ 水;-"), max_size=12))
def test_no_text_leaves_its_quotes(value: str) -> None:
    literal = influxql.text(value)
    inner = literal[1:-1]
    assert not re.search(r"(?<!\\)(\\\\)*'", inner)
    assert "\n" not in literal
    back = re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), inner)
    assert back == value


@given(st.integers(-(10**15), 10**15), st.integers(-(10**15), 10**15))
def test_every_select_is_bounded_within_what_a_server_can_say(from_ms: int, to_ms: int) -> None:
    for statement in (
        influxql.rows_of("s", "c", from_ms, to_ms, 9),
        influxql.extent_of("s", "c", "last"),
    ):
        first, last = re.findall(r"time (?:>=|<) (-?\d+)ms", statement)
        assert min(int(first), int(last)) >= -9_223_372_036_854 or to_ms < -9_223_372_036_854
        assert max(int(first), int(last)) <= 9_223_372_036_854 or from_ms > 9_223_372_036_854


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "database not found: x"},
        {"results": [{"statement_id": 0, "error": "undefined function nosuchfn()"}]},
        {"results": []},
        ["what"],
        None,
    ],
)
def test_an_error_is_an_error_whatever_its_status(answer: object) -> None:
    with pytest.raises(influxql.RefusedQueryError):
        influxql.series(answer)


def test_a_measurement_not_yet_written_has_no_rows() -> None:
    for told in ("table 'reading' not found", "measurement not found: reading"):
        assert influxql.series({"error": told}) == []
        assert influxql.series({"results": [{"error": told}]}) == []
    assert influxql.series({"results": [{"statement_id": 0}]}) == []
    with pytest.raises(influxql.RefusedQueryError):
        influxql.series({"error": 'database not found: "measurement"'})


def test_rows_come_out_as_they_went_in() -> None:
    values = [[T0, 1024, None, 1, 0, 2, -3], [T0 + 1, None, 1.5, 9, 8, 0, 0]]
    answer = {"results": [{"statement_id": 0, "series": [{"name": "reading", "values": values}]}]}
    rows, cut = influxql.rows(influxql.series(answer), "st1", "wl")
    assert rows == [
        StoredReading("st1", "wl", T0, 1024.0, None, 1, 0, 2, -3),
        StoredReading("st1", "wl", T0 + 1, None, 1.5, 9, 8, 0, 0),
    ]
    assert (type(rows[0].value), cut) == (float, False)  # JSON shows 1024.0 as 1024
    assert influxql.rows([], "st1", "wl") == ([], False)
    assert influxql.rows([{"values": values, "partial": True}], "st1", "wl")[1]


def test_types_and_ends() -> None:
    assert influxql.types([{"values": [["q", "integer"], ["value", "float"]]}]) == {
        "q": "integer",
        "value": "float",
    }
    found = [{"tags": {"quantity": "water_level"}, "values": [[T0, 1]]}]
    assert influxql.ends(found) == [("water_level", T0)]
