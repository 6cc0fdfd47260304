"""Every profile has a golden case, and what it claims is proven there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rig import golden, golden_checks

from egret_gateway import profiles

# What a city's field side needs, by a quantity that such a family has, and how many there must be.
KINDS = {
    "water_level": 5,
    "rain_total": 4,
    "soil_moisture": 3,
    "tilt": 3,
    "displacement": 2,
    "settlement": 1,
    "frequency": 2,
    "voltage": 2,
    "current": 3,
    "count": 3,
}
CLEARED_BY_READING = {"lambrecht-rain-e": (4, 31103, 31104), "deltaohm-hd2016": (4, 2, 3)}
LAMBRECHT = "lambrecht-rain-e"


def readings(way: type) -> list[tuple[str, golden.Reading]]:
    return [
        (name, one)
        for name in golden.NAMES
        if isinstance(golden.family(name).way, way)
        for one in golden.case(name).readings
    ]


def exchanges() -> list[tuple[str, golden.Exchange]]:
    return [(name, one) for name in golden.NAMES for one in golden.case(name).exchanges]


def named(value: object) -> str | None:
    return value.of if isinstance(value, golden.Reading) else None


@pytest.mark.parametrize("quantity", KINDS)
def test_there_are_families_of_every_kind(quantity: str) -> None:
    families = [golden.family(name) for name in golden.NAMES]
    having = [f.name for f in families if any(item.quantity == quantity for item in f.items)]
    assert len(having) >= KINDS[quantity], having


def test_there_are_enough_families() -> None:
    assert len(golden.NAMES) >= 28


def test_every_profile_has_a_golden_folder_and_every_folder_a_profile() -> None:
    folders = {path.parent.name for path in golden.FOLDER.glob("*/case.toml")}
    assert folders == set(golden.NAMES)
    assert {path.name for path in golden.FOLDER.iterdir()} == folders, "a folder without a case"


@pytest.mark.parametrize("name", golden.NAMES)
def test_every_item_of_a_family_is_read_in_its_golden_case(name: str) -> None:
    golden_checks.items_are_read(golden.family(name), golden.case(name))


@pytest.mark.parametrize("name", golden.NAMES)
def test_a_tier_rests_on_evidence(name: str) -> None:
    golden_checks.tier_rests_on_evidence(golden.family(name), golden.case(name))


@pytest.mark.parametrize(("name", "exchange"), exchanges())
def test_cited_requests_are_made_and_cited_replies_understood(
    name: str, exchange: golden.Exchange
) -> None:
    golden_checks.exchange_is_understood(golden.family(name), exchange)


@pytest.mark.parametrize(("name", "reading"), readings(profiles.Modbus), ids=named)
def test_words_of_a_maker_s_table_mean_what_they_should(name: str, reading: golden.Reading) -> None:
    golden_checks.words_mean_their_values(golden.family(name), reading)


@pytest.mark.parametrize("name", CLEARED_BY_READING)
def test_registers_that_a_read_clears_are_in_nobody_s_reach(name: str) -> None:
    fc, first, last = CLEARED_BY_READING[name]
    profile = golden.family(name)
    places = [item.register for item in profile.items if item.register.fc == fc]
    taken = [range(at.address, at.last + 1) for at in places]
    taken += [range(area.first, area.last + 1) for area in profile.modbus.readable if area.fc == fc]
    assert not {first, last} & {address for span in taken for address in span}
    assert profiles.Hole(fc, first, last) in profile.modbus.holes


# Every check is seen to fail.


def test_a_wrong_order_is_seen() -> None:
    profile = golden.family("dfrobot-sen0575")
    rain = profile.items[0]
    swapped = replace(profile, items=(replace(rain, at=replace(rain.register, order="ABCD")),))
    for reading in golden.case(profile.name).readings:
        golden_checks.words_mean_their_values(profile, reading)
        with pytest.raises(AssertionError):
            golden_checks.words_mean_their_values(swapped, reading)


def test_a_value_beyond_the_sensor_and_a_missing_sentinel_are_seen() -> None:
    profile = golden.family("balluff-bsi-r11")
    blind = replace(profile, items=tuple(replace(i, sentinels=()) for i in profile.items))
    good, invalid = golden.case(profile.name).readings
    golden_checks.words_mean_their_values(profile, invalid)
    with pytest.raises(AssertionError, match="a setting is invalid"):
        golden_checks.words_mean_their_values(blind, invalid)
    beyond = good._replace(
        registers={4: {**good.registers[4], 0: 36001}}, values={"inclination": 360.01}
    )
    with pytest.raises(AssertionError, match="inclination"):
        golden_checks.words_mean_their_values(profile, beyond)


def test_a_tier_without_evidence_is_seen() -> None:
    profile, case = golden.family(LAMBRECHT), golden.case(LAMBRECHT)
    with pytest.raises(AssertionError, match="real unit"):
        golden_checks.tier_rests_on_evidence(replace(profile, tier="bench"), case)
    with pytest.raises(AssertionError, match="real unit"):
        golden_checks.tier_rests_on_evidence(replace(profile, tier="field"), case)
    with pytest.raises(AssertionError, match="no cited"):
        golden_checks.tier_rests_on_evidence(profile, case._replace(exchanges=()))
    generic = replace(profile, name="generic-rain")
    with pytest.raises(AssertionError, match="names no test"):
        golden_checks.tier_rests_on_evidence(generic, case._replace(exchanges=()))
    on_a_bench = case.exchanges[0]._replace(recorded="2026-11-29")
    golden_checks.tier_rests_on_evidence(
        replace(profile, tier="bench"), case._replace(exchanges=(on_a_bench,))
    )


def test_an_item_without_a_value_is_seen() -> None:
    profile, case = golden.family(LAMBRECHT), golden.case(LAMBRECHT)
    with pytest.raises(AssertionError, match="intensity"):
        golden_checks.items_are_read(profile, case._replace(readings=case.readings[1:]))
    odd = case.readings[0]._replace(values={"rian": 1.0})
    with pytest.raises(AssertionError, match="rian"):
        golden_checks.items_are_read(profile, case._replace(readings=(odd,)))


def test_another_reply_and_another_number_are_seen() -> None:
    profile = golden.family(LAMBRECHT)
    exchange = golden.case(LAMBRECHT).exchanges[0]
    for wrong in (
        exchange._replace(reads={"rain_coarse": 0.2}),
        exchange._replace(reads={}),
        exchange._replace(reply=exchange.reply[:-1] + b"\x31"),
        exchange._replace(request=bytes.fromhex("03 04 79 18 00 01 A9 73")),
        exchange._replace(source=""),
    ):
        with pytest.raises(AssertionError):
            golden_checks.exchange_is_understood(profile, wrong)


@pytest.mark.parametrize(
    ("old", "new"), [("[[reading]]", "[[raeding]]"), ('of = "', 'fo = "'), ("reads]", "raeds]")]
)
def test_a_golden_case_with_a_misspelt_key_is_refused(
    tmp_path_factory: pytest.TempPathFactory, old: str, new: str
) -> None:
    folder = tmp_path_factory.mktemp("golden")
    (folder / LAMBRECHT).mkdir()
    text = (golden.FOLDER / LAMBRECHT / "case.toml").read_text()
    assert old in text
    (folder / LAMBRECHT / "case.toml").write_text(text.replace(old, new, 1))
    with pytest.raises((ValueError, KeyError)):
        golden.case(LAMBRECHT, folder)
