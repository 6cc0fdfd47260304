"""A rain window that its gauge is read too rarely for can never hold: the rule says so."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rig.packbook import of_pack
from rig.rulebook import (
    FOUR,
    GATEWAY,
    SIGNALS,
    START_MS,
    at,
    bound,
    brief,
    fold_of,
    ladder,
    place,
    play,
    prompt,
    rain,
    reading,
    timeline,
)

from egret_core.entries import ChannelMeta
from egret_core.rules.model import Family
from egret_core.rules.short_windows import is_too_short, too_short_ms
from egret_core.rules.standings import counted, deaf, standings_of, unable
from egret_core.rules.step import Change, Facts, Fold, step

HOUR_MS = 3_600_000
GAUGE = place("rn", "rain_total")
HOURLY = bound(rain(("blue", 1, 1, 20), ("red", 2, 3, 50)), Family.RAIN, GAUGE)


def told(period_s: float) -> Facts:
    """The gateway's word on how often it reads the gauge."""
    return Facts(GATEWAY, [ChannelMeta("st1", "rn", "rain_total", "mm", period_s=period_s)])


def standing(fold: Fold) -> str:
    return standings_of(fold.channels["st1"]["rn"], fold.second)[HOURLY.name]


@pytest.mark.parametrize(
    ("period_s", "short"),
    [(0.0, False), (60.0, False), (3600.0, False), (3780.0, False), (3780.1, True), (7200.0, True)],
)
def test_an_hour_reaches_a_twentieth_further(period_s: float, *, short: bool) -> None:
    assert is_too_short(HOUR_MS, period_s) is short


def test_the_windows_of_a_law_are_named_shortest_first_and_those_of_a_condition_too() -> None:
    law = rain(*SIGNALS)
    assert too_short_ms(law, 6 * 3600) == [3 * HOUR_MS]
    assert too_short_ms(law, 86_400) == [3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS]
    assert too_short_ms(law, 0) == []
    table = 'levels=[{level="red",window_h=3,sum=50,and=[{window_h=1,over=20}]}]\n'
    assert too_short_ms(of_pack("generic-rain", GAUGE, table).law, 7200) == [HOUR_MS]
    assert too_short_ms(ladder(*FOUR), 86_400) == []


def test_what_it_says_is_so_no_rain_is_ever_in_that_window() -> None:
    fold = fold_of([GAUGE], [HOURLY])
    step(fold, told(7200))
    rows = [reading(7200 * n, 100.0 + 40.0 * n, GAUGE) for n in range(12)]  # 20 mm/h, for a day
    events = play(fold, timeline(prompt(rows)))
    assert "blue" not in [level for _, level, _ in brief(events)]
    assert standing(fold) == "invalid"


def test_the_gateway_s_word_makes_the_rule_invalid_and_ok_again() -> None:
    fold = fold_of([GAUGE], [HOURLY])
    assert standing(fold) == "ok"  # nobody has told
    step(fold, told(7200))
    assert standing(fold) == "invalid"
    channels = [fold.channels["st1"]["rn"]]
    assert unable(channels, fold.second) == {"st1/rn": {HOURLY.name: "invalid"}}
    assert counted(channels, fold.second)["invalid"] == 1
    step(fold, told(600))
    assert standing(fold) == "ok"


def test_the_catalogue_s_word_counts_where_the_gateway_tells_nothing() -> None:
    slow = replace(GAUGE, period_s=7200.0)
    fold = fold_of([slow], [HOURLY])
    assert standing(fold) == "invalid"
    step(fold, told(0))
    assert standing(fold) == "invalid"
    step(fold, told(60))
    assert standing(fold) == "ok"


def test_the_other_windows_go_on_and_other_rules_are_not_touched() -> None:
    level = bound(ladder(("blue", 150.0, 140.0)), Family.LEVEL, GAUGE)
    fold = fold_of([GAUGE], [HOURLY, level])
    step(fold, told(7200))
    assert deaf(fold.channels["st1"]["rn"]) == [HOURLY.name]
    assert standings_of(fold.channels["st1"]["rn"], fold.second)[level.name] == "ok"
    rows = [reading(7200 * n, 100.0 + 60.0 * n, GAUGE) for n in range(3)]
    said = brief(play(fold, timeline(prompt(rows))))
    assert ("raised", "red", 7200) in said


def test_it_is_known_after_a_restart_and_an_older_state_tells_nothing() -> None:
    fold = fold_of([GAUGE], [HOURLY])
    step(fold, told(7200))
    state = {key: value for key, value in fold.changed().items() if value is not None}
    again = Fold()
    step(again, Change([GAUGE], [HOURLY], 0))
    again.restore(state)
    assert standing(again) == "invalid"
    body = json.loads(state["channel/st1/rn"])
    body["told"] = body["told"][:3]
    older = Fold()
    step(older, Change([GAUGE], [HOURLY], 0))
    older.restore({**state, "channel/st1/rn": json.dumps(body).encode()})
    assert standing(older) == "ok"


def test_a_channel_that_warms_up_knows_what_was_told_before() -> None:
    fold = fold_of([], [])
    step(fold, Change([GAUGE], [HOURLY], START_MS + 1000))
    (warmup,) = fold.cold
    warmup.learn(told(7200).channels[0])
    warmup.begin()
    warmup.feed([reading(-7200, 100.0, GAUGE)])
    warmup.end()
    fold.warmed(at(1))
    assert standing(fold) == "invalid"
