"""What each rule can say now: a rule that warms up, misfits or says nothing is no all-clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.jointbook import NESTED, PLACES, QUIET, RIVERS, VOTE, rules, scene
from rig.jointbook import RIVER as RIVER_RULE
from rig.packbook import GAUGE, RIVER, of_pack
from rig.rulebook import FOUR, GATEWAY, bound, fold_of, ladder, place, prompt, reading, timeline
from rig.rulebook import play as played

from egret_core.entries import ChannelMeta
from egret_core.rules import standings
from egret_core.rules.model import Family
from egret_core.rules.standings import counted, is_blind, standings_of, unable
from egret_core.rules.step import Change, Facts, Fold, Receipt, Tick, step

if TYPE_CHECKING:
    from egret_core.rules.channel import Channel
    from egret_core.rules.second import Second

LEVEL = bound(ladder(*FOUR), Family.LEVEL, RIVER)
RISE = of_pack("generic-rate-of-rise", RIVER, 'unit="m/h"\nlevels=[{level="a",raise=0.5}]\n')
SOIL = of_pack("jma-soil-water", GAUGE, 'levels=[{level="a",raise=80}]\n')


def channels(fold: Fold) -> list[Channel]:
    return [one for here in fold.channels.values() for one in here.values()]


def test_a_level_can_judge_at_once_and_an_index_when_it_is_warm() -> None:
    fold = fold_of([RIVER, GAUGE], [LEVEL, RISE, SOIL])
    assert standings_of(fold.channels["st1"]["wl"], fold.second) == {
        LEVEL.name: "ok",
        RISE.name: "warming_up",
    }
    assert unable(channels(fold), fold.second) == {
        "st1/wl": {RISE.name: "warming_up"},
        "st1/rn": {SOIL.name: "warming_up"},
    }
    assert counted(channels(fold), fold.second) == {
        "ok": 1,
        "warming_up": 2,
        "not_applicable": 0,
        "invalid": 0,
        "inputs_missing": 0,
    }
    played(fold, timeline(prompt(reading(300 * n, 1.0, RIVER) for n in range(30))))
    assert standings_of(fold.channels["st1"]["wl"], fold.second) == {
        LEVEL.name: "ok",
        RISE.name: "ok",
    }
    assert unable(channels(fold), fold.second) == {"st1/rn": {SOIL.name: "warming_up"}}


def test_no_rule_of_a_channel_that_does_not_fit_can_judge() -> None:
    fold = fold_of([RIVER], [LEVEL, RISE])
    step(fold, Facts(GATEWAY, [ChannelMeta("st1", "wl", "water_level", "m", "Yellow Sea")]))
    words = standings_of(fold.channels["st1"]["wl"], fold.second)
    assert words == {LEVEL.name: "invalid", RISE.name: "invalid"}
    assert is_blind({"wl": words})


def test_what_is_shown_has_a_limit_and_what_is_counted_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standings, "SHOWN_MAX", 2)
    gauges = [place("rn", "rain_total", f"st{n}") for n in range(5)]
    rules = [of_pack("jma-soil-water", one, 'levels=[{level="a",raise=80}]\n') for one in gauges]
    fold = fold_of(gauges, rules)
    assert sorted(unable(channels(fold), fold.second)) == ["st0/rn", "st1/rn"]
    assert counted(channels(fold), fold.second)["warming_up"] == 5


def test_a_centre_is_asked_often_so_nobody_lists_the_rules_of_what_can_surely_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def listed(channel: Channel, second: Second) -> dict[str, str]:
        asked.append(channel.place.name)
        return standings_of(channel, second)

    monkeypatch.setattr(standings, "standings_of", listed)
    fold = fold_of([RIVER, GAUGE], [LEVEL, SOIL])
    assert counted(channels(fold), fold.second)["ok"] == 1
    assert unable(channels(fold), fold.second) == {"st1/rn": {SOIL.name: "warming_up"}}
    assert asked == ["st1/rn", "st1/rn"]
    step(fold, Facts(GATEWAY, [ChannelMeta("st1", "wl", "water_level", "m", "Yellow Sea")]))
    assert counted(channels(fold), fold.second) == {
        "ok": 0,
        "warming_up": 1,
        "not_applicable": 0,
        "invalid": 1,
        "inputs_missing": 0,
    }
    assert sorted(unable(channels(fold), fold.second)) == ["st1/rn", "st1/wl"]


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


CALM = scene(*QUIET, until=1200)


def words(fold: Fold, rule: str, station: str = "st1", channel: str = "wl") -> str | None:
    found = standings_of(fold.channels[station][channel], fold.second)
    return {name.partition("@")[0]: word for name, word in found.items()}.get(rule)


def test_a_joint_rule_stands_on_every_channel_under_it() -> None:
    fold = fold_of(PLACES, rules(VOTE, RIVER_RULE))
    played(fold, CALM)
    assert [words(fold, "vote", station) for station in ("st1", "st2", "st3")] == ["ok"] * 3
    assert words(fold, "vote", "st4") is None
    assert words(fold, "vote", "st1", "rn") is None
    assert counted(channels(fold), fold.second)["ok"] == 4 + 3


def test_before_anything_was_heard_a_joint_rule_has_no_inputs() -> None:
    fold = fold_of(PLACES, rules(VOTE, RIVER_RULE))
    assert words(fold, "vote") == "inputs_missing"
    assert unable(channels(fold), fold.second)["st1/wl"] == dict.fromkeys(
        (fold.second.verdicts[0].rule,), "inputs_missing"
    )


def test_one_silent_input_is_enough_and_its_return_ends_it() -> None:
    fold = fold_of(PLACES, rules(VOTE, RIVER_RULE))
    played(fold, CALM)
    rest = [
        item
        for item in scene(*QUIET, until=4000)
        if not isinstance(item, Receipt) or item.readings[0].station != "st2"
    ]
    played(fold, rest[len(CALM) :])
    assert [words(fold, "vote", station) for station in ("st1", "st2")] == ["inputs_missing"] * 2
    assert words(fold, "river") == "ok", "what stands below is judged as before"
    back = [
        Receipt(GATEWAY, one.time_ms + 500, [one])
        for one in (reading(4300 + 60 * n, 1.0, river) for n in range(6) for river in RIVERS)
    ]
    played(fold, [*back, *(Tick(back[-1].received_ms + 10_000 * n) for n in range(1, 30))])
    assert words(fold, "vote") == "ok"


def test_an_input_that_cannot_judge_is_unknown_to_all_above_it() -> None:
    fold = fold_of(PLACES, rules(NESTED))
    rain = [
        Receipt(GATEWAY, one.received_ms, [reading(60 * n, 100.0, gauge)])
        for n, one in enumerate(item for item in CALM if isinstance(item, Receipt))
        for gauge in PLACES
        if gauge.name in ("st1/rn", "st2/rn") and 60 * n < 1200
    ]
    played(fold, sorted([*CALM, *rain], key=when))
    assert (words(fold, "vote"), words(fold, "top"), words(fold, "top", "st1", "rn")) == ("ok",) * 3
    step(fold, Facts(GATEWAY, [ChannelMeta("st2", "wl", "water_level", "m", "Yellow Sea")]))
    step(fold, Tick(when(CALM[-1]) + 10_000))
    assert words(fold, "river", "st2") == "invalid"
    assert [words(fold, rule) for rule in ("river", "vote", "top")] == [
        "ok",
        "inputs_missing",
        "inputs_missing",
    ]


def test_a_rule_that_warms_up_below_makes_the_one_above_it_know_too_little() -> None:
    text = (
        RIVER_RULE
        + """
