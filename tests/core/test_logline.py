"""A line of log: our keys, anybody's values, and no value that could pass for a key."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core.logline import HIDDEN, SECRETS, VALUE_MAX, fields, logfmt

TOKEN = re.compile(r'(\w+)=("(?:\\.|[^"\\])*"|[^\s"=]+)')


def read(line: str) -> dict[str, str]:
    """Read logfmt as a collector does."""
    found: dict[str, str] = {}
    at = 0
    while at < len(line):
        match = TOKEN.match(line, at)
        assert match is not None, line[at:]
        assert match[1] not in found
        found[match[1]] = json.loads(match[2]) if match[2][0] == '"' else match[2]
        at = match.end() + 1
    return found


@given(st.text(), st.text(), st.integers())
def test_whatever_a_peer_says_is_one_value_on_one_line(gateway: str, why: str, seq: int) -> None:
    said = fields("event=refused gateway=%s seq=%d why=%r", (gateway, seq, why))
    line = logfmt(said)
    assert line.isprintable()
    assert (
        read(line)
        == {
            "event": "refused",
            "gateway": gateway,
            "seq": str(seq),
            "why": why,
        }
        or max(len(gateway), len(why)) > VALUE_MAX
    )


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("event=journal_unheard", (), {"event": "journal_unheard"}),
        ("gateway=%s stopped", ("g1",), {"event": "stopped", "gateway": "g1"}),
        (
            "uplink broker=%s:%d lost=%r again_s=%.1f",
            ("h", 1883, "x y", 0.25),
            {"event": "uplink", "broker": "h:1883", "lost": "x y", "again_s": "0.2"},
        ),
        (
            "event=behind asked_for_again=%d batches",
            (7,),
            {"event": "behind", "asked_for_again": 7, "text": "batches"},
        ),
        ("saved %s not read, why=%r", ("a b", None), {"event": "saved a b not read,", "why": None}),
        ("load=%d%% used=%s", (50, True), {"load": "50%", "used": True}),
        ("api=http://%s:%d run=%s", ("::1", 1, "r"), {"api": "http://::1:1", "run": "r"}),
    ],
)
def test_the_forms_in_use(
    template: str, values: tuple[object, ...], expected: dict[str, object]
) -> None:
    assert fields(template, values) == expected


@pytest.mark.parametrize(
    ("template", "values"), [("a=%.1f", ("x",)), ("a=%s", ()), ("a=%s", (1, 2)), ("%d %d", (1,))]
)
def test_what_does_not_fit_together_is_refused(template: str, values: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        fields(template, values)


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_never_written(key: str) -> None:
    assert fields(f"event=x {key}=%s", ("swordfish",)) == {"event": "x", key: HIDDEN}


def test_a_megabyte_of_a_peer_is_cut() -> None:
    said = str(fields("why=%s", ("x" * 1_000_000,))["why"])
    assert len(said) < VALUE_MAX + 50
    assert said.endswith("(1000000 characters)")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b', '"a\\"b"'),
        ("a=b", '"a=b"'),
        ("a\nlevel=info", '"a\\nlevel=info"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ("a\u2028b", '"a\\u2028b"'),
        ("准备", "准备"),
        (1.5, "1.5"),
    ],
)
def test_what_steers_a_terminal_or_breaks_a_line_is_escaped(value: object, shown: str) -> None:
    assert logfmt({"k": value}) == f"k={shown}"
