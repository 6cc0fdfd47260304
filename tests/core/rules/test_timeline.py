"""The language of timelines: what it takes, and what each mistake is told as."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core.errors import ConfigError
from egret_core.quality import Flag, Reason
from egret_core.rules import timeline
from egret_core.rules.timeline import Expected, parse_timeline
from egret_core.rules.timeline_series import SAMPLES_MAX, Sample, SeriesError, samples

HEAD = "start 2026-07-12T08:00:00+08:00\ncatalogue x\n"
TAIL = "\nexpect nothing until 1h"
MIN_MS = 60_000


def made(text: str, received_ms: int | None = None) -> list[Sample]:
    return samples(text, 0, MIN_MS, received_ms)


def test_values_come_a_step_apart_and_a_gap_takes_its_steps() -> None:
    found = made("2.5 -0.3x2 _x3 4")
    assert [(one.time_ms // MIN_MS, one.number) for one in found] == [
        (0, 2.5),
        (1, -0.3),
        (2, -0.3),
        (6, 4.0),
    ]


def test_a_ramp_has_both_its_ends() -> None:
    assert [one.number for one in made("2.0..3.0x5")] == [2.0, 2.25, 2.5, 2.75, 3.0]
    assert [one.number for one in made("0.1..-0.2x4")] == [0.1, 0.0, -0.1, -0.2]


def test_a_rise_is_marked_and_added_later() -> None:
    assert [(one.number, one.rises) for one in made("5 +0.5x2")] == [
        (5.0, False),
        (0.5, True),
        (0.5, True),
    ]


@pytest.mark.parametrize(
    ("text", "flag", "reasons"),
    [
        ("1", Flag.GOOD, 0),
        ("1!suspect", Flag.SUSPECT, 0),
        ("1!suspect,spike,rate", Flag.SUSPECT, Reason.SPIKE | Reason.RATE),
        ("1!maintenance", Flag.GOOD, Reason.MAINTENANCE),
        ("missing", Flag.MISSING, 0),
        ("fail!timeout", Flag.FAIL, Reason.TIMEOUT),
    ],
)
def test_a_quality_is_a_flag_and_reasons(text: str, flag: int, reasons: int) -> None:
    (one,) = made(text)
    assert (one.flag, one.reasons) == (flag, reasons)


def test_a_value_may_come_later_and_a_whole_line_at_once() -> None:
    assert [one.received_ms - one.time_ms for one in made("1 2~25s 3~1m30s")] == [0, 25_000, 90_000]
    assert {one.received_ms for one in made("1 2 3~25s", 600_000)} == {600_000}


@pytest.mark.parametrize(
    ("text", "seen", "remedy"),
    [
        ("", "", "at least one value"),
        ("_x5", "_x5", "at least one value"),
        ("1 two", "two", "write a value as"),
        ("1,5", "1,5", "write a value as"),
        ("1x0", "1x0", "1 to"),
        (f"1x{SAMPLES_MAX + 1}", f"1x{SAMPLES_MAX + 1}", "1 to"),
        ("1..2", "1..2", "over how many readings"),
        ("1!doubtful", "1!doubtful", "no quality is called 'doubtful'"),
        ("1!suspect,,rate", "1!suspect,,rate", "no quality is called ''"),
        ("1~soon", "1~soon", "length of time"),
        ("nan", "nan", "write a value as"),
        ("1e400", "1e400", "write a value as"),
    ],
)
def test_a_value_that_cannot_be_read_is_named(text: str, seen: str, remedy: str) -> None:
    with pytest.raises(SeriesError, match=re.escape(remedy)) as caught:
        made(text)
    assert caught.value.seen == seen


def test_a_whole_timeline_is_read() -> None:
    script = parse_timeline(
        """# what it is about
start 2026-07-12T08:00:00+08:00   # zero
stations:
[[station]]
end
rules:
# a comment of TOML stays
end

