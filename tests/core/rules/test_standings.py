"""What each rule can say now: a rule that warms up, misfits or says nothing is no all-clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.packbook import GAUGE, RIVER, of_pack
from rig.rulebook import FOUR, GATEWAY, bound, fold_of, ladder, place, prompt, reading, timeline
from rig.rulebook import play as played

from egret_core.entries import ChannelMeta
from egret_core.rules import standings
from egret_core.rules.model import Family
from egret_core.rules.standings import counted, is_blind, standings_of, unable
from egret_core.rules.step import Facts, step

if TYPE_CHECKING:
    from egret_core.rules.channel import Channel
    from egret_core.rules.step import Fold

LEVEL = bound(ladder(*FOUR), Family.LEVEL, RIVER)
RISE = of_pack("generic-rate-of-rise", RIVER, 'unit="m/h"\nlevels=[{level="a",raise=0.5}]\n')
SOIL = of_pack("jma-soil-water", GAUGE, 'levels=[{level="a",raise=80}]\n')


def channels(fold: Fold) -> list[Channel]:
    return [one for here in fold.channels.values() for one in here.values()]


def test_a_level_can_judge_at_once_and_an_index_when_it_is_warm() -> None:
    fold = fold_of([RIVER, GAUGE], [LEVEL, RISE, SOIL])
    assert standings_of(fold.channels["st1"]["wl"]) == {LEVEL.name: "ok", RISE.name: "warming_up"}
    assert unable(channels(fold)) == {
        "st1/wl": {RISE.name: "warming_up"},
        "st1/rn": {SOIL.name: "warming_up"},
    }
    assert counted(channels(fold)) == {
        "ok": 1,
        "warming_up": 2,
        "not_applicable": 0,
        "invalid": 0,
    }
    played(fold, timeline(prompt(reading(300 * n, 1.0, RIVER) for n in range(30))))
    assert standings_of(fold.channels["st1"]["wl"]) == {LEVEL.name: "ok", RISE.name: "ok"}
    assert unable(channels(fold)) == {"st1/rn": {SOIL.name: "warming_up"}}


def test_no_rule_of_a_channel_that_does_not_fit_can_judge() -> None:
    fold = fold_of([RIVER], [LEVEL, RISE])
    step(fold, Facts(GATEWAY, [ChannelMeta("st1", "wl", "water_level", "m", "Yellow Sea")]))
    words = standings_of(fold.channels["st1"]["wl"])
    assert words == {LEVEL.name: "invalid", RISE.name: "invalid"}
    assert is_blind({"wl": words})


def test_what_is_shown_has_a_limit_and_what_is_counted_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standings, "SHOWN_MAX", 2)
    gauges = [place("rn", "rain_total", f"st{n}") for n in range(5)]
    rules = [of_pack("jma-soil-water", one, 'levels=[{level="a",raise=80}]\n') for one in gauges]
    fold = fold_of(gauges, rules)
    assert sorted(unable(channels(fold))) == ["st0/rn", "st1/rn"]
    assert counted(channels(fold))["warming_up"] == 5


def test_a_centre_is_asked_often_so_nobody_lists_the_rules_of_what_can_surely_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def listed(channel: Channel) -> dict[str, str]:
        asked.append(channel.place.name)
        return standings_of(channel)

    monkeypatch.setattr(standings, "standings_of", listed)
    fold = fold_of([RIVER, GAUGE], [LEVEL, SOIL])
    assert counted(channels(fold))["ok"] == 1
    assert unable(channels(fold)) == {"st1/rn": {SOIL.name: "warming_up"}}
    assert asked == ["st1/rn", "st1/rn"]
    step(fold, Facts(GATEWAY, [ChannelMeta("st1", "wl", "water_level", "m", "Yellow Sea")]))
    assert counted(channels(fold)) == {
        "ok": 0,
        "warming_up": 1,
        "not_applicable": 0,
        "invalid": 1,
    }
    assert sorted(unable(channels(fold))) == ["st1/rn", "st1/wl"]


@pytest.mark.parametrize(
    ("words", "blind"),
    [
        ({}, False),
        ({"wl": {}}, False),
        ({"wl": {"a@1": "ok"}, "rn": {"b@1": "invalid"}}, False),
        ({"wl": {}, "rn": {"b@1": "warming_up"}}, True),
        ({"wl": {"a@1": "not_applicable"}, "rn": {"b@1": "invalid"}}, True),
    ],
)
def test_a_station_is_blind_where_it_has_rules_and_none_can_judge(
    words: dict[str, dict[str, str]], *, blind: bool
) -> None:
    assert is_blind(words) is blind
