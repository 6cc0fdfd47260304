"""Every answer to a write has a name, and none but a line's own fault is a line's fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.store.influx.answers import (
    BUSY_S,
    RETRY_AFTER_MAX_S,
    SLOW_S,
    WHY_MAX,
    Verdict,
    judged,
    words,
)

V1_PARTIAL = '{"error":"partial write: points beyond retention policy dropped=7"}'
V1_TYPE = (
    '{"error":"partial write: field type conflict: input field \\"value\\" on measurement'
    ' \\"reading\\" is type string, already exists as type float dropped=1"}'
)
V1_PARSE = '{"error":"unable to parse \'reading,station=a q=x 1\': invalid boolean"}'
V2_PARTIAL = (
    '{"code":"unprocessable entity","message":"failure writing points to database: partial'
    ' write: points beyond retention policy dropped=5000"}'
)
V3_PARTIAL = (
    '{"error":"partial write of line protocol occurred","data":[{"original_line":"reading q=x",'
    '"line_number":1,"error_message":"invalid field value"}]}'
)
FULL = '{"error":"partial write: max-series-per-database limit exceeded: (1000000) dropped=3"}'


@pytest.mark.parametrize(
    ("status", "text", "verdict", "dropped"),
    [
        (204, "", Verdict.DONE, -1),
        (400, V1_PARTIAL, Verdict.PARTIAL, 7),
        (400, V1_TYPE, Verdict.PARTIAL, 1),
        (400, V1_PARSE, Verdict.PARTIAL, 1),
        (422, V2_PARTIAL, Verdict.PARTIAL, 5000),
        (400, V3_PARTIAL, Verdict.PARTIAL, 1),
        (400, FULL, Verdict.STRANGE, -1),
        (400, '{"error":"database is required"}', Verdict.STRANGE, -1),
        (400, "<html>Bad Request</html>", Verdict.STRANGE, -1),
        (401, '{"code":"unauthorized","message":"unauthorized access"}', Verdict.CREDENTIALS, -1),
        (403, "", Verdict.CREDENTIALS, -1),
        (404, '{"error":"database not found: \\"nosuch\\""}', Verdict.MISSING, -1),
        (413, "", Verdict.TOO_LARGE, -1),
        (429, "", Verdict.BUSY, -1),
        (503, "", Verdict.DOWN, -1),
        (500, '{"error":"timeout"}', Verdict.DOWN, -1),
        (502, "", Verdict.DOWN, -1),
        (0, "no answer: TimeoutError()", Verdict.DOWN, -1),
        (200, "<html>log in</html>", Verdict.STRANGE, -1),
        (302, "", Verdict.STRANGE, -1),
        (405, "", Verdict.STRANGE, -1),
    ],
)
def test_each_answer_has_its_verdict(
    status: int, text: str, verdict: Verdict, dropped: int
) -> None:
    answer = judged(status, text, {})
    assert (answer.verdict, answer.dropped) == (verdict, dropped)


@pytest.mark.parametrize(
    ("status", "asked", "pause_s"),
    [
        (429, "7", 7.0),
        (503, " 12 ", 12.0),
        (429, "999999", RETRY_AFTER_MAX_S),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", BUSY_S),
        (429, "-5", BUSY_S),
    ],
)
def test_a_busy_server_is_given_the_time_it_asks_for(
    status: int, asked: str, pause_s: float
) -> None:
    answer = judged(status, "", {"retry-AFTER": asked})
    assert (answer.verdict, answer.pause_s) == (Verdict.BUSY, pause_s)


def test_where_a_person_is_needed_nobody_hurries() -> None:
    for status in (401, 403, 404):
        assert judged(status, "", {}).pause_s == SLOW_S
    assert judged(500, "", {}).pause_s == 0


def test_words_are_the_servers_own_short_and_on_one_line() -> None:
    assert words('{"error":"a\\n b"}') == "a b"
    assert words('{"code":"invalid","message":"no"}') == "no"
    assert words("plain\ntext") == "plain text"
    assert words('{"other":1}') == '{"other":1}'
    assert len(words("x" * 5000)) == WHY_MAX


@given(st.integers(0, 999), st.text(max_size=80))
def test_whatever_comes_is_judged_and_only_204_is_done(status: int, text: str) -> None:
    assert (judged(status, text, {}).verdict is Verdict.DONE) == (status == 204)
