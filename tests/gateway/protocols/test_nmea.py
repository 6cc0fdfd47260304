"""Sentences of the standard, proprietary ones, and everything that is none."""

from __future__ import annotations

from math import isnan

import pynmea2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynmeagps.nmeatypes_get import NMEA_PAYLOADS_GET

from egret_gateway.protocols import nmea
from egret_gateway.protocols.geodesy import Position
from egret_gateway.protocols.text_line import NMEA, Flaw, Framing, Lines, checksum

EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True)
DPT = b"$SDDPT,2.4,,*53\r\n"
DBT = b"$SDDBT,7.8,f,2.4,M,1.3,F*0D\r\n"
# The examples of the NMEA 0183 page of gpsd (GGA) and of Trimble's receiver manual (GST).
GGA = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
GST = b"$GPGST,172814.0,0.006,0.023,0.020,273.6,0.023,0.020,0.031*6A\r\n"


def sentence(line: bytes) -> nmea.Sentence | None:
    heard = Lines(Framing(prefix=b"$", checksum=NMEA)).feed(line, 0.0)
    return nmea.split(heard[0].text) if heard and heard[0].flaw is Flaw.NONE else None


def written(content: str) -> bytes:
    return b"$" + content.encode() + checksum(NMEA, content.encode()) + b"\r\n"


def values(line: bytes, base: Position | None = None) -> nmea.Values:
    found = sentence(line)
    assert found is not None
    return nmea.read(found, found.address[2:], base)


def test_depths() -> None:
    assert values(DPT) == {"depth": 2.4}
    assert values(DBT)["depthm"] == 2.4
    assert values(written("SDDPT,3.1,-0.5,20")) == {
        "depth": 3.1, "offset": -0.5, "rangescale": 20.0
    }  # fmt: skip


def test_a_position_and_its_quality() -> None:
    found = values(GGA)
    assert found["lat"] == pytest.approx(48 + 7.038 / 60, abs=1e-9)
    assert found["lon"] == pytest.approx(11 + 31 / 60, abs=1e-9)
    assert (found["quality"], found["alt"], found["sep"]) == (1, 545.4, 46.9)
    assert found["height"] == pytest.approx(592.3)
    assert "east" not in found, "without a base nothing is displaced"
    assert values(GST)["stdAlt"] == 0.031


OTHERS = (
    (DPT, {"depth": "depth"}),
    (DBT, {"depthf": "depth_feet", "depthm": "depth_meters", "depthfath": "depth_fathoms"}),
    (GGA, {"lat": "latitude", "lon": "longitude", "quality": "gps_qual", "alt": "altitude"}),
    (GST, {"rangeRms": "rms", "stdLat": "std_dev_latitude", "stdAlt": "std_dev_altitude"}),
)


@pytest.mark.parametrize(("line", "names"), OTHERS, ids=["DPT", "DBT", "GGA", "GST"])
def test_another_library_reads_the_same(line: bytes, names: dict[str, str]) -> None:
    other = pynmea2.parse(line.decode(), check=True)
    ours = values(line)
    for field, theirs in names.items():
        assert float(ours[field]) == pytest.approx(float(getattr(other, theirs)))


@pytest.mark.parametrize("line", [DPT, DBT, GGA, GST])
def test_one_byte_changed_is_rejected(line: bytes) -> None:
    for at in range(len(line) - 2):
        for flip in range(8):
            broken = line[:at] + bytes((line[at] ^ 1 << flip,)) + line[at + 1 :]
            found = sentence(broken)
            # Digits of the checksum may be written as small letters.
            assert found is None or (broken.lower() == line.lower() and at >= len(line) - 4)


def test_displacement_from_a_base() -> None:
    base = Position(48.1173, 11.5166666667, 592.3)
    assert values(GGA, base)["east"] == pytest.approx(0, abs=1e-4)
    moved = GGA.replace(b"4807.038,N", b"4807.03801,N").replace(b"545.4", b"545.415")
    found = values(written(moved[1 : moved.index(b"*")].decode()), base)
    assert found["north"] == pytest.approx(0.0185, abs=2e-4)
    assert found["up"] == pytest.approx(0.015, abs=1e-5)


@pytest.mark.parametrize(
    "content",
    [
        "GPGGA,123519,,,,,0,00,,,M,,M,,",
        "GPGGA,123519,4807.038,N,01131.000,E,4,08,0.9,545.4,M,,M,,",
        "GPGGA,123519,9907.038,N,01131.000,E,4,08,0.9,545.4,M,46.9,M,,",
        "GPGGA,123519,4807.038,N",
        "GPGGA",
    ],
)
def test_a_position_that_is_not_whole_displaces_nothing(content: str) -> None:
    found = values(written(content), Position(48.0, 11.0, 0.0))
    assert not {"height", *nmea.OFFSETS} & set(found)


