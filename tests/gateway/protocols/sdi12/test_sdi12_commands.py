"""Commands as they stand on the wire, and lines found in what is heard."""

from __future__ import annotations

import pytest

from egret_gateway.protocols import sdi12
from egret_gateway.protocols.sdi12 import Kind, Lines, Measurement


@pytest.mark.parametrize(
    ("text", "crc", "command"),
    [
        ("M", False, b"0M!"),
        ("M1", False, b"0M1!"),
        ("M9", False, b"0M9!"),
        ("M", True, b"0MC!"),
        ("M3", True, b"0MC3!"),
        ("C", False, b"0C!"),
        ("C2", False, b"0C2!"),
        ("C", True, b"0CC!"),
        ("C9", True, b"0CC9!"),
        ("R0", False, b"0R0!"),
        ("R9", False, b"0R9!"),
        ("R0", True, b"0RC0!"),
        ("R4", True, b"0RC4!"),
        ("V", False, b"0V!"),
        ("V", True, b"0V!"),
    ],
)
def test_measurements_on_the_wire(text: str, crc: bool, command: bytes) -> None:  # noqa: FBT001  (a table's column)
    assert sdi12.start("0", sdi12.measurement(text, crc=crc)) == command


def test_the_other_commands() -> None:
    assert sdi12.acknowledge("a") == b"a!"
    assert sdi12.query() == b"?!"
    assert sdi12.identify("Z") == b"ZI!"
    assert sdi12.change_address("0", "5") == b"0A5!"
    assert [sdi12.send_data("0", page) for page in (0, 9)] == [b"0D0!", b"0D9!"]
    assert len(sdi12.ADDRESSES) == 62


@pytest.mark.parametrize(
    ("text", "crc", "command"),
    [
        ("M", False, b"0IM_001!"),
        ("M2", True, b"0IMC2_001!"),
        ("C1", False, b"0IC1_001!"),
        ("R0", False, b"0IR0_001!"),
        ("V", False, b"0IV_001!"),
    ],
)
def test_what_a_value_is(text: str, crc: bool, command: bytes) -> None:  # noqa: FBT001  (a table's column)
    assert sdi12.describe("0", sdi12.measurement(text, crc=crc), 1) == command
    for place in (0, 1000):
        with pytest.raises(ValueError, match="place"):
            sdi12.describe("0", sdi12.measurement(text), place)


@pytest.mark.parametrize("text", ["", "m", "M0", "M10", "C0", "R", "R10", "V1", "MC", "D0", "M1 "])
def test_measurements_that_there_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="M1 to M9"):
        sdi12.measurement(text)


@pytest.mark.parametrize("address", ["", "?", "*", "10", "é", "!", " "])
def test_addresses_that_there_are_not(address: str) -> None:
    for command in (sdi12.acknowledge, sdi12.identify):
        with pytest.raises(ValueError, match="address"):
            command(address)
    with pytest.raises(ValueError, match="address"):
        sdi12.change_address("0", address)


def test_numbers_that_the_wire_cannot_carry() -> None:
    for page in (-1, 10):
        with pytest.raises(ValueError, match="page"):
            sdi12.send_data("0", page)
        with pytest.raises(ValueError, match="measurement"):
            sdi12.start("0", Measurement(Kind.MEASURE, page))


@pytest.mark.parametrize(
    ("buffer", "whole", "rest"),
    [
        (b"", (), b""),
        (b"0\r\n", (b"0",), b""),
        (b"00053\r\n0\r", (b"00053",), b"0\r"),
        (b"0D0!0+3.14\r\n", (b"0+3.14",), b""),
        (b"\x000D0!0D0!\xff0+3.14\r\n", (b"0+3.14",), b""),
        (b"0D", (), b""),  # half an echo
        (b"0D0!0+3", (), b"0+3"),
        (b"\x00\xff\x80", (), b""),
        (b"\r\n\r\n", (), b""),
        (b"x0+3.14\r\n", (b"x0+3.14",), b""),  # a character before the address stays
        (b"0+3.14\r0+1\r\n", (b"0+3.14\r0+1",), b""),  # a bare CR ends nothing
        (b"0+3.14\n", (), b"0+3.14\n"),
    ],
)
def test_lines_in_what_is_heard(buffer: bytes, whole: tuple[bytes, ...], rest: bytes) -> None:
    found = Lines.of(buffer, b"0D0!")
    assert (found.whole, found.rest) == (whole, rest)


def test_without_a_command_nothing_is_an_echo() -> None:
    assert Lines.of(b"0D0!\r\n").whole == (b"0D0!",)
