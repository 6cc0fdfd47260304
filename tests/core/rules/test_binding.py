from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.rulebook import GATEWAY, place

from egret_core.errors import ConfigError
from egret_core.rules.binding import bind
from egret_core.rules.model import AbsenceLaw, BoundRule, ChannelPlace, Family, LadderLaw, RainLaw
from egret_core.rules.packs import parse_pack

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[3] / "core" / "egret_core" / "packs"
PACKS = {p.stem: parse_pack(p.read_text(), p.name) for p in sorted(FOLDER.glob("*.toml"))}
LEVEL, GAUGE = place(), place("rn", "rain_total")
PLACES = {(one.station, one.channel): one for one in (LEVEL, GAUGE)}

RIVER = """
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl"]
[rule.parameters]
unit = "cm"
datum = "Local"
levels = [{ level = "blue", raise = 300, clear = 280 }, { level = "red", raise = 500 }]
persistence_s = 60
"""
STORM = '[[rule]]\nid = "storm"\npack = "cn-rain-signals"\nchannels = ["st1/rn"]\n'
SILENT = '[[rule]]\nid = "silent"\npack = "absence"\nchannels = ["st1/*", "gateway/GW-1"]\n'


def bound(text: str) -> tuple[BoundRule, ...]:
    return bind(text, "rules.toml", PACKS, PLACES)


def refused(text: str) -> Any:
    with pytest.raises(ConfigError) as caught:
        bound(text)
    assert caught.value.file == "rules.toml"
    return caught.value.key, caught.value.remedy


def test_packs_have_the_names_of_their_files_and_a_citation() -> None:
    assert {"generic-level", "generic-rain", "cn-rain-signals", "absence"} <= set(PACKS)
    assert all(pack.id == name and pack.citation for name, pack in PACKS.items())


def test_a_ladder_is_turned_into_canonical_units() -> None:
    (rule,) = bound(RIVER)
    assert isinstance(rule.law, LadderLaw)
    assert [(r.label, r.raise_at, r.clear_at) for r in rule.law.rungs] == [
        ("blue", 3.0, 2.8),
        ("red", 5.0, 5.0),
    ]
    assert (rule.law.unit, rule.law.persistence_ms, rule.law.gap_ms) == ("m", 60_000, 5_400_000)
    assert rule.channels == (("st1", "wl"),)
    assert rule.name == f"river@{rule.version}"


