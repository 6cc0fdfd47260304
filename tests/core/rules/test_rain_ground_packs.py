"""Packs of storms and wet ground as a user binds them, and what they refuse."""

from __future__ import annotations

import pytest
from rig.packbook import GAUGE, PACKS, RIVER, bound_to
from rig.rulebook import GATEWAY, HOUR_MS, fold_of, reading

from egret_core.errors import ConfigError
from egret_core.rules.model import BoundRule, IndexLaw
from egret_core.rules.step import Receipt, step

LEVELS = 'levels = [{ level = "red", raise = 100 }]'
OURS = 'source = "the region"\ndmin_h = 1\ndmax_h = 100\n'
CURVES = OURS + 'curves = [{ level = "blue", a = 5, b = 0.5 }, { level = "red", a = 9, b = 0.5 }]'


def bound(pack: str, parameters: str = "", channel: str = "st1/rn") -> BoundRule:
    text = f'[[rule]]\nid = "x"\npack = "{pack}"\nchannels = ["{channel}"]\n'
    (rule,) = bound_to(f"{text}[rule.parameters]\n{parameters}", GAUGE, RIVER)
    return rule


def law(pack: str, parameters: str = "") -> IndexLaw:
    found = bound(pack, parameters).law
    assert isinstance(found, IndexLaw)
    return found


NEEDS = {
    "caine-1980": "",
    "usgs-seattle-intensity-duration": "",
    "generic-intensity-duration": CURVES,
    "usgs-seattle-p3-p15": "",
    "usgs-seattle-wetness": "utc_offset_h = -8",
    "generic-api": f"k_day = 0.85\n{LEVELS}",
    "jma-effective-rainfall": LEVELS,
    "jma-soil-water": LEVELS,
}


@pytest.mark.parametrize("pack", NEEDS)
def test_each_pack_binds_warms_up_and_is_cited(pack: str) -> None:
    rule = bound(pack, NEEDS[pack])
    assert isinstance(rule.law, IndexLaw)
    assert rule.law.of_total
    assert 0 < rule.law.span_ms <= 40 * 24 * HOUR_MS
    assert rule.hazard == "slope"
    assert len(rule.citation) > 20
    assert rule.law.make().take(0, 0) is None


@pytest.mark.parametrize("pack", NEEDS)
def test_no_pack_takes_a_channel_that_is_no_rain_total(pack: str) -> None:
    with pytest.raises(ConfigError, match="rain_total"):
        bound(pack, NEEDS[pack], "st1/wl")


def test_what_was_not_read_is_said_to_be_so() -> None:
    for pack in ("caine-1980", "usgs-seattle-intensity-duration", "usgs-seattle-p3-p15"):
        assert "not read" in PACKS[pack].citation
    assert not any("innes" in pack or "guzzetti" in pack for pack in PACKS)


def test_no_pack_of_rain_alone_ships_a_red() -> None:
    for pack in ("caine-1980", "usgs-seattle-intensity-duration", "usgs-seattle-p3-p15"):
        assert [rung.label for rung in law(pack).ladder.rungs] == ["orange"]


def test_of_curves_each_is_a_level() -> None:
    ladder = law("generic-intensity-duration", CURVES).ladder
    assert [(rung.label, rung.raise_at) for rung in ladder.rungs] == [("blue", 1), ("red", 2)]
    assert ladder.unit == "curves"