[[rule]]
id = "rise"
pack = "generic-rate-of-rise"
channels = ["st1/wl"]
parameters = { unit = "m/h", levels = [{ level = "blue", raise = 0.5 }], window_s = 3600 }
"""
    )
    both = """
[[rule]]
id = "either"
pack = "generic-vote"
inputs = [{ rule = "river", channels = ["st1/wl"] }, { rule = "rise" }]
parameters = { need = 1, levels = ["blue"] }
"""
    fold = fold_of(PLACES, rules(both, text))
    played(fold, CALM)
    assert (words(fold, "rise"), words(fold, "either")) == ("warming_up", "inputs_missing")
    played(fold, scene(*QUIET, until=7200)[len(CALM) :])
    assert (words(fold, "rise"), words(fold, "either")) == ("ok", "ok")


def test_joint_rules_that_are_gone_stand_nowhere() -> None:
    fold = fold_of(PLACES, rules(VOTE, RIVER_RULE))
    assert words(fold, "vote") == "inputs_missing"
    step(fold, Change(PLACES, rules("", RIVER_RULE), CALM[-1].now_ms))  # type: ignore[union-attr]
    assert words(fold, "vote") is None


def when(item: object) -> int:
    return int(getattr(item, "now_ms", 0) or getattr(item, "received_ms", 0))
