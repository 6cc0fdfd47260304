"""Playing a timeline: what is compared, what is found, and that it is the judge's own fold."""

from __future__ import annotations

import dataclasses
import re

import pytest
from rig.rulebook import FOUR, LATE_MS, bound, fold_of, ladder, place, play, rain, silence

from egret_core.errors import ConfigError
from egret_core.reading import Reading
from egret_core.rules.event import settled_hash
from egret_core.rules.model import Family
from egret_core.rules.step import Receipt, Tick
from egret_core.rules.timeline import parse_timeline
from egret_core.rules.timeline_play import TICK_MS, Played
from egret_core.rules.timeline_play import _receipts as receipts
from egret_core.rules.timeline_play import play as played

ZERO_MS = 1_783_814_400_000
RIVER, GAUGE = place(), place("rn", "rain_total")
RULES = (
    bound(ladder(*FOUR), Family.LEVEL, RIVER),
    bound(rain(("blue", 1, 1, 20)), Family.RAIN, GAUGE),
    bound(silence(600), Family.ABSENCE, RIVER),
)
RISING = "st1/wl from 0 every 1m: 2.0..4.0x21 4.0x10 4.0..2.0x21 2.0x5\n"


def run(text: str, rules: tuple[object, ...] = RULES[:2]) -> Played:
    script = parse_timeline(f"start 2026-07-12T08:00:00+08:00\ncatalogue x\n{text}", "f")
    return played(script, (RIVER, GAUGE), rules)  # type: ignore[arg-type]


ALL = """expect blue at 10m because at_or_above
expect yellow at 15m
expect orange at 20m
expect eased yellow at 34m
expect eased blue at 39m
expect returned at 44m because below_clear
"""


def test_what_is_as_expected_has_no_finding() -> None:
    assert run(RISING + ALL).findings == []


def test_it_is_the_fold_of_the_judge() -> None:
    found = run(RISING + "expect others\nexpect nothing until 1s")
    levels = [round(2 + n / 10, 9) for n in range(21)] + [4.0] * 10
    levels += [round(4 - n / 10, 9) for n in range(21)] + [2.0] * 5
    items: list[Tick | Receipt] = []
    for n, level in enumerate(levels):
        at_ms = ZERO_MS + n * 60_000
        items += [Tick(now) for now in range(at_ms, at_ms + 60_000, TICK_MS)]
        items.insert(-5, Receipt("GW-1", at_ms, [Reading("st1", "wl", at_ms, level)]))
    by_hand = play(fold_of([RIVER, GAUGE], RULES[:2], ZERO_MS), items)
    assert settled_hash(found.events) == settled_hash(by_hand)


@pytest.mark.parametrize("left_out", range(3))
def test_a_rise_that_no_line_names_is_found(left_out: int) -> None:
    lines = ALL.splitlines()
    del lines[left_out]
    (finding,) = run(RISING + "\n".join(lines)).findings
    assert (finding.line, finding.expected) == (0, "no other rise")
    assert f"expect {('blue', 'yellow', 'orange')[left_out]} of level on st1/wl" in finding.remedy


def test_the_line_that_a_finding_proposes_is_right() -> None:
    lines = ALL.splitlines()[1:]
    (finding,) = run(RISING + "\n".join(lines)).findings
    match = re.search(r"(expect blue .*?);", finding.remedy)
    assert match is not None
    assert run(RISING + "\n".join([match[1], *lines])).findings == []


def test_others_may_be_left_alone() -> None:
    assert run(RISING + "expect blue at 10m\nexpect others").findings == []


@pytest.mark.parametrize(
    "line",
    [
        "expect blue at 11m",
        "expect blue at 10m because held_at_or_above",
        "expect red at 20m",
        "expect blue of rain at 10m",
        "expect blue on st1/rn at 10m",
        "expect blue at 10m refuted",
        "expect returned at 34m",
        "expect eased orange at 34m",
        "expect nothing from 9m until 10m1s",
        "expect nothing of level until 1h",
        "expect nothing on st1/wl from 44m until 45m",
    ],
)
def test_what_is_not_so_is_found_with_its_line(line: str) -> None:
    (finding,) = run(f"{RISING}{line}\nexpect others").findings
    assert (finding.line, finding.expected) == (4, line)
    assert finding.seen
    assert finding.remedy


@pytest.mark.parametrize(
    "line",
    [
        "expect blue at 11m within 1m",
        "expect blue at 10m provisional",
        "expect nothing until 10m",
        "expect nothing from 44m1s until 2h",
        "expect nothing of rain until 2h",
        "expect nothing on st1/rn until 2h",
    ],
)
def test_what_is_so_is_no_finding(line: str) -> None:
    assert run(f"{RISING}{line}\nexpect others").findings == []


def test_what_is_seen_instead_is_told_with_its_sentence() -> None:
    (finding,) = run(f"{RISING}expect blue at 11m\nexpect others").findings
    assert (
        "settled, 10 min after the start: st1/wl at 2026-07-12T08:10:00+08:00: 3 m" in finding.seen
    )
    assert "2026-07-12T08:11:00+08:00" in finding.remedy
    assert run("st1/wl from 0 every 1m: 1\nexpect blue at 1m").findings[0].seen == "no event at all"


