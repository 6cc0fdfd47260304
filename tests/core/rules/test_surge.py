"""The tide taken out of the sea: a level that is only tide leaves nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import cos, radians
from pathlib import Path
from typing import Any

import pytest
from rig.packbook import bound_to, refusal
from rig.rulebook import GATEWAY, fold_of, play, prompt, timeline

from egret_core.errors import ConfigError
from egret_core.reading import Reading
from egret_core.rules.event import ConditionEvent, Phase
from egret_core.rules.index import Standing
from egret_core.rules.model import BoundRule, ChannelPlace, IndexLaw
from egret_core.rules.surge import MS_PER_D, MS_PER_H, Constituent, Surge, Tide

EPOCH_MS = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
M2 = Constituent("M2", 1.8, 28.984104, 12.5)
K1 = Constituent("K1", 0.3, 15.041069, 301.0)
SEA = ChannelPlace("xm", "wl", "water_level", "m", "Yellow Sea", GATEWAY, 30.0)
RULE = """
    [[rule]]
    id = "surge"
    pack = "surge-residual"
    channels = ["xm/wl"]
    [rule.parameters]
    datum = "Yellow Sea"
    mean = 0.2
    epoch = "2026-01-01T08:00:00+08:00"
    constituents = [
      { name = "M2", amplitude = 1.8, speed_deg_per_h = 28.984104, phase_deg = 12.5 },
      { name = "K1", amplitude = 0.3, speed_deg_per_h = 15.041069, phase_deg = 301.0 },
    ]
    levels = [
      { level = "blue", raise = 0.4, clear = 0.3 },
      { level = "yellow", raise = 0.8, clear = 0.7 },
    ]