def test_the_national_signals_are_bound_without_a_number() -> None:
    (rule,) = bound(STORM)
    assert isinstance(rule.law, RainLaw)
    rows = [(lv.label, lv.rank, lv.window_ms // 3_600_000, lv.sum_nm) for lv in rule.law.levels]
    assert rows == [
        ("red", 4, 3, 100_000_000),
        ("orange", 3, 3, 50_000_000),
        ("yellow", 2, 6, 50_000_000),
        ("blue", 1, 12, 50_000_000),
    ]
    assert "CMA" in rule.citation


def test_an_absence_rule_takes_whole_stations_and_gateways() -> None:
    (rule,) = bound(SILENT)
    assert rule.law == AbsenceLaw("fault", 600_000, (("alarm", 3_600_000),))
    assert rule.channels == (("st1", "wl"), ("st1", "rn"))
    assert rule.gateways == (GATEWAY,)
    assert rule.family is Family.ABSENCE


def test_five_windows_in_inches() -> None:
    rows = ",".join(f'{{level="red",window_h={h},sum=2}}' for h in (1, 3, 6, 12, 24))
    text = STORM.replace("cn-rain-signals", "generic-rain")
    text += f'[rule.parameters]\nunit="in"\nlevels=[{rows}]'
    (rule,) = bound(text)
    assert {lv.sum_nm for lv in rule.law.levels} == {50_800_000}
    assert {lv.rank for lv in rule.law.levels} == {1}
    assert len(rule.law.levels) == 5


def test_the_version_changes_with_a_number_and_with_the_pack_and_with_nothing_else() -> None:
    (first,) = bound(RIVER)
    assert bound(RIVER.replace("  ", " "))[0].version == first.version
    assert bound(RIVER.replace("500", "501"))[0].version != first.version
    other = {**PACKS, "generic-level": replace(PACKS["generic-level"], text="another edition")}
    assert bind(RIVER, "rules.toml", other, PLACES)[0].version != first.version


@pytest.mark.parametrize(
    ("wrong", "key", "says"),
    [
        (RIVER.replace("datum = ", "datun = "), "rule[0].parameters.datun", "did you mean 'datum'"),
        (RIVER.replace("pack =", "pak ="), "rule[0].pak", "did you mean 'pack'"),
        (
            RIVER.replace("generic-level", "generic-levl"),
            "rule[0].pack",
            "did you mean 'generic-level'",
        ),
        (RIVER.replace("st1/wl", "st2/wl"), "rule[0].channels[0]", "did you mean 'st1'"),
        (RIVER.replace("st1/wl", "st1/wk"), "rule[0].channels[0]", "known: rn, wl"),
        (RIVER.replace("st1/wl", "wl"), "rule[0].channels[0]", "station/channel"),
        (RIVER.replace('["st1/wl"]', "[]"), "rule[0].channels", "list what it judges"),
        (RIVER.replace("st1/wl", "gateway/GW-1"), "rule[0].channels", "only an absence rule"),
        (SILENT.replace("GW-1", "GW-2"), "rule[0].channels[1]", "did you mean 'GW-1'"),
        (RIVER.replace('"Local"', '"Yellow Sea"'), "rule[0].parameters.datum", "'Local'"),
        (RIVER.replace('datum = "Local"', ""), "rule[0].parameters.datum", "'Local'"),
        (RIVER.replace('"cm"', '"kPa"'), "rule[0].parameters.unit", "cannot measure"),
        (RIVER.replace('"cm"', '"furlong"'), "rule[0].parameters.unit", "unknown unit"),
        (RIVER.replace('unit = "cm"', ""), "rule[0].parameters.unit", "needs it"),
        (
            RIVER.replace("raise = 300", "raise = nan"),
            "rule[0].parameters.levels[0].raise",
            "a number",
        ),
        (
            RIVER.replace("raise = 300", "rise = 300"),
            "rule[0].parameters.levels[0].rise",
            "'raise'",
        ),
        (RIVER.replace("280", "301"), "rule[0].parameters.levels[0].clear", "at most the raise"),
        (RIVER.replace("500", "300"), "rule[0].parameters.levels[1].raise", "from the lowest up"),
        (RIVER.replace('"red"', '"blue"'), "rule[0].parameters.levels[1].level", "once"),
        (RIVER.replace("= 60", "= -1"), "rule[0].parameters.persistence_s", "at least 0"),
        (RIVER.replace("= 60", "= true"), "rule[0].parameters.persistence_s", "a number"),
        (RIVER + RIVER, "rule[1].id", "id of its own"),
        (RIVER.replace('id = "river"', 'id = "a/b"'), "rule[0].id", "A-Z"),
        (STORM.replace("/rn", "/wl"), "rule[0].parameters.levels", "rain_total"),
        (STORM + "[rule.parameters]\nlevels = []", "rule[0].parameters.levels", "fixes it"),
        (STORM.replace("cn-rain-signals", "generic-rain"), "rule[0].parameters.levels", "needs it"),
        (SILENT + "[rule.parameters]\nlimit_s = 5", "rule[0].parameters.limit_s", "at least 10"),
        (RIVER.replace("[rule.parameters]", "parameters = 3\n[x]"), "x", "unknown key"),
        (STORM + "parameters = 3", "rule[0].parameters", "a table"),
        (STORM.replace('"cn-rain-signals"', "3"), "rule[0].pack", "in quotes"),
        ("[[rule]\n", "(file)", "TOML"),
        ("rule = 3", "rule", "list of tables"),
        ("[[rules]]", "rules", "did you mean 'rule'"),
    ],
)
def test_a_wrong_rule_names_file_key_and_remedy(wrong: str, key: str, says: str) -> None:
    seen_key, remedy = refused(wrong)
    assert seen_key == key
    assert says in remedy


@pytest.mark.parametrize(
    ("window", "says"), [(0, "a minute"), (25, "at most 24"), ('"3"', "a number")]
)
def test_a_window_is_bounded(window: object, says: str) -> None:
    text = f"{STORM.replace('cn-rain-signals', 'generic-rain')}[rule.parameters]\n"
    text += f'levels=[{{level="red",window_h={window},sum=2}}]'
    assert says in refused(text)[1]


def test_a_depth_of_nothing_is_refused() -> None:
    text = STORM.replace("cn-rain-signals", "generic-rain") + "[rule.parameters]\n"
    text += 'levels=[{level="red",window_h=3,sum=0}]'
    assert "at least 0.001 mm" in refused(text)[1]


@pytest.mark.parametrize("word", ["", "  ", "x" * 49, "red\\nblue", "\\u0000", "\\u202e"])
@pytest.mark.parametrize(
    "text",
    [
        RIVER.replace('"blue"', '"WORD"'),
        STORM.replace("cn-rain-signals", "generic-rain")
        + '[rule.parameters]\nunit = "mm"\nlevels=[{level="WORD",window_h=3,sum=2}]',
        SILENT + '[rule.parameters]\nlevel = "WORD"',
    ],
)
def test_a_level_is_a_word_that_can_be_shown_and_kept(text: str, word: str) -> None:
    key, remedy = refused(text.replace("WORD", word))
    assert key.endswith(".level")
    assert "1 to 48 printable" in remedy
    assert bound(text.replace("WORD", "x" * 48))


def test_a_hazard_is_such_a_word_too() -> None:
    text = (FOLDER / "absence.toml").read_text()
    with pytest.raises(ConfigError) as caught:
        parse_pack(text.replace('hazard = "absence"', f'hazard = "{"x" * 49}"'), "p.toml")
    assert caught.value.key == "hazard"


def test_levels_are_bounded() -> None:
    many = ",".join('{level="red",window_h=1,sum=2}' for _ in range(33))
    text = f"{STORM.replace('cn-rain-signals', 'generic-rain')}[rule.parameters]\nlevels=[{many}]"
    assert "1 to 32" in refused(text)[1]


def test_one_ladder_judges_one_quantity() -> None:
    text = RIVER.replace('"st1/wl"', '"st1/*"')
    places = {**PLACES, ("st1", "rn"): replace(GAUGE, datum="Local")}
    with pytest.raises(ConfigError, match="one quantity"):
        bind(text, "rules.toml", PACKS, places)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('family = "lvl"', "family"),
        ("id = 3", "id"),
        ('citation = ""', "citation"),
        ("[parameters.x]\ntype = 'color'", "parameters.x.type"),
        ("[parameters.x]\ntype = 'text'\ndefualt = 1", "parameters.x.defualt"),
        ("wrong = 1", "wrong"),
    ],
)
def test_a_wrong_pack_names_its_key(text: str, key: str) -> None:
    good = {"id": "p", "version": "1", "family": "level", "hazard": "level", "citation": "c"}
    name = text.split(" ", maxsplit=1)[0]
    lines = [f'{k} = "{v}"' for k, v in good.items() if k != name]
    with pytest.raises(ConfigError) as caught:
        parse_pack("\n".join([*lines, text]), "p.toml")
    assert (caught.value.file, caught.value.key) == ("p.toml", key)


def test_a_rule_over_thousands_of_stations_reads_the_places_once() -> None:
    class Counted(dict[tuple[str, str], ChannelPlace]):
        walks = 0

        def __iter__(self) -> Iterator[tuple[str, str]]:
            self.walks += 1
            return super().__iter__()

        def values(self) -> Any:
            self.walks += 1
            return super().values()

    one = next(iter(PLACES.values()))
    many = Counted({(f"s{n}", "wl"): replace(one, station=f"s{n}") for n in range(500)})
    listed = ", ".join(f'"s{n}/*"' for n in range(500))
    text = f'[[rule]]\nid = "silent"\npack = "absence"\nchannels = [{listed}]\n'
    (rule,) = bind(text, "rules.toml", PACKS, many)
    assert len(rule.channels) == 500
    assert many.walks < 5
