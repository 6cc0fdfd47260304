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


@given(st.integers(-(10**18), 10**18), st.integers(-(10**18), 10**18))
def test_every_select_is_bounded_within_what_a_server_can_say(from_ms: int, to_ms: int) -> None:
    for statement in (
        influxql.rows_of("s", "c", from_ms, to_ms, 9),
        influxql.extent_of("s", "c", "last"),
    ):
        ends = re.findall(r"time (?:>=|<=?) (-?\d+)ms", statement)
        assert len(ends) == 2
        assert all(-9_223_372_036_854 <= int(end) <= 9_223_372_036_854 for end in ends)


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
    found = influxql.rows(influxql.series(answer), "st1", "wl")
    assert found.rows == [
        StoredReading("st1", "wl", T0, 1024.0, None, 1, 0, 2, -3),
        StoredReading("st1", "wl", T0 + 1, None, 1.5, 9, 8, 0, 0),
    ]
    assert type(found.rows[0].value) is float  # JSON shows 1024.0 as 1024
    assert found[1:] == (2, T0 + 1, False, 0)
    assert influxql.rows([], "st1", "wl") == ([], 0, None, False, 0)
    assert influxql.rows([{"values": values, "partial": True}], "st1", "wl").cut


@pytest.mark.parametrize("lacks", range(3, 7))
def test_a_point_without_what_ours_always_have_is_left_out(lacks: int) -> None:
    ours = [T0, 1.0, None, 1, 0, 0, 5]
    theirs = [T0 + 1, 2.0, None, 1, 0, 0, 5]
    theirs[lacks] = None
    found = influxql.rows([{"values": [ours, theirs]}], "st1", "wl")
    assert found == ([StoredReading("st1", "wl", *ours)], 2, T0 + 1, False, 1)  # type: ignore[arg-type]


def test_a_good_row_without_a_value_may_be_on_its_way_in() -> None:
    for flag, half in ((1, 1), (2, 1), (3, 1), (4, 0), (9, 0)):
        found = influxql.rows([{"values": [[T0, None, None, flag, 0, 0, 5]]}], "st1", "wl")
        assert (len(found.rows), found.half) == (1, half)


@pytest.mark.parametrize(
    "values", [[[T0, "1.0m", None, 1, 0, 0, 5]], [[T0, 1.0]], [None], None, [[None] + [1] * 6]]
)
def test_an_answer_of_another_shape_is_the_servers_fault(values: object) -> None:
    found = [{"values": values, "tags": {"quantity": "q"}}]
    with pytest.raises(influxql.RefusedQueryError):
        influxql.rows(found, "st1", "wl")


def test_ends_and_types_of_another_shape_are_too() -> None:
    with pytest.raises(influxql.RefusedQueryError):
        influxql.ends([{"values": [[T0, 1]]}])
    with pytest.raises(influxql.RefusedQueryError):
        influxql.types([{"values": [["q"]]}])


def test_types_and_ends() -> None:
    assert influxql.types([{"values": [["q", "integer"], ["value", "float"]]}]) == {
        "q": "integer",
        "value": "float",
    }
    found = [{"tags": {"quantity": "water_level"}, "values": [[T0, 1]]}]
    assert influxql.ends(found) == [("water_level", T0)]