"""


def tide(*constituents: Constituent, mean_m: float = 0.0, valid_d: float = 400) -> Tide:
    return Tide(EPOCH_MS, round(valid_d * MS_PER_D), mean_m, constituents)


def bound(text: str = RULE, on: ChannelPlace = SEA) -> BoundRule:
    return bound_to(text, on)[0]


def test_one_cosine_alone_leaves_nothing() -> None:
    surge = Surge(tide(M2))
    for minute in range(0, 60 * 24 * 60, 7):
        time_ms = EPOCH_MS + minute * 60_000
        level = 1.8 * cos(radians(28.984104 * minute / 60 - 12.5))
        assert surge.take(time_ms, level) == pytest.approx(0, abs=1e-9)
        assert surge.standing is Standing.OK


def test_by_hand_at_the_epoch_and_a_quarter_turn_on() -> None:
    quarter = Constituent("quarter", 2.0, 30.0, 0.0)  # 12 h a turn
    one = tide(quarter, mean_m=5.0)
    assert one.level_m(EPOCH_MS) == pytest.approx(7.0)
    assert one.level_m(EPOCH_MS + 3 * MS_PER_H) == pytest.approx(5.0)
    assert one.level_m(EPOCH_MS + 6 * MS_PER_H) == pytest.approx(3.0)
    assert one.level_m(EPOCH_MS - 12 * MS_PER_H) == pytest.approx(7.0)


def test_what_is_left_is_the_surge_and_its_evidence_adds_up() -> None:
    surge = Surge(tide(M2, K1, mean_m=0.2))
    at = EPOCH_MS + 1000 * MS_PER_H
    predicted = tide(M2, K1, mean_m=0.2).level_m(at)
    assert surge.take(at, predicted + 0.55) == pytest.approx(0.55)
    evidence = surge.evidence()
    assert evidence["level_m"] - evidence["predicted_m"] == pytest.approx(0.55, abs=1e-4)


def test_far_from_its_epoch_the_table_is_invalid_and_nothing_is_judged() -> None:
    surge = Surge(tide(M2, valid_d=400))
    assert surge.take(EPOCH_MS + 400 * MS_PER_D, 9.0) is not None
    for day in (401, -401):
        assert surge.take(EPOCH_MS + day * MS_PER_D, 9.0) is None
        assert surge.standing is Standing.INVALID
    again = Surge(tide(M2))
    again.restore(json.loads(json.dumps(surge.dump())))
    assert again.standing is Standing.INVALID


def storm(rule: BoundRule) -> list[ConditionEvent]:
    """A surge of up to 0.9 m over the tide, 10 h long."""
    rows = []
    predicted = tide(M2, K1, mean_m=0.2)
    for n in range(24 * 12):
        at = EPOCH_MS + n * 300_000
        surge_m = max(0.0, 0.9 * (1 - abs(n - 144) / 60))
        rows.append(Reading("xm", "wl", at, round(predicted.level_m(at) + surge_m, 3)))
    return play(fold_of([SEA], [rule], EPOCH_MS), timeline(prompt(rows), ticks=False))


def test_levels_rise_with_the_surge_whatever_the_tide_does() -> None:
    events = storm(bound())
    said = [(str(e.change), e.level) for e in events if e.phase is Phase.SETTLED]
    assert said == [("raised", "blue"), ("upgraded", "yellow"), ("eased", "blue"), ("returned", "")]
    first = events[0].evidence
    assert (first["index"], first["unit"], first["threshold"]) == ("surge_residual", "m", 0.4)
    assert first["value"] == pytest.approx(first["level_m"] - first["predicted_m"], abs=1e-3)
    assert "datum" not in first


def test_the_same_table_in_feet_is_the_same_rule() -> None:
    feet = RULE.replace("datum =", 'unit = "ft"\n    datum =')
    for metres in ("0.2\n", "1.8,", "0.3,", "0.4,", "0.3 }", "0.8,", "0.7 }"):
        number = metres.rstrip("\n, }")
        feet = feet.replace(f"= {metres}", f"= {float(number) / 0.3048!r}{metres[len(number) :]}")
    said = [(e.level, e.time_ms) for e in storm(bound(feet))]
    assert said == [(e.level, e.time_ms) for e in storm(bound())]


@pytest.mark.parametrize(
    ("change", "key", "remedy"),
    [
        (('"2026-01-01T08:00:00+08:00"', '"2026-01-01T08:00:00"'), "epoch", "offset"),
        (('"2026-01-01T08:00:00+08:00"', '"New Year"'), "epoch", "offset"),
        (('name = "K1"', 'name = "M2"'), "constituents[1].name", "once"),
        (("amplitude = 0.3", "amplitude = -0.3"), "constituents[1].amplitude", "at least 0"),
        (("amplitude = 0.3", "amplitude = 10.1"), "constituents[1].amplitude", "at most 10 m"),
        (("15.041069", "360.1"), "constituents[1].speed_deg_per_h", "at most 360"),
        (("phase_deg = 12.5", 'phase_deg = "G"'), "constituents[0].phase_deg", "number"),
        (("phase_deg = 12.5", "phase_deg = 1, nodal = 1"), "constituents[0].nodal", "unknown key"),
        (('datum = "Yellow Sea"', 'datum = "Luoling"'), "datum", "Yellow Sea"),
        (("clear = 0.3", "clear = 0.5"), "levels[0].clear", "at most the raise"),
        (("mean = 0.2", 'unit = "kPa"\n    mean = 0.2'), "mean", "kPa"),
        (("mean = 0.2", "valid_d = 0"), "valid_d", "at least 1"),
    ],
)
def test_a_bad_table_is_refused_by_key_with_a_remedy(
    change: tuple[str, str], key: str, remedy: str
) -> None:
    with refusal(key, remedy):
        bound(RULE.replace(*change))


@pytest.mark.parametrize("rows", ["[]", f"[{'{}, ' * 129}]"])
def test_no_constituent_and_too_many_are_refused(rows: str) -> None:
    head, _, tail = RULE.partition("constituents = [")
    text = f"{head}constituents = {rows}{tail[tail.index(']') + 1 :]}"
    with pytest.raises(ConfigError, match="1 to 128"):
        bound(text)


def test_the_example_of_the_page_is_a_rule() -> None:
    page = (Path(__file__).parents[3] / "docs/operator/rules.md").read_text()
    (example,) = [
        text for text in page.split("```") if text.startswith("toml") and "surge-residual" in text
    ]
    law = bound(example.removeprefix("toml").replace("pier/wl", "xm/wl")).law
    assert isinstance(law, IndexLaw)
    assert (law.name, law.ladder.datum) == ("surge_residual", "")


def test_only_a_level_has_a_tide() -> None:
    parts: dict[str, Any] = {"quantity": "pore_pressure", "unit": "kPa"}
    rock = ChannelPlace("xm", "wl", datum="Yellow Sea", gateway=GATEWAY, **parts)
    with pytest.raises(ConfigError, match="pore_pressure"):
        bound(on=rock)