@pytest.mark.parametrize(
    "content",
    [
        "GPGGA,123519,4807.038,X,01131.000,E,4,08,0.9,545.4,M,46.9,M,,",
        "GPGGA,123519,4807.038,,01131.000,E,4,08,0.9,545.4,M,46.9,M,,",
        "GPGGA,123519,4807.038,N,01131.000,E,4,08,0.9,545.4,F,46.9,M,,",
        "GPGGA,123519,4807.038,N,01131.000,E,4,08,0.9,5x5.4,M,46.9,M,,",
        "SDDBT,7.8,f,2.4,F,1.3,F",
    ],
)
def test_what_the_standard_does_not_promise_has_no_values(content: str) -> None:
    assert values(written(content)) == {}


def test_a_south_west_has_signs() -> None:
    found = values(written("GNGGA,1,3345.0,S,07030.0,W,4,09,1,1,M,1,M,,"))
    assert (found["lat"], found["lon"]) == pytest.approx((-33.75, -70.5))


def test_a_proprietary_sentence_is_read_by_its_profile_s_names() -> None:
    found = sentence(written("LVX,1530,1528,21.5,,970,44"))
    assert found is not None
    names = ("distance", "", "temperature", "level", "mean", "snr", "more")
    assert nmea.read_named(found, names) == {
        "distance": "1530", "temperature": "21.5", "mean": "970", "snr": "44"
    }  # fmt: skip


def test_whose_sentence_it_is() -> None:
    depth = nmea.Sentence("SDDPT", ())
    assert depth.is_of("DPT")
    assert depth.is_of("DPT", "SD")
    assert depth.is_of("SDDPT", "SD")
    assert not depth.is_of("DPT", "II")
    assert not depth.is_of("DBT")
    assert not depth.is_of("SDDPT", "II")
    assert nmea.Sentence("LVX", ()).is_of("LVX")
    assert not nmea.Sentence("XDPT", ()).is_of("DPT")


def test_names_of_fields() -> None:
    assert nmea.standard("DPT") == ("depth", "offset", "rangescale")
    assert {"quality", "height", "east", "north", "up"} <= set(nmea.standard("GGA"))
    assert nmea.standard("LVX") == ()
    assert not any("grp" in name for name in nmea.standard("GSV"))


@pytest.mark.parametrize("text", ["1.5", "-0.5", "+7", " 3 ", ".5", "5.", "1e-3"])
def test_numbers(text: str) -> None:
    assert nmea.number(text) == float(text)


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1_0", "0x1", "1,5", "-", "1.5m", "\u0661", "."]
)
def test_no_numbers(text: str) -> None:
    assert isnan(nmea.number(text))


@pytest.mark.parametrize("text", ["", ",", "sddpt,1", "S", "GP GGA,1", "A" * 13, "GPGGA*47"])
def test_no_sentences(text: str) -> None:
    assert nmea.split(text) is None


def test_a_sentence_has_a_limit_of_fields() -> None:
    assert nmea.split("GPX" + "," * nmea.FIELDS_MAX) is not None
    assert nmea.split("GPX" + "," * (nmea.FIELDS_MAX + 1)) is None


FIELDS = st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=8))
NAMES = st.sampled_from(sorted(NMEA_PAYLOADS_GET))


@settings(EXAMPLES, max_examples=1000)
@given(NAMES, FIELDS)
def test_any_fields_of_a_known_sentence_give_numbers_or_nothing(
    name: str, fields: list[str]
) -> None:
    found = nmea.split(",".join((f"GP{name}", *(f.replace(",", "") for f in fields))))
    if found is not None:
        for value in nmea.read(found, name, Position(0, 0, 0)).values():
            assert isinstance(value, int | float | str)
            assert value != ""


@EXAMPLES
@given(st.binary(max_size=200))
def test_any_bytes_are_a_sentence_or_none(data: bytes) -> None:
    for line in Lines(Framing(prefix=b"$", checksum=NMEA)).feed(data + DPT, 0.0):
        found = nmea.split(line.text)
        assert found is None or line.flaw is Flaw.NONE
    parts = Lines(Framing(prefix=b"$", checksum=NMEA))
    heard = [line for byte in data + DPT for line in parts.feed(bytes((byte,)), 0.0)]
    assert heard[-1].flaw in (Flaw.NONE, Flaw.DAMAGED)
