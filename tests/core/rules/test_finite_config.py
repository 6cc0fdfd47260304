"""Bad configuration of any finite kind is a named mistake: file, key, value and remedy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from rig.jointbook import RAIN, RIVER
from rig.jointbook import rules as joined
from rig.packbook import GAUGE, PACKS, refused
from rig.packbook import RIVER as LEVEL
from rig.rulebook import GATEWAY, place

from egret_core.errors import ConfigError
from egret_core.rules.binding import bind
from egret_core.rules.joining import DEPTH_MAX
from egret_core.rules.model import ChannelPlace
from egret_core.rules.packs import NUMBER_MAX, number, parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_core.rules.packs import Pack

MOVING, FLOW, AHEAD = (
    ChannelPlace("st1", name, quantity, unit, "", GATEWAY, 30.0)
    for name, quantity, unit in (
        ("d", "displacement", "mm"),
        ("q", "discharge", "m3/s"),
        ("fc", "rain_forecast", "mm"),
    )
)
PLACES = {(one.station, one.channel): one for one in (LEVEL, GAUGE, MOVING, FLOW, AHEAD)}
OVER_80 = 'levels = [{ level = "a", raise = 80 }]\n'
OVER_3 = 'levels = [{ level = "blue", raise = 3.0, clear = 2.8 }]\n'
WALL = 'unit = "m"\ndatum = "Local"\n'
# A binding of each pack over channels: channel and parameters.
GIVEN = {
    "absence": ("wl", ""),
    "caine-1980": ("rn", ""),
    "cn-flood-levels": ("wl", f"{WALL}warning = 3.0\nguaranteed = 4.0\nhighest = 5.0\n"),
    "cn-rain-grades": ("rn", 'starts_at = "08:00"\nutc_offset = "+08:00"\n'),
    "cn-rain-signals": ("rn", ""),
    "flash-flood-prepare-move": (
        "rn",
        (
            'levels = [{ level = "prepare", window_h = 1, sum = 30 }, '
            '{ level = "move", window_h = 1, sum = 50 }]\n'
        ),
    ),
    "fujian-rain-signals": ("rn", 'place = "inland"\nlevels = []\n'),
    "generic-api": ("rn", f"k_day = 0.85\n{OVER_80}"),
    "generic-intensity-duration": (
        "rn",
        (
            'source = "x"\ndmin_h = 1\ndmax_h = 72\ncurves = [{ level = "a", a = 6.0, b = 0.5 }, '
            '{ level = "b", a = 9.0, b = 0.5 }]\n'
        ),
    ),
    "generic-level": ("wl", WALL + OVER_3),
    "generic-rain": ("rn", 'levels = [{ level = "a", window_h = 1, sum = 30 }]\n'),
    "generic-rain-forecast": ("fc", f"ahead_s = 3600\n{OVER_80}"),
    "generic-rate-of-rise": ("wl", 'unit = "m/h"\nlevels = [{ level = "a", raise = 0.5 }]\n'),
    "generic-rating": (
        "wl",
        (
            'datum = "Local"\n'
            "points = [{ stage = 1.0, flow = 2.0 }, { stage = 3.0, flow = 20.0 }]\n"
            'levels = [{ level = "a", raise = 10.0 }]\n'
        ),
    ),
    "generic-time-to-level": ("wl", WALL + OVER_3),
    "generic-velocity": ("d", "v0_mm_per_day = 1.0\nsigma_mm = 0.5\n"),
    "inverse-velocity": ("d", "sigma_mm = 1.0\nv_eq_mm_per_day = 5.0\n"),
    "jma-effective-rainfall": ("rn", OVER_80),
    "jma-soil-water": ("rn", OVER_80),
    "muskingum-flow": ("q", f'reach = "r"\ntravel_h = 1.0\n{OVER_80}'),
    "river-nowcast": ("wl", f"{WALL}base = 1.0\n{OVER_3}"),
    "surge-residual": (
        "wl",
        (
            'datum = "Local"\nepoch = "2026-01-01T00:00:00+00:00"\nconstituents = '
            '[{ name = "M2", amplitude = 1.0, speed_deg_per_h = 28.9, phase_deg = 1.0 }]\n'
            'levels = [{ level = "a", raise = 0.4 }]\n'
        ),
    ),
    "usgs-seattle-intensity-duration": ("rn", ""),
    "usgs-seattle-p3-p15": ("rn", ""),
    "usgs-seattle-wetness": ("rn", "utc_offset_h = -8\n"),
    "xu-tangent-angle": ("d", "sigma_mm = 1.0\n"),
}
INSTEAD = {"k_day": "half_life_s"}  # what a family reads where the other is not given
BESIDE = RIVER + RAIN  # what joint rules take
BOTH = 'inputs = [{ rule = "river", channels = ["st1/wl"], name = "river" }, {'
BOTH += ' rule = "rain", channels = ["st1/rn"], name = "rain" }]\n'
JOINT = {
    "generic-area": "need = 1\n",
    "generic-chain": 'levels = ["red"]\nstages = [{ input = "rain", level = "red" }, '
    '{ input = "river", level = "red", within_s = 3600 }]\n',
    "generic-logic": 'levels = [{ level = "a", all = { river = "blue" } }]\n',
    "generic-vote": 'need = 2\nlevels = ["red"]\n',
    "rain-to-flood": 'stages = [{ input = "rain", level = "red" }, '
    '{ input = "river", level = "red", within_s = 3600 }]\n',
    "rain-to-slope": 'stages = [{ input = "rain", level = "red" }, '
    '{ input = "river", level = "red", within_s = 3600 }]\n',
    "two-families-red": "",
}


def of_channel(pack: str, packs: Mapping[str, Pack], given: str) -> None:
    text = f'[[rule]]\nid = "r"\npack = "{pack}"\nchannels = ["st1/{GIVEN[pack][0]}"]\n'
    bind(f"{text}[rule.parameters]\n{given}", "rules.toml", packs, PLACES)


def without(pack: str, name: str) -> dict[str, Pack]:
    whole = PACKS[pack]
    left = {key: row for key, row in whole.parameters.items() if key != name}
    return {**PACKS, pack: dataclasses.replace(whole, parameters=left)}


def lines_without(given: str, name: str) -> str:
    return "".join(f"{row}\n" for row in given.splitlines() if not row.startswith(f"{name} ="))


def test_every_pack_is_tried() -> None:
    assert {*GIVEN, *JOINT} == set(PACKS)


@pytest.mark.parametrize("pack", sorted(GIVEN))
def test_a_pack_that_lacks_a_parameter_is_named_with_it(pack: str) -> None:
    of_channel(pack, PACKS, GIVEN[pack][1])
    told: dict[str, ConfigError] = {}
    for name in PACKS[pack].parameters:
        try:
            of_channel(pack, without(pack, name), lines_without(GIVEN[pack][1], name))
        except ConfigError as error:
            told[name] = error
    assert told
    for name, error in told.items():
        if "lacks it" in error.remedy:  # else the family missed it in words of its own
            assert error.key == f"rule[0].parameters.{INSTEAD.get(name, name)}"
            assert pack in error.remedy


@pytest.mark.parametrize("pack", sorted(JOINT))
def test_a_joint_pack_that_lacks_a_parameter_is_named_with_it(pack: str) -> None:
    head = f'[[rule]]\nid = "r"\npack = "{pack}"\n{BOTH}[rule.parameters]\n'
    for name in PACKS[pack].parameters:
        text = BESIDE + head + lines_without(JOINT[pack], name)
        with pytest.raises(ConfigError):
            bind(text, "rules.toml", without(pack, name), PLACES_OF_JOINTS)


PLACES_OF_JOINTS: dict[tuple[str, str], Any] = {
    (one.station, one.channel): one
    for name in ("st1", "st2", "st3", "st4")
    for one in (place(station=name), place("rn", "rain_total", name))
}


@pytest.mark.parametrize("value", [1e16, -1e308, float("inf"), float("nan"), 10**400, -(10**4000)])
def test_a_number_beyond_all_quantities_is_none(value: float) -> None:
    with pytest.raises(ConfigError, match="write a number") as caught:
        number("f", "k", value)
    assert str(caught.value)
    assert number("f", "k", NUMBER_MAX) == NUMBER_MAX


@pytest.mark.parametrize(
    "text", ["a = 2026-02-30", "a = " + "[" * 5000, "a = " + "9" * 5000, "a = 25:00:00", "a ="]
)
def test_a_text_that_is_no_toml_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="TOML"):
        parse_toml(text, "f")


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ('{ level = "x", window_h = "1", sum = 1 }', "levels[0].window_h"),
        ('{ level = "x", window_h = 1, sum = true }', "levels[0].sum"),
        ("{ level = 7, window_h = 1, sum = 1 }", "levels[0].level"),
        ("{ window_h = 1, sum = 1 }", "levels[0].level"),
    ],
)
def test_rows_of_the_other_site_are_checked_too(row: str, key: str) -> None:
    other = row.replace("{", '{ place = "coast",')
    given = f'place = "inland"\nlevels = [{other}]'
    assert refused("fujian-rain-signals", GAUGE, given)[0] == key


def test_true_is_no_month() -> None:
    rows = [f"{{ month = {n}, mm_h = 0.1 }}" for n in ("true", *range(2, 13))]
    given = f"utc_offset_h = -8\nevaporation = [{', '.join(rows)}]"
    whole = PACKS["usgs-seattle-wetness"]
    free = {name: dataclasses.replace(row, fixed=False) for name, row in whole.parameters.items()}
    packs = {**PACKS, whole.id: dataclasses.replace(whole, parameters=free)}
    with pytest.raises(ConfigError) as caught:
        of_channel(whole.id, packs, given)
    assert caught.value.key == "rule[0].parameters.evaporation[0].month"


@pytest.mark.parametrize("upwards", [True, False])
def test_joint_rules_stand_at_most_eight_above_one_another(upwards: bool) -> None:  # noqa: FBT001
    def tower(height: int) -> str:
        rows = ['inputs = [{ rule = "river", channels = ["st1/wl"] }]']
        rows += [f'inputs = [{{ rule = "v{n}" }}]' for n in range(height - 1)]
        texts = [
            f'[[rule]]\nid = "v{n}"\npack = "generic-vote"\n{row}\nparameters = {{ need = 1 }}\n'
            for n, row in enumerate(rows)
        ]
        return "".join(texts if upwards else reversed(texts))

    assert len(joined(tower(DEPTH_MAX))) >= DEPTH_MAX
    for height in (DEPTH_MAX + 1, 400):
        with pytest.raises(ConfigError, match="at most 8 joint rules"):
            joined(tower(height))
