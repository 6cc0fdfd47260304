"""Patterns that could hang a gateway are refused by name; the others match as they read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret_gateway.protocols.pattern import CHOICES_MAX, PATTERN_MAX, PatternError, compiled
from egret_gateway.protocols.text_line import LINE_MAX_B


@pytest.mark.parametrize(
    ("pattern", "line", "groups"),
    [
        (r"X=(?P<x>[+-]\d+\.\d+)", "X=+00.430", {"x": "+00.430"}),
        (r"(?P<t>[^,]*),(?P<h>\S+) *m?", "2026,1.5  m", {"t": "2026", "h": "1.5"}),
        (r"(?:\d{2}:){2}\d{2} (?P<v>-?\d{1,3})", "12:30:59 -77", {"v": "-77"}),
        (r"A(?:,B(?P<b>\d+))?;", "A;", {"b": None}),
        (r"A(?:,B(?P<b>\d+))?;", "A,B7;", {"b": "7"}),
        (r"(?P<s>OK|ERR|E)(R)? .*", "E anything, even this", {"s": "E"}),
        (r"[]a-]+[^]x]\x41\u0042[\]]", "]-a?AB]", {}),
        (r"(?P<v>\d+)(?: .*|)", "5", {"v": "5"}),
        (r"^\s*(?P<v>\d+)$", "  5", {"v": "5"}),
        (r"{x}\{(?P<v>\d)\.", "{x}{5.", {"v": "5"}),
    ],
)
def test_harmless_patterns(pattern: str, line: str, groups: dict[str, str | None]) -> None:
    found = compiled(pattern).fullmatch(line)
    assert found is not None
    assert found.groupdict() == groups


@pytest.mark.parametrize(
    ("pattern", "remedy"),
    [
        (r"(a+)+b", "write {n}"),
        (r"(?:a|a)*b", "write {n}"),
        (r"(?:\d+,){2,5}", "write {n}"),
        (r"(?:(?:a){9}){9}", "another repeated group"),
        (r"(?:a|a){30}b", "neither a choice"),
        (r"(?:(?:a)?){30}a", "neither a choice"),
        (r"(?:(x|y)z){3}", "neither a choice"),
        (r"a+?b", "lazy"),
        (r"a++b", "lazy"),
        (r"a{2}{3}", "lazy|multiple repeat"),
        (r"(?P<x>a)(?P=x)", r"only \(\?P<name>"),
        (r"(a)\1", "back references"),
        (r"(?=a)a", "only"),
        (r"(?i)a", "only"),
        (r".*,(?P<x>\d)", "never matches"),
        (r"(.+)x", "never matches"),
        (r"a{100}", "at most 99"),
        (r"|" * (CHOICES_MAX + 1), "at most 8 choices"),
        ("a" * (PATTERN_MAX + 1), "at most 300"),
        (r"(", "not a regular expression"),
        (r"*a", "not a regular expression"),
        ("a\\", "not a regular expression"),
        (r"[a", "not a regular expression"),
        (r"[[a]", "not a regular expression: Possible nested set"),
    ],
)
def test_patterns_that_are_refused(pattern: str, remedy: str) -> None:
    with pytest.raises(PatternError, match=remedy):
        compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        # Each would take years to fail if what was taken could be given back.
        (r"\d*" * 40 + "x", "1" * LINE_MAX_B),
        (r"[ab]*[abc]*[abcd]*" * 8 + "x", "a" * LINE_MAX_B),
        ("a?" * 60 + "a{60}", "a" * 60),
        (r"\s*\S*" * 30 + ",", " x" * (LINE_MAX_B // 2)),
    ],
)
def test_what_is_taken_ends_at_once_on_a_hostile_line(pattern: str, line: str) -> None:
    assert compiled(pattern).fullmatch(line) is None


PIECES = st.sampled_from([
    *("a", "b", r"\d", ".", "[ab]", "[^a]", "(", "(?:", "(?P<g>", ")", "|", "*", "+", "?"),
    *("{2}", "{1,3}", "{,2}", r"\.", "^", "$", "1", ",", "\\", "[", "]", "{", "}", r"\x41"),
])  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=12).map("".join), st.text("ab1,.", max_size=12))
def test_any_pattern_is_taken_or_refused_and_matches_no_more_than_it_says(
    pattern: str, line: str
) -> None:
    try:
        safe = compiled(pattern)
    except PatternError:
        return
    if safe.fullmatch(line):
        assert re.compile(pattern, re.ASCII).fullmatch(line)