def test_a_provisional_event_does_not_stand_in_for_a_settled_one() -> None:
    # The reading is never settled: playing ends before the lateness.
    text = "st1/wl from 0 every 1m: 3.0\nplay until 20s\nexpect blue at 0"
    assert [one.line for one in run(text).findings] == [5]
    assert run(f"{text} provisional").findings == []


def test_a_unit_other_than_the_canonical_one() -> None:
    text = "st1/wl in ft from 0 every 1m: 9.8 9.9\nexpect blue at 1m"
    assert run(text).findings == []


def test_a_total_rises_by_steps_and_maintenance_moves_its_base() -> None:
    text = "st1/rn from 0 every 1m: 100 +0.5x39 +20!maintenance +0.5\nexpect blue at 41m"
    found = run(text)
    assert found.findings == []
    assert found.events[0].evidence["value"] == 20.0


def test_a_reading_beyond_the_lateness_changes_nothing() -> None:
    late_s = LATE_MS // 1000
    for delay, expected in ((late_s - 1, "blue at 1m"), (late_s + 61, "nothing until 1h")):
        text = f"st1/wl from 0 every 1m: 1 3.0~{delay}s 1x5\nexpect {expected}\nexpect others"
        assert run(text).findings == []


def test_nobody_listens_while_the_centre_is_down() -> None:
    text = "st1/wl from 0 every 1m: 1x5\nplay until 18m\n"
    assert run(f"{text}expect fault at 14m", RULES).findings == []
    # Five minutes are shorter than the fault of its own, and pause the count.
    down = f"{text}centre down from 5m to 10m\nexpect nothing until 18m"
    assert run(down, RULES).findings == []


@pytest.mark.parametrize("minute", [1, 9, 15, 33, 44])
def test_a_restart_anywhere_changes_nothing(minute: int) -> None:
    whole = run(RISING + ALL)
    assert run(f"{RISING}restart at {minute}m10s\n{ALL}").events == whole.events


def test_readings_of_one_receipt_are_judged_together() -> None:
    text = "st1/wl from 0 every 1m received 10m: 3.5 3.0 3.1\nexpect yellow at 0\nexpect others"
    assert run(text).findings == []


@pytest.mark.parametrize(
    ("text", "key", "seen", "remedy"),
    [
        ("st1/wx from 0 every 1m: 1", "line 3", "st1/wx", "did you mean 'st1/wl'?"),
        ("st1/wl in kPa from 0 every 1m: 1", "line 3", "kPa", "cannot measure water_level"),
        ("expect blue of leval at 1m", "line 3", "leval", "did you mean 'level'?"),
        ("expect blue on st1/w1 at 1m", "line 3", "st1/w1", "did you mean 'st1/wl'?"),
        ("expect nothing on st1/w1 until 1m", "line 3", "st1/w1", "did you mean 'st1/wl'?"),
        ("expect nothing of level on st1/rn until 1m", "line 3", "st1/rn", "level says nothing"),
        ("expect bleu at 1m", "line 3", "bleu", "did you mean 'blue'?"),
        ("expect eased bleu at 1m", "line 3", "bleu", "did you mean 'blue'?"),
        ("expect red of rain at 1m", "line 3", "red", "unknown level; known: blue"),
    ],
)
def test_what_the_catalogue_does_not_know_is_told(
    text: str, key: str, seen: str, remedy: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(remedy)) as caught:
        run(f"{text}\nexpect nothing until 1h")
    assert (caught.value.file, caught.value.key, caught.value.seen) == ("f", key, seen)


@pytest.mark.parametrize(
    "line", ["expect nothing until 61m", "expect blue at 61m", "expect blue at 2h within 10m"]
)
def test_what_is_not_played_is_not_expected(line: str) -> None:
    with pytest.raises(ConfigError, match="after the end of the play") as caught:
        run(f"st1/wl from 0 every 1m: 1\nplay until 1h\n{line}")
    assert (caught.value.key, caught.value.seen) == ("line 5", line)


def test_rules_that_judge_values_are_not_tested_without_any() -> None:
    with pytest.raises(ConfigError, match="give readings"):
        run("expect nothing until 1h")
    assert run("expect nothing until 5m", RULES).findings == []  # one of them judges silence
    down = "centre down from 1m to 20m\nplay until 30m\nexpect others\n"
    assert run(f"{down}expect fault of centre-ticks on centre at 10m50s").findings == []


def test_what_comes_while_the_centre_is_down_is_taken_at_its_end() -> None:
    text = "st1/wl from 0 every 1m: 1x6 3.0x3 1x20\ncentre down from 5m to 20m\nexpect others\n"
    found = run(f"{text}expect blue at 6m")
    assert found.findings == []
    script = parse_timeline(
        f"start 2026-07-12T08:00:00+08:00\ncatalogue x\n{text}expect blue at 6m", "f"
    )
    places = {(one.station, one.channel): one for one in (RIVER, GAUGE)}
    taken = sorted({(at - script.start_ms) // 60_000 for at, _ in receipts(script, places)})
    assert taken == [0, 1, 2, 3, 4, *range(20, 29)]


def test_an_allowed_lateness_of_the_catalogue_is_waited_for() -> None:
    slow = dataclasses.replace(RIVER, late_s=1800.0)
    script = parse_timeline(
        "start 2026-07-12T08:00:00Z\ncatalogue x\nst1/wl from 0 every 1m: 3\nexpect blue at 0", "f"
    )
    assert played(script, (slow, GAUGE), RULES[:1]).findings == []