NOTHING = LEVELS.replace("100", "0")
BELOW = LEVELS.replace("100", "-1")
NO_CLEAR = LEVELS.replace("100", "9, clear = 0")
DAY = 'starts_at = "08:00"\nutc_offset = "+08:00"\n'
WRONG = [
    *(
        (pack, f"{more}{levels}", f"levels[0].{key}", "more than 0")
        for pack, more in (
            ("generic-api", "k_day = 0.85\n"),
            ("jma-effective-rainfall", ""),
            ("jma-soil-water", ""),
            ("usgs-seattle-p3-p15", ""),
            ("caine-1980", ""),
            ("cn-rain-grades", DAY),
        )
        for levels, key in ((NOTHING, "raise"), (BELOW, "raise"), (NO_CLEAR, "clear"))
    ),
    (
        "usgs-seattle-wetness",
        'utc_offset_h = 0\nlevels = [{ level = "red", raise = -0.18 }]',
        "levels[0].raise",
        "never drier",
    ),
    ("caine-1980", "a = 15", "parameters.a", "fixes it"),
    ("usgs-seattle-intensity-duration", "dmin_h = 56", "dmax_h", "dmin_h < dmax_h"),
    ("usgs-seattle-intensity-duration", "dmax_h = 61", "dmax_h", "at most 60"),
    ("usgs-seattle-intensity-duration", 'counting = "days"', "counting", "clock, readings"),
    ("generic-intensity-duration", OURS, "curves", "needs it"),
    ("generic-intensity-duration", CURVES.replace("the region", " "), "source", "name where"),
    ("generic-intensity-duration", CURVES.replace('source = "the region"', ""), "source", "needs"),
    ("generic-intensity-duration", CURVES.replace("a = 9", "a = 4"), "curves[1].a", "lowest up"),
    (
        "generic-intensity-duration",
        CURVES.replace("a = 9, b = 0.5", "a = 9, b = 0.9"),
        "curves[1].a",
        "may cross",
    ),
    ("generic-intensity-duration", CURVES.replace("a = 5", "a = 0"), "curves[0].a", "more than 0"),
    (
        "generic-intensity-duration",
        CURVES.replace("b = 0.5 }]", "b = -1 }]"),
        "curves[1].b",
        "sign",
    ),
    (
        "generic-intensity-duration",
        CURVES.replace("b = 0.5 }]", "b = 9 }]"),
        "curves[1].b",
        "0 to 3",
    ),
    ("generic-intensity-duration", CURVES.replace("a = 9,", ""), "curves[1].a", "a number"),
    ("generic-intensity-duration", CURVES.replace("red", "blue"), "curves[1].level", "once"),
    ("generic-intensity-duration", CURVES.replace("a = 9", "c = 9"), "curves[1].c", "unknown key"),
    (
        "generic-intensity-duration",
        OURS + 'curves = [{ level = "red", a = 9, b = 0.5 }]',
        "curves",
        "list 2",
    ),
    ("usgs-seattle-p3-p15", "antecedent_h = 409", "antecedent_h", "at most 480 h"),
    ("usgs-seattle-p3-p15", "recent_h = 0", "recent_h", "more than 0"),
    ("usgs-seattle-p3-p15", "slope = -0.67", "slope", "0 or more"),
    ("usgs-seattle-p3-p15", "join_s = 60", "join_s", "759.375 s to 259200 s"),
    ("usgs-seattle-p3-p15", "join_s = 300000", "join_s", "to 259200 s"),
    ("usgs-seattle-wetness", "", "utc_offset_h", "needs it"),
    (
        "usgs-seattle-wetness",
        "utc_offset_h = 0\nevaporation = [{ month = 1, mm_h = 0.1 }]",
        "evaporation",
        "twelve months",
    ),
    ("usgs-seattle-wetness", "utc_offset_h = 0\ndrainage_per_h = 0", "drainage_per_h", "than 0"),
    ("usgs-seattle-wetness", "utc_offset_h = 0\ncapacity_m = 0", "capacity_m", "than 0"),
    ("generic-api", f"k_day = 1\n{LEVELS}", "k_day", "0 to 1"),
    ("generic-api", f"k_day = 0.999\n{LEVELS}", "k_day", "90 days"),
    ("jma-effective-rainfall", f"half_life_s = 10\n{LEVELS}", "half_life_s", "1 minute"),
    ("generic-api", "k_day = 0.85", "levels", "needs it"),
]


@pytest.mark.parametrize(("pack", "parameters", "key", "says"), WRONG)
def test_what_cannot_be_is_refused_by_key_with_a_remedy(
    pack: str, parameters: str, key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        bound(pack, parameters)
    assert refused.value.file == "rules.toml"
    assert refused.value.key.startswith("rule[0].parameters")
    assert refused.value.key.endswith(key)
    assert says in refused.value.remedy


@pytest.mark.parametrize("month", [0, 2, 13])
def test_months_stand_in_their_order(month: int) -> None:
    table = ", ".join(f"{{ month = {month if n == 1 else n}, mm_h = 0 }}" for n in range(1, 13))
    with pytest.raises(ConfigError, match="January first"):
        bound("usgs-seattle-wetness", f"utc_offset_h = 0\nevaporation = [{table}]")


def test_a_storm_on_the_curve_raises_and_its_end_is_proposed() -> None:
    fold, out, total = fold_of([GAUGE], [bound("caine-1980")]), [], 100.0
    for hour in range(20):
        total += 12 if 5 <= hour < 8 else 0
        one = reading(3600 * hour, total, GAUGE)
        out += step(fold, Receipt(GATEWAY, one.time_ms + 500, [one]))[1]
    # 12 mm/h: 0.81 of the curve at 1 h, 1.06 at 2 h, 1.24 at 3 h; over after three dry hours.
    assert [(e.change, e.level, (e.time_ms - out[0].time_ms) // HOUR_MS) for e in out] == [
        ("raised", "orange", 0),
        ("returned", "", 4),
    ]
    evidence = out[0].evidence
    assert (evidence["duration_h"], evidence["intensity_mm_h"]) == (2, 12)
    assert (evidence["curve"], evidence["curve_mm_h"]) == ("I = 14.82 D^-0.39", 11.3096)
    assert evidence["value"] == pytest.approx(12 / 11.3096, abs=1e-4)
    assert (evidence["unit"], evidence["source"]) == ("ratio", "Caine 1980")
    # Below from the fifth hour on, and for an hour more: by then the storm is over.
    assert (out[1].evidence["duration_h"], out[1].evidence["value"]) == (0, 0)


def test_outside_the_curve_s_durations_the_rule_says_so_and_keeps_its_level() -> None:
    rule = bound("generic-intensity-duration", CURVES.replace("dmax_h = 100", "dmax_h = 3"))
    fold, out = fold_of([GAUGE], [rule]), []
    for hour in range(12):
        one = reading(3600 * hour, 100 + 20.0 * max(hour - 4, 0), GAUGE)
        out += step(fold, Receipt(GATEWAY, one.time_ms + 40_000, [one]))[1]
    assert [(e.change, e.level) for e in out] == [("raised", "red")]
    channel = fold.channels["st1"]["rn"]
    assert channel.standings() == {rule.name: "invalid"}
    assert channel.detectors[0].rank == 2
