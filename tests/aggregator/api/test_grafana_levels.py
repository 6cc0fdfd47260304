"""Levels of rules as rows: joined windows, two silences, feeds, indices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rig.packbook import GAUGE, PACKS, RIVER, of_pack

from egret_aggregator.api.grafana_thresholds import levels
from egret_core.rules.binding import bind


def told(pack: str, on: Any, parameters: str, *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(row.get(k) for k in keys) for row in levels(of_pack(pack, on, parameters))]


def test_joined_windows_say_what_else_must_hold() -> None:
    rows = told(
        "fujian-rain-signals",
        GAUGE,
        'place = "coast"\nlevels = []',
        *("level", "window_h", "raise", "also"),
    )
    assert rows == [
        ("red", 3.0, 120.0, "1 h > 50 mm"),
        ("red", 6.0, 180.0, None),
        ("red", 12.0, 220.0, None),
    ]


def test_flood_levels_are_rows_of_a_ladder() -> None:
    text = 'unit = "m"\ndatum = "Local"\nwarning = 15\nguaranteed = 16\nhighest = 18'
    rows = told("cn-flood-levels", RIVER, text, "family", "level", "raise", "clear", "datum")
    assert rows[0] == ("flood", "blue", 14.5, 14.4, "Local")
    assert [row[1] for row in rows] == ["blue", "yellow", "orange", "red"]


def test_an_index_says_which_one_it_is() -> None:
    text = 'unit = "m/h"\nlevels = [{ level = "fast", raise = 0.5 }]'
    rows = told("generic-rate-of-rise", RIVER, text, "level", "raise", "unit", "index")
    assert rows == [("fast", 0.5, "m/h", "rate_of_rise")]


def test_a_silence_of_a_feed_has_two_levels_and_a_place_of_its_own() -> None:
    fed = replace(RIVER, gateway="feed:hydrology")
    text = '[[rule]]\nid = "r"\npack = "absence"\nchannels = ["feed:hydrology"]\n'
    (rule,) = bind(text, "rules.toml", PACKS, {("st1", "wl"): fed})
    rows = [(r["station"], r["channel"], r["level"], r["raise"]) for r in levels(rule)]
    assert rows == [("feed", "hydrology", "fault", 600.0), ("feed", "hydrology", "alarm", 3600.0)]