st1/wl in ft from 10m every 1m received 3h: 1 2
centre down from 1h to 2h
restart at 90m
play until 2026-07-12T12:00:00+08:00
expect blue of river on st1/wl at 10m within 30s because at_or_above
expect "move now" at 20m provisional
expect eased blue at 30m
expect returned at 40m because below_clear
expect nothing of river from 1m until 5m
expect others
""",
        "a.timeline",
    )
    assert (script.start_ms, script.offset_min) == (1_783_814_400_000, 480)
    assert script.texts["stations"].strip() == "[[station]]"
    assert script.texts["rules"].strip() == "# a comment of TOML stays"
    (series,) = script.series
    assert (series.line, series.station, series.channel, series.unit) == (10, "st1", "wl", "ft")
    assert [one.time_ms for one in series.samples] == [600_000, 660_000]
    assert {one.received_ms for one in series.samples} == {10_800_000}
    assert script.down == [(3_600_000, 7_200_000)]
    assert (script.restarts, script.until_ms, script.others) == ([5_400_000], 14_400_000, True)
    text = "expect blue of river on st1/wl at 10m within 30s because at_or_above"
    where = {"rule": "river", "subject": "st1/wl", "reason": "at_or_above"}
    assert script.expected == [
        Expected(14, text, "", "blue", **where, from_ms=570_000, to_ms=630_000),
        Expected(
            *(15, "expect move now at 20m provisional", "", "move now"),
            phase="provisional",
            from_ms=1_200_000,
            to_ms=1_200_000,
        ),
        Expected(
            16, "expect eased blue at 30m", "eased", "blue", from_ms=1_800_000, to_ms=1_800_000
        ),
        Expected(
            *(17, "expect returned at 40m because below_clear", "returned"),
            reason="below_clear",
            from_ms=2_400_000,
            to_ms=2_400_000,
        ),
        Expected(
            *(18, "expect nothing of river from 1m until 5m", None),
            rule="river",
            from_ms=60_000,
            to_ms=300_000,
        ),
    ]


def test_a_text_in_the_file_keeps_its_line_numbers() -> None:
    script = parse_timeline(f"{HEAD}rules:\nbad toml\nend\nexpect nothing until 1h", "f")
    assert script.texts["rules"].splitlines()[3] == "bad toml"


# a line after the head, what is shown of it, and a part of the remedy
BAD = [
    ("begin 1h", "begin", "begin the line with one of"),
    ("start 2026-07-12T08:00:00+08:00", "2026-07-12T08:00:00+08:00", "write once: start"),
    ("catalogue y", "y", "write once: catalogue"),
    ("rules:\n[[rule]]", "rules:", "end it with a line: end"),
    ("st1/wl every 1m: 1", "st1/wl every 1m: 1", "write: STATION/CHANNEL"),
    ("st1/wl from 0 every 0: 1", "0", "a step of more than 0"),
    ("st1/wl from 0 every 1m: 1 x", "x", "write a value as"),
    ("st1/wl from soon every 1m: 1", "soon", "length of time"),
    ("st1/wl from 401d every 1m: 1", "401d", "to 400 days after it"),
    ("st1/wl from 399d every 1d: 1x3", 3, "within 400 days"),
    (
        "st1/wl from 2026-07-12T07:00:00+08:00 every 1m: 1",
        "2026-07-12T07:00:00+08:00",
        "from the st",
    ),
    ("centre up at 1h", "up at 1h", "centre down from TIME to TIME"),
    ("centre down from 2h to 1h", "1h", "an end after the beginning"),
    ("restart 1h", "1h", "restart at TIME"),
    ("play 1h", "1h", "play until TIME"),
    ("expect", "expect ", "expect LEVEL"),
    ("expect blue", "expect blue", "expect LEVEL"),
    ("expect blue at", "expect blue at", "pairs of"),
    ("expect blue at 1h at 2h", "expect blue at 1h at 2h", "pairs of"),
    ("expect blue at 1h for 2h", "expect blue at 1h for 2h", "pairs of"),
    ("expect blue until 2h", "expect blue until 2h", "expect LEVEL"),
    ("expect blue at 2026-07-12", "2026-07-12", "length of time"),
    ("expect blue at 2026-07-12T09:00:00", "2026-07-12T09:00:00", "RFC 3339"),
    ("expect nothing at 1h", "expect nothing at 1h", "expect nothing [of RULE]"),
    ("expect nothing until 1h because x", "expect nothing until 1h because x", "expect nothing"),
]


@pytest.mark.parametrize(("line", "seen", "remedy"), BAD, ids=[row[0] for row in BAD])
def test_a_mistake_is_told_with_file_line_value_and_remedy(
    line: str, seen: object, remedy: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(remedy)) as caught:
        parse_timeline(f"{HEAD}{line}{TAIL}", "f.timeline")
    error = caught.value
    assert (error.file, error.key, error.seen) == ("f.timeline", "line 3", seen)


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("", "line 1", "begin with: start"),
        ("expect nothing until 2026-07-12T08:00:00Z", "line 1", "the start before other times"),
        ("start noon", "line 1", "RFC 3339"),
        ("start 2026-07-12T08:00:00Z\nexpect nothing until 1h", "line 1", "name a catalogue"),
        ("start 2026-07-12T08:00:00Z\nrules:\nend\nexpect nothing until 1h", "line 1", "catalogue"),
        (HEAD, "line 2", "say what is expected"),
    ],
)
def test_a_file_that_lacks_something_is_told_what(text: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(remedy)) as caught:
        parse_timeline(text, "f")
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("expect nothing from 1h until 1h", "this span is empty"),
        ("expect nothing from 2h until 1h", "this span is empty"),
        ("expect nothing until 0", "this span is empty"),
        ("expect nothing until 1h provisional", "leave out provisional"),
        ("expect nothing until 1h refuted", "leave out refuted"),
    ],
)
def test_nothing_has_a_span_and_no_phase(line: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy) as caught:
        parse_timeline(f"{HEAD}{line}", "f")
    assert (caught.value.key, caught.value.seen) == ("line 3", line)


def test_a_file_has_a_limit_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "LINES_MAX", 2)
    with pytest.raises(ConfigError, match="at most 2 lines"):
        parse_timeline(HEAD + TAIL, "f")


def test_all_series_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "SAMPLES_MAX", 5)
    with pytest.raises(ConfigError, match="at most 5 readings"):
        parse_timeline(f"{HEAD}st1/wl from 0 every 1m: 1x3\nst1/rn from 0 every 1m: 1x3{TAIL}", "f")


WORDS = (
    *("start", "expect", "nothing", "until", "1h", "blue", "at", "st1/wl", "from", "every", "0"),
    *(":", "1m:", "2.0x5", "_", "rules:", "end", "#", '"', "catalogue", "2026-07-12T08:00:00Z"),
    "\n",
)


def told(text: str) -> str:
    """Return what a text is refused for, "" where it is a script."""
    try:
        parse_timeline(text, "f")
    except ConfigError as error:
        return f"{error.key}: {error.remedy}"
    return ""


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=6), max_size=30))
def test_no_text_ends_in_anything_but_a_script_or_a_named_mistake(words: list[str]) -> None:
    assert re.fullmatch(r"(line \d+: .+)?", told(" ".join(words)))
