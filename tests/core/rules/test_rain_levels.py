"""Levels of rain with AND and OR over windows, by site; points from published tables."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.packbook import GAUGE, PACKS, RIVER, judged, of_pack, refused, totals
from rig.rulebook import HOUR_MS, brief

from egret_core.rules.event import Phase
from egret_core.rules.rain import Rain
from egret_core.rules.warmup import span_ms

INLAND, COAST = (f'place = "{one}"\nlevels = []' for one in ("inland", "coast"))
FUZHOU = f'{INLAND[:-2]}[{{ level = "orange", window_h = 1, sum = 60 }}]'
JIANGHUA = {
    "blue": (35, 55, 70, 100),
    "yellow": (45, 75, 95, 130),
    "orange": (60, 100, 120, 160),
    "red": (80, 120, 150, 200),
}
HOURS = (1, 3, 6, 24)


def jianghua() -> str:
    rows = ",\n".join(
        f'{{ level = "{colour}", window_h = {hours}, sum = {mm} }}'
        for colour, sums in JIANGHUA.items()
        for hours, mm in zip(HOURS, sums, strict=True)
    )
    return f"levels = [\n{rows}\n]"


Falls = list[tuple[float, float, float]]


def top(pack: str, parameters: str, falls: Falls) -> str:
    """Return the highest level that falls of (from hour, to hour, mm) reach, even within each."""
    tenths: dict[int, int] = {}
    for start, end, mm in falls:
        first, last, whole = round(start * 60) + 1, round(end * 60), round(mm * 10_000)
        each = whole // (last - first + 1)
        for minute in range(first, last + 1):
            tenths[minute] = each if minute < last else whole - each * (last - first)
    depth, total = [(0.0, 1000.0)], 10_000_000
    for minute in range(1, max(tenths) + 1):
        total += tenths.get(minute, 0)
        depth.append((60.0 * minute, total / 10_000))
    events = judged(of_pack(pack, GAUGE, parameters), GAUGE, depth)
    rises = [e for e in events if str(e.change) in ("raised", "upgraded")]
    return max(rises, key=lambda e: e.rank).level if rises else "none"


def fuzhou(three_h_mm: float, hour_mm: float, parameters: str = INLAND, wettest: int = 1) -> str:
    """Return what 3 h of rain give, half an hour of each wet; the wettest is known."""
    rest = round((three_h_mm - hour_mm) / 2, 4)
    parts = [hour_mm if n == wettest else rest for n in range(3)]
    falls = [(n + 0.5, n + 1.0, mm) for n, mm in enumerate(parts) if mm]
    return top("fujian-rain-signals", parameters, falls)


@pytest.mark.parametrize("wettest", [0, 1, 2])
@pytest.mark.parametrize(
    ("three_h_mm", "hour_mm", "level"),
    [
        (119.9, 50.0, "none"),
        (119.9, 50.1, "none"),
        (120.0, 50.0, "none"),
        (120.0, 50.1, "red"),
        (149.9, 50.0, "none"),
    ],
)
def test_three_hours_and_an_hour_give_red_only_together(
    three_h_mm: float, hour_mm: float, level: str, wettest: int
) -> None:
    assert fuzhou(three_h_mm, hour_mm, wettest=wettest) == level


@pytest.mark.parametrize(
    ("hours", "mm", "inland", "coast"),
    [
        (6, 149.9, "none", "none"),
        (6, 150.0, "red", "none"),
        (6, 179.9, "red", "none"),
        (6, 180.0, "red", "red"),
        (12, 179.9, "none", "none"),
        (12, 180.0, "red", "none"),
        (12, 219.9, "red", "none"),
        (12, 220.0, "red", "red"),
    ],
)
def test_the_published_red_differs_inland_and_on_the_coast(
    hours: int, mm: float, inland: str, coast: str
) -> None:
    falls = [(0.0, float(hours), mm)]
    assert top("fujian-rain-signals", INLAND, falls) == inland
    assert top("fujian-rain-signals", COAST, falls) == coast


def test_the_bureau_fills_the_lower_colours_and_may_add_to_red() -> None:
    assert fuzhou(65.0, 61.0, FUZHOU) == "orange"
    assert fuzhou(120.0, 61.0, FUZHOU) == "red"
    more = FUZHOU.replace("}]", '}, { level = "red", window_h = 1, sum = 100 }]')
    rule = of_pack("fujian-rain-signals", GAUGE, more)
    assert {level.rank for level in rule.law.levels if level.label == "red"} == {2}
    assert top("fujian-rain-signals", more, [(0, 1, 100.0)]) == "red"


def test_without_the_bureaus_word_the_pack_is_refused() -> None:
    assert refused("fujian-rain-signals", GAUGE, 'place = "inland"') == (
        "levels",
        "fujian-rain-signals needs it: write a windows",
    )
    assert refused("fujian-rain-signals", GAUGE, "levels = []")[0] == "place"
    assert "fixes it" in refused("fujian-rain-signals", GAUGE, f"{INLAND}\npublished = []")[1]
    assert "not published" in PACKS["fujian-rain-signals"].citation


def test_the_evidence_names_every_condition_that_held() -> None:
    rows = totals([69.9, 0, 0, 50.1], step_s=1800)
    events = judged(of_pack("fujian-rain-signals", GAUGE, INLAND), GAUGE, rows)
    provisional, settled = events
    assert (provisional.phase, settled.phase) == (Phase.PROVISIONAL, Phase.SETTLED)
    assert provisional.evidence == settled.evidence
    assert settled.provisional_id == provisional.id
    assert settled.evidence == {
        "value": 120.0,
        "threshold": 120.0,
        "window_h": 3.0,
        "unit": "mm",
        "also": [{"value": 50.1, "threshold": 50.0, "unit": "mm", "window_h": 1.0, "over": True}],
    }


def test_it_eases_when_dry_for_an_hour_and_says_what_fell_away() -> None:
    dry = [0.0] * 24
    rows = totals([69.9, 0, 0, 50.1, *dry], step_s=1800)  # the first fall leaves the 3 h at 3.5 h
    events = judged(of_pack("fujian-rain-signals", GAUGE, INLAND), GAUGE, rows)
    assert brief(events) == [("raised", "red", 7200), ("returned", "", 1800 + 10_800)]
    left = events[-1].evidence  # of the alternatives, the one that is nearest still
    assert (left["value"], left["threshold"], left["window_h"]) == (120.0, 150.0, 6.0)
    assert left["dry_s"] == 5400.0


@pytest.mark.parametrize(("last_h", "level"), [(3.25, "red"), (3.5, None), (3.75, None)])
def test_the_hour_counts_while_its_rain_is_within_the_three(
    last_h: float, level: str | None
) -> None:
    # 51 mm by 00:30, no reading near 01:25; 70 mm by 02:30; at 03:30 the 51 mm are out.
    rows = [(0.0, 0.0), (1800, 51.0), (3600, 51.0), (9000, 110.0), (last_h * 3600, 121.0)]
    events = judged(of_pack("fujian-rain-signals", GAUGE, COAST), GAUGE, rows)
    assert ([e.level for e in events] or [None])[-1] == level


JOINED = """dry_s = 0
levels = [{ level = "red", window_h = 3, sum = 120, and = [{ window_h = 1, over = 50 }] }]
"""


def test_a_level_ends_when_the_hour_has_left_and_the_sum_has_not() -> None:
    # 51 mm by 00:30, then 44 mm an hour in two falls: 3 h stay over 120 mm without such an hour.
    rows = [(0.0, 0.0), *((1800.0 * n, 51.0 + 22 * (n - 1)) for n in range(1, 9))]
    events = brief(judged(of_pack("generic-rain", GAUGE, JOINED), GAUGE, rows))
    assert events == [("raised", "red", 9000), ("returned", "", 12_600)]


def test_rain_before_the_hours_own_does_not_age_it() -> None:
    # 20 mm by 00:10 are not needed for the hour of 51 mm by 00:40: at 03:20 it still is within.
    rows = [(0, 0.0), (600, 20.0), (2400, 71.0), (6000, 111.0), (9000, 130.0), (12_000, 145.0)]
    events = judged(of_pack("generic-rain", GAUGE, JOINED), GAUGE, rows)
    assert brief(events)[0] == ("raised", "red", 9000)
    assert len(brief(events)) == 1, "and it holds at 03:20"


def test_rain_of_two_hours_makes_no_hour() -> None:
    text = (
        'levels = [{ level = "red", window_h = 6, sum = 60, and = [{ window_h = 1, sum = 50 }] }]'
    )
    for apart_s, level in ((3000, "red"), (3600, None), (4000, None)):
        rows = [(600, 0.0), (1200, 30.0), (600 + apart_s, 30.0), (1200 + apart_s, 60.0)]
        events = judged(of_pack("generic-rain", GAUGE, text), GAUGE, rows)
        assert ([e.level for e in events] or [None])[-1] == level


@pytest.mark.parametrize("stop", range(1, 8))
def test_an_hour_that_was_met_is_known_after_a_restart(stop: int) -> None:
    rule = of_pack("fujian-rain-signals", GAUGE, INLAND)
    state = Rain(rule, rule.law, GAUGE.name)
    out: list[Any] = []
    for n, (second, total) in enumerate(totals([51.0, 0, 0, 40.0, 0, 29.0], step_s=1800)):
        if n == stop:
            fresh = Rain(rule, rule.law, GAUGE.name)
            fresh.restore(json.loads(json.dumps(state.dump())))
            state = fresh
        state.settle(round(second * 1000), total, out)
    assert [(e.level, e.evidence["also"][0]["value"]) for e in out] == [("red", 51.0)]


def test_a_state_from_before_there_were_conjunctions_is_taken() -> None:
    rule = of_pack("cn-rain-signals", GAUGE)
    old, new, out = Rain(rule, rule.law, GAUGE.name), Rain(rule, rule.law, GAUGE.name), []
    old.settle(0, 100.0, out)
    new.restore(old.dump()[:6])
    new.settle(60_000, 150.0, out)
    assert [e.level for e in out] == ["orange"]


@pytest.mark.parametrize(
    ("sums", "colour"),
    [
        ((34.9, 54.9, 69.9, 99.9), "none"),
        ((35, 35, 35, 35), "blue"),
        ((44.9, 75, 75, 75), "yellow"),
        ((60, 60, 60, 60), "orange"),
        ((10, 40, 90, 200), "red"),
    ],
)
def test_the_jianghua_table_gives_the_hand_computed_colours(
    sums: tuple[float, ...], colour: str
) -> None:
    # The rain of each window that is not in the next shorter one, evenly over the rest of it.
    spans = ((23, 24), (21, 23), (18, 21), (0, 18))
    falls = [
        (start, end, round(more - less, 4))
        for (start, end), more, less in zip(spans, sums, (0, *sums), strict=False)
        if more > less
    ]
    assert top("generic-rain", jianghua(), falls) == colour


def test_the_jianghua_table_is_a_short_file() -> None:
    assert len(jianghua().splitlines()) <= 20
    assert len(of_pack("generic-rain", GAUGE, jianghua()).law.levels) == 16


def test_xiamen_2023_09_01_fifty_mm_in_an_hour_is_orange() -> None:
    # Houxi, Jimei, 03:31: yellow raised to orange after 50 mm in 1 h.
    falls = [0.2] * 20 + [50 / 60] * 60
    events = judged(of_pack("cn-rain-signals", GAUGE), GAUGE, totals(falls))
    settled = [row[:2] for row in brief(events)]
    assert settled == [("raised", "orange")], "any 50 mm within 3 h are orange at once"
    assert events[-1].evidence["value"] >= 50
    slower = [(float(n), 8.0) for n in range(1, 7)]  # 48 mm in 6 h before the storm
    rises = brief(judged_hours("cn-rain-signals", [*slower, (6.5, 4.0), (7.0, 50.0)]))
    assert [row[:2] for row in rises] == [("raised", "yellow"), ("upgraded", "orange")]


def judged_hours(pack: str, falls: list[tuple[float, float]]) -> Any:
    rows, total = [(0.0, 0.0)], 0.0
    for hour, mm in falls:
        total += mm
        rows += [(hour * 3600 - 60, total - mm), (hour * 3600, total)]
    return judged(of_pack(pack, GAUGE), GAUGE, rows)


def test_fuzhou_2023_09_05_the_hour_alone_is_orange_and_not_yet_red() -> None:
    # Chengmen: 88.6 mm in the past hour; red came of the 50 to 70 mm forecast for the next two.
    parameters = FUZHOU
    assert fuzhou(88.6, 88.6, parameters) == "orange"
    # Had the lower of the forecast amounts fallen, the published red would have been reached.
    later = [(0.5, 1.0, 88.6), (1.0, 3.0, 50.0)]
    assert top("fujian-rain-signals", parameters, later) == "red"


def test_prepare_and_move_are_the_packs_words_and_wet_ground_needs_less() -> None:
    rows = """levels = [
      { level = "prepare", window_h = 0.5, sum = 30, wetness = "normal" },
      { level = "prepare", window_h = 0.5, sum = 20, wetness = "wet" },
      { level = "prepare", window_h = 3, sum = 60 },
      { level = "move", window_h = 1, sum = 55, wetness = "normal" },
      { level = "move", window_h = 1, sum = 35, wetness = "wet" },
    ]"""
    wet = f'{rows}\nwetness = "wet"'
    falls = [(0.0, 0.25, 20.0)]
    pack = "flash-flood-prepare-move"
    assert (top(pack, rows, falls), top(pack, wet, falls)) == ("none", "prepare")
    falls += [(0.25, 0.9, 16.0)]
    assert (top(pack, rows, falls), top(pack, wet, falls)) == ("none", "move")
    assert refused(pack, GAUGE, f'{rows}\nwetness = "soaked"')[0] == "wetness"
    dry = rows.replace('"normal"', '"wet"').replace(
        '{ level = "prepare", window_h = 3, sum = 60 },', ""
    )
    assert refused(pack, GAUGE, dry) == ("levels", "list a level for normal")


@pytest.mark.parametrize(
    ("row", "key", "says"),
    [
        ("window_h = 3, sum = 5, over = 5", "levels[0].over", "not both"),
        ("window_h = 3", "levels[0].sum", "a number"),
        ("window_h = 3, over = 0", "levels[0].over", "at least 0.001 mm"),
        ("window_h = 3, sum = 0.0000001", "levels[0].sum", "at least 0.001 mm"),
        ("window_h = 0.0166, sum = 5", "levels[0].window_h", "a minute"),
        ("window_h = 3, sum = 5, and = 3", "levels[0].and", "list of tables"),
        ("window_h = 3, sum = 5, and = [{}]", "levels[0].and[0].window_h", "a number"),
        (
            "window_h = 3, sum = 5, and = [{ window_h = 30, sum = 5 }]",
            "levels[0].and[0].window_h",
            "at most 24",
        ),
        (
            "window_h = 3, sum = 5, and = [{ window_h = 1, sun = 5 }]",
            "levels[0].and[0].sun",
            "'sum'",
        ),
        (
            f"window_h = 3, sum = 5, and = [{'{ window_h = 1, sum = 5 },' * 5}]",
            "levels[0].and",
            "at most 4",
        ),
        ('window_h = 3, sum = 5, place = "coast"', "levels[0].place", "unknown key"),
    ],
)
def test_a_wrong_row_names_its_key(row: str, key: str, says: str) -> None:
    seen, remedy = refused("generic-rain", GAUGE, f'levels = [{{ level = "red", {row} }}]')
    assert (seen, says in remedy) == (key, True), remedy


def test_a_word_that_no_site_has_is_refused() -> None:
    row = '[{ level = "blue", window_h = 1, sum = 5, place = "harbour" }]'
    seen, remedy = refused("fujian-rain-signals", GAUGE, INLAND.replace("[]", row))
    assert (seen, remedy) == ("levels[0].place", "write one of inland, coast")


def test_another_unit_and_another_quantity_are_refused() -> None:
    row = 'levels = [{ level = "red", window_h = 3, sum = 5 }]'
    assert refused("generic-rain", GAUGE, f'{row}\nunit = "kPa"')[0] == "levels[0].sum"
    assert "rain_total" in refused("generic-rain", RIVER, row)[1]


def test_history_reaches_over_every_window_of_a_conjunction() -> None:
    row = "{ window_h = 24, sum = 9 }"
    law = of_pack(
        "generic-rain",
        GAUGE,
        f'levels = [{{ level = "red", window_h = 1, sum = 5, and = [{row}] }}]',
    ).law
    assert span_ms(law) == (24 + 25.2 + 1) * HOUR_MS


PAIRS = """levels = [
  { level = "blue", window_h = 1, sum = 10, and = [{ window_h = 6, over = 30 }] },
  { level = "blue", window_h = 12, sum = 60 },
  { level = "red", window_h = 3, over = 50, and = [
    { window_h = 1, sum = 20 }, { window_h = 12, sum = 70 },
  ] },
]"""
TABLE = [
    (1, [(1, 10, False), (6, 30, True)]),
    (1, [(12, 60, False)]),
    (2, [(3, 50, True), (1, 20, False), (12, 70, False)]),
]


Falling = list[tuple[int, int, int]]  # time ms, mm, gap ms


def sum_of(hours: int, falls: Falling, start_ms: int, end_ms: int) -> int:
    length = hours * HOUR_MS
    start_ms = max(start_ms, end_ms - length)
    return sum(
        mm for ms, mm, gap in falls if start_ms < ms <= end_ms and gap <= length + length // 20
    )


def met(needs: list[tuple[int, int, bool]], falls: Falling) -> bool:
    """Tell whether conditions hold after the newest fall; a shorter one at any hour within."""
    now, lead_h = falls[-1][0], needs[0][0]
    return all(
        any(
            sum_of(hours, falls, now - max(hours, lead_h) * HOUR_MS, end) > mm - (not over)
            for end, _, _ in falls
            if end == now or hours < lead_h
        )
        for hours, mm, over in needs
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([60, 900, 3600, 7200]), st.integers(0, 25)), max_size=60))
def test_and_and_or_are_the_plain_words(rows: list[tuple[int, int]]) -> None:
    rule = of_pack("generic-rain", GAUGE, PAIRS)
    state, out, now, total = Rain(rule, rule.law, GAUGE.name), [], 0, 0
    state.settle(0, 0.0, out)
    falls: list[tuple[int, int, int]] = []
    expected, rank, wet_ms = [], 0, 0
    for wait_s, mm in rows:
        now, total = now + wait_s * 1000, total + mm
        falls.append((now, mm, wait_s * 1000))
        wet_ms = now if mm else wet_ms
        state.settle(now, float(total), out)
        holds = max((level for level, needs in TABLE if met(needs, falls)), default=0)
        if holds > rank or (holds < rank and now - wet_ms >= HOUR_MS):
            expected.append((now, holds))
            rank = holds
    assert [(e.time_ms, e.rank) for e in out] == expected
