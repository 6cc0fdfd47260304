"""China's flood warning levels from a station's own; what does not fit is refused."""

from __future__ import annotations

import pytest
from rig.packbook import GAUGE, PACKS, RIVER, judged, of_pack, refused
from rig.rulebook import brief

from egret_core.errors import ConfigError
from egret_core.rules.binding import bind
from egret_core.rules.packs import parse_pack

FLOOD = """unit = "m"
datum = "Local"
warning = 15.0
guaranteed = 16.6
highest = 18.2
"""


def levels(parameters: str = FLOOD) -> list[tuple[str, float, float]]:
    law = of_pack("cn-flood-levels", RIVER, parameters).law
    return [(rung.label, rung.raise_at, rung.clear_at) for rung in law.rungs]


def test_near_is_half_a_metre_below_the_warning_level() -> None:
    assert levels() == [
        ("blue", 14.5, 14.4),
        ("yellow", 15.0, 14.9),
        ("orange", 16.6, pytest.approx(16.5)),
        ("red", 18.2, pytest.approx(18.1)),
    ]


def test_near_and_hysteresis_are_in_metres_whatever_the_unit() -> None:
    feet = FLOOD.replace('"m"', '"ft"').replace("15.0", "50").replace("16.6", "55")
    got = levels(feet.replace("18.2", "60") + "near_m = 0.3\nhysteresis_m = 0.2")
    assert got[0] == ("blue", pytest.approx(50 * 0.3048 - 0.3), pytest.approx(50 * 0.3048 - 0.5))
    assert got[3][1] == pytest.approx(60 * 0.3048)


def test_a_flood_goes_through_the_colours_and_eases_after_half_an_hour() -> None:
    rows = [(600 * n, level) for n, level in enumerate((14.2, 14.5, 15.0, 16.6, 18.2))]
    rows += [(600 * n, 14.0) for n in range(5, 12)]
    assert brief(judged(of_pack("cn-flood-levels", RIVER, FLOOD), RIVER, rows)) == [
        ("raised", "blue", 600),
        ("upgraded", "yellow", 1200),
        ("upgraded", "orange", 1800),
        ("upgraded", "red", 2400),
        ("returned", "", 3000 + 1800),
    ]


def test_the_citation_says_what_was_not_read() -> None:
    citation = PACKS["cn-flood-levels"].citation
    assert "2013" in citation
    assert "not read" in citation
    assert "our choice" in citation


@pytest.mark.parametrize(
    ("wrong", "key", "says"),
    [
        (FLOOD.replace("16.6", "15.0"), "guaranteed", "rising: warning, guaranteed, highest"),
        (FLOOD.replace("18.2", "16.0"), "highest", "rising"),
        (FLOOD.replace("highest = 18.2", ""), "highest", "needs it"),
        (FLOOD.replace('"Local"', '"Luoling"'), "datum", "'Local'"),
        (FLOOD.replace('datum = "Local"', ""), "datum", "needs it"),
        (FLOOD.replace('"m"', '"kPa"'), "warning", "cannot measure"),
        (FLOOD.replace("15.0", "nan"), "warning", "a number"),
        (FLOOD + "near_m = 0", "near_m", "more than 0"),
        (FLOOD + "near_m = -1", "near_m", "at least 0"),
        (FLOOD + "hysteresis_m = -1", "hysteresis_m", "at least 0"),
        (FLOOD + "levels = []", "levels", "unknown key"),
    ],
)
def test_what_does_not_fit_is_refused(wrong: str, key: str, says: str) -> None:
    seen, remedy = refused("cn-flood-levels", RIVER, wrong)
    assert (seen, says in remedy) == (key, True), remedy


def test_rain_has_no_flood_level() -> None:
    assert refused("cn-flood-levels", GAUGE, FLOOD) == (
        "warning",
        "st1/rn measures rain_total: bind a channel of water_level",
    )


@pytest.mark.parametrize("name", sorted(PACKS))
def test_no_pack_goes_without_a_citation(name: str) -> None:
    text = PACKS[name].text.replace(f'citation = "{PACKS[name].citation}"', 'citation = ""')
    with pytest.raises(ConfigError) as caught:
        parse_pack(text, f"{name}.toml")
    found = (caught.value.file, caught.value.key, caught.value.remedy)
    assert found == (f"{name}.toml", "citation", "write a text that is not empty")


@pytest.mark.parametrize("name", sorted(PACKS))
def test_an_unknown_channel_is_refused_whatever_the_pack(name: str) -> None:
    text = f'[[rule]]\nid = "r"\npack = "{name}"\nchannels = ["st1/wk"]\n'
    with pytest.raises(ConfigError) as caught:
        bind(text, "rules.toml", PACKS, {("st1", "wl"): RIVER})
    assert caught.value.key == "rule[0].channels[0]"
    assert "unknown channel; known: wl" in caught.value.remedy
