"""Replies of SDI-12 sensors: cited ones are understood, and nothing that is nearly one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from egret_gateway.errors import ReplyError, ReplyFault
from egret_gateway.protocols import sdi12
from egret_gateway.protocols.sdi12 import Kind

FRAMES = Path(__file__).parents[3] / "frames" / "sdi12" / "replies.toml"
CASES: list[dict[str, Any]] = tomllib.loads(FRAMES.read_text())["reply"]


def of(key: str) -> list[Any]:
    return [pytest.param(case, id=f"{case['line']}") for case in CASES if key in case]


def asked(command: str) -> sdi12.Measurement:
    """The measurement of a command as it stands on the wire, `MC1`."""
    crc = command[1:2] == "C"
    return sdi12.measurement(command.replace("C", "", 1) if crc else command, crc=crc)


@pytest.mark.parametrize("case", of("values"))
def test_cited_data_are_read(case: dict[str, Any]) -> None:
    line = case["line"].encode()
    wanted = asked(case["command"])
    found = sdi12.values(line, case["line"][0], wanted.kind, crc=wanted.crc)
    assert list(found) == case["values"]


@pytest.mark.parametrize("case", of("values_promised"))
def test_cited_promises_are_read(case: dict[str, Any]) -> None:
    kind = asked(case["command"]).kind
    found = sdi12.promise(case["line"].encode(), case["line"][0], kind)
    assert found == (case["ready_s"], case["values_promised"])


@pytest.mark.parametrize("case", of("maker"))
def test_cited_identities_are_read(case: dict[str, Any]) -> None:
    found = sdi12.identity(case["line"].encode(), case["line"][0])._asdict()
    wanted = {key: case[key] for key in found if key in case}
    assert {key: found[key] for key in wanted} == wanted


@pytest.mark.parametrize("case", of("described"))
def test_cited_descriptions_are_read(case: dict[str, Any]) -> None:
    crc = case["command"][2:3] == "C"
    assert list(sdi12.description(case["line"].encode(), "0", crc=crc)) == case["described"]


@pytest.mark.parametrize("line", [b"0", b"0,TA,C", b"0TA,C;", b"0,;", b"0,TA;C;", b"1,TA,C;"])
def test_descriptions_that_are_none(line: bytes) -> None:
    for crc in (False, True):
        with pytest.raises(ReplyError):
            sdi12.description(line, "0", crc=crc)


@pytest.mark.parametrize("case", of("fault"))
def test_cited_lines_that_are_no_reply_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ReplyError) as caught:
        sdi12.promise(case["line"].encode(), case["line"][0], asked(case["command"]).kind)
    assert caught.value.fault == case["fault"]


@pytest.mark.parametrize(
    ("body", "crc"),
    [(b"0+3.14", 0xFC5A), (b"1+2.7+85.2-0.2-2.7+770.5", 0x3048)],
)
def test_the_crc_as_a_number(body: bytes, crc: int) -> None:
    assert sdi12.crc16(body) == crc


@pytest.mark.parametrize("case", [c for c in CASES if "values" in c and c["command"][1:2] == "C"])
def test_no_character_of_a_reply_with_crc_can_be_another(case: dict[str, Any]) -> None:
    line = case["line"].encode()
    for at in range(len(line)):
        for bit in range(7):
            damaged = bytearray(line)
            damaged[at] ^= 1 << bit
            with pytest.raises(ReplyError) as caught:
                sdi12.values(bytes(damaged), case["line"][0], Kind.CONTINUOUS, crc=True)
            assert caught.value.fault in (ReplyFault.CRC, ReplyFault.ADDRESS, ReplyFault.FORM)


SEVEN = "+1234567"


@pytest.mark.parametrize(
    ("line", "kind", "found"),
    [
        ("0", Kind.MEASURE, []),
        ("0+1", Kind.MEASURE, [1.0]),
        ("0-0", Kind.MEASURE, [0.0]),
        ("0+.5-5.", Kind.MEASURE, [0.5, -5.0]),
        ("0+1.23456-12345.67", Kind.MEASURE, [1.23456, -12345.67]),
        ("z+1", Kind.CONTINUOUS, [1.0]),
        (f"0{SEVEN * 4}+12", Kind.MEASURE, [1234567.0] * 4 + [12.0]),  # 35 characters
        (f"0{SEVEN * 9}+12", Kind.CONCURRENT, [1234567.0] * 9 + [12.0]),  # 75
    ],
)
def test_values_at_the_bounds(line: str, kind: Kind, found: list[float]) -> None:
    assert list(sdi12.values(line.encode(), line[0], kind, crc=False)) == found


@pytest.mark.parametrize(
    ("line", "kind", "fault"),
    [
        ("", Kind.MEASURE, "address"),
        ("1+3.14", Kind.MEASURE, "address"),
        ("+3.14", Kind.MEASURE, "address"),
        ("03.14", Kind.MEASURE, "form"),
        ("0+3.14 ", Kind.MEASURE, "form"),
        ("0 +3.14", Kind.MEASURE, "form"),
        ("0+3.1.4", Kind.MEASURE, "form"),
        ("0+", Kind.MEASURE, "form"),
        ("0+.", Kind.MEASURE, "form"),
        ("0++3", Kind.MEASURE, "form"),
        ("0+3,14", Kind.MEASURE, "form"),
        ("0+1e5", Kind.MEASURE, "form"),
        ("0+nan", Kind.MEASURE, "form"),
        ("0+3.14OqZ", Kind.MEASURE, "form"),  # a CRC that nobody asked for
        ("0+12345678", Kind.MEASURE, "length"),
        ("0+1234567.8", Kind.MEASURE, "length"),
        (f"0{SEVEN * 5}", Kind.MEASURE, "length"),
        (f"0{SEVEN * 5}", Kind.VERIFY, "length"),
        (f"0{SEVEN * 10}", Kind.CONCURRENT, "length"),
    ],
)
def test_lines_that_are_no_data(line: str, kind: Kind, fault: str) -> None:
    with pytest.raises(ReplyError) as caught:
        sdi12.values(line.encode(), "0", kind, crc=False)
    assert caught.value.fault == fault
    assert repr(line.encode()) in str(caught.value)


@pytest.mark.parametrize("line", [b"0+3.14", b"0+3.14OqY", b"OqZ", b"0qZ", b"0", b""])
def test_data_asked_for_with_crc_need_the_right_one(line: bytes) -> None:
    with pytest.raises(ReplyError) as caught:
        sdi12.values(line, "0", Kind.MEASURE, crc=True)
    assert caught.value.fault in (ReplyFault.CRC, ReplyFault.ADDRESS)


@pytest.mark.parametrize("line", [b"0\x0053", b"\xb0+1", b"0+1\x7f", b"0+\xb1", b"0\t1"])
def test_what_is_no_character_is_never_passed_over_inside_a_line(line: bytes) -> None:
    with pytest.raises(ReplyError):
        sdi12.values(line, "0", Kind.MEASURE, crc=False)
    with pytest.raises(ReplyError):
        sdi12.promise(line, "0", Kind.MEASURE)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("00053", Kind.CONCURRENT),
        ("000512", Kind.MEASURE),
        ("0005", Kind.MEASURE),
        ("0+053", Kind.MEASURE),
        ("0", Kind.MEASURE),
        ("0a053", Kind.VERIFY),
    ],
)
def test_promises_have_as_many_digits_as_their_command_has(line: str, kind: Kind) -> None:
    with pytest.raises(ReplyError) as caught:
        sdi12.promise(line.encode(), "0", kind)
    assert caught.value.fault == "form"


def test_acknowledgements_and_queries() -> None:
    sdi12.acknowledged(b"7", "7")
    assert [sdi12.queried(line) for line in (b"0", b"Z", b"a")] == ["0", "Z", "a"]
    for line in (b"70", b"7+1"):
        with pytest.raises(ReplyError):
            sdi12.acknowledged(line, "7")
    for line in (b"", b"?", b"01", b"\xe9"):
        with pytest.raises(ReplyError):
            sdi12.queried(line)


@pytest.mark.parametrize(
    "line", [b"014", b"014LIBSDI12ORACLE03", b"0x4LIBSDI12ORACLE030", b"014" + b"x" * 31]
)
def test_identities_that_are_none(line: bytes) -> None:
    with pytest.raises(ReplyError):
        sdi12.identity(line, "0")
