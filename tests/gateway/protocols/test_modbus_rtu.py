from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from egret_gateway.protocols.modbus_pdu import COUNT_MAX, Shape
from egret_gateway.protocols.modbus_rtu import crc16, hunt, read_request, sealed
from egret_gateway.protocols.modbus_rtu_slave import (
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    Request,
    exception,
    find_request,
    reply,
    why_refused,
)

FRAMES = Path(__file__).parents[2] / "frames"


def cases(key: str) -> list[Any]:
    found = []
    for path in sorted(FRAMES.glob("*/case.toml")):
        case = tomllib.loads(path.read_text())
        if key in case:
            found.append(pytest.param(case, id=path.parent.name))
    return found


def shape_of(case: dict[str, Any]) -> Shape:
    return Shape(case["unit"], case["fc"], case["words"])


def slave_reply(shape: Shape, registers: list[int]) -> bytes:
    return reply(Request(shape.unit, shape.fc, 0, shape.words, 8), registers)


def test_crc_of_the_standard_s_check_string() -> None:
    assert crc16(b"123456789") == 0x4B37
    assert crc16(b"") == 0xFFFF
    assert crc16(sealed(b"any body")) == 0


@pytest.mark.parametrize("case", cases("request"))
def test_golden_requests_are_made_and_understood(case: dict[str, Any]) -> None:
    golden = bytes.fromhex(case["request"])
    assert read_request(shape_of(case), case["address"]) == golden
    found = find_request(b"\x00" + golden, {case["unit"]})
    assert found is not None
    assert (found.fc, found.address, found.words) == (case["fc"], case["address"], case["words"])
    assert found.shape == shape_of(case)
    assert find_request(golden, {case["unit"] + 1}) is None


@pytest.mark.parametrize("case", cases("reply"))
def test_golden_replies_whole_byte_by_byte_and_with_trailing_bytes(case: dict[str, Any]) -> None:
    golden = bytes.fromhex(case["reply"])
    shapes = (shape_of(case),)
    for length in range(len(golden)):
        found = hunt(golden[:length], shapes)
        assert found.frame is None
        assert 1 <= found.missing <= shapes[0].reply_chars
        # Never asks to wait for more than a reply that has begun can still bring.
        assert found.missing <= max(len(golden), shapes[0].reply_chars) - length or length == 0
    for trailing in (b"", b"\xff", b"\x01\x03\x04"):
        frame = hunt(golden + trailing, shapes).frame
        assert frame is not None
        assert (frame.start, frame.end) == (0, len(golden))
        assert list(frame.registers) == case.get("registers", [])
        assert frame.exception == case.get("exception", 0)


PENDING = Shape(7, 3, 4)
RIGHT = bytes.fromhex("07 03 08 00 64 00 C8 01 2C 01 90 8E 80")
ECHO = bytes.fromhex("07 03 00 00 00 04 44 6F")


@pytest.mark.parametrize(
    "before",
    [
        b"\x00",
        b"\xff",
        b"\x00\x00",
        ECHO,
        sealed(b"\x06" + RIGHT[1:-2]),
        RIGHT[:-1] + b"\x00",
        b"\x07",
        b"\x07\x03",
        b"\x07\x03\x08",
        slave_reply(Shape(7, 3, 5), [1, 2, 3, 4, 5]),
        slave_reply(Shape(7, 4, 4), [1, 2, 3, 4]),
    ],
    ids=lambda b: b[:6].hex(),
)
def test_the_right_reply_is_found_behind_anything(before: bytes) -> None:
    frame = hunt(before + RIGHT, (PENDING,)).frame
    assert frame is not None
    assert frame.registers == (100, 200, 300, 400)
    assert frame.start == len(before)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_random_prefixes_never_cost_a_frame(length: int) -> None:
    dice = random.Random(length)
    for _ in range(700):
        frame = hunt(dice.randbytes(length) + RIGHT, (PENDING,)).frame
        assert frame is not None
        assert frame.registers == (100, 200, 300, 400)


@pytest.mark.parametrize(
    "other",
    [
        slave_reply(Shape(7, 3, 3), [1, 2, 3]),
        slave_reply(Shape(7, 3, 5), [1, 2, 3, 4, 5]),
        slave_reply(Shape(7, 4, 4), [1, 2, 3, 4]),
        slave_reply(Shape(8, 3, 4), [1, 2, 3, 4]),
        exception(Request(8, 3, 0, 4, 8), 2),
        exception(Request(7, 4, 0, 4, 8), 2),
        RIGHT[:-1],
        ECHO,
    ],
    ids=lambda b: b[:4].hex(),
)
def test_what_is_not_exactly_the_answer_is_none(other: bytes) -> None:
    assert hunt(other, (PENDING,)).frame is None


def test_every_single_bit_error_is_refused() -> None:
    for at in range(len(RIGHT) * 8):
        broken = bytearray(RIGHT)
        broken[at // 8] ^= 1 << at % 8
        assert hunt(bytes(broken), (PENDING,)).frame is None


def test_a_broken_whole_frame_is_called_damaged_and_a_short_one_is_not() -> None:
    assert hunt(RIGHT[:-1] + b"\x00", (PENDING,)).damaged
    assert not hunt(RIGHT[:-1], (PENDING,)).damaged
    assert not hunt(b"\x01\x02\x03", (PENDING,)).damaged
    other_length = slave_reply(Shape(7, 3, 5), [1, 2, 3, 4, 5])
    assert not hunt(other_length, (PENDING,)).damaged


def test_missing_counts_only_what_lacks() -> None:
    assert hunt(b"", (PENDING,)).missing == 13
    assert hunt(RIGHT[:3], (PENDING,)).missing == 10
    assert hunt(b"\x00" + RIGHT[:3], (PENDING,)).missing == 10
    assert hunt(RIGHT[:1], (PENDING,)).missing == 4  # it may become an exception of 5
    assert hunt(RIGHT[:12], (PENDING,)).missing == 1


def test_open_shapes_are_told_apart_from_the_pending_one() -> None:
    late = Shape(7, 3, 5)
    buffer = slave_reply(late, [9, 9, 9, 9, 9]) + RIGHT
    first = hunt(buffer, (PENDING, late)).frame
    assert first is not None
    assert first.shape == late
    second = hunt(buffer[first.end :], (PENDING, late)).frame
    assert second is not None
    assert second.shape == PENDING


@pytest.mark.parametrize(
    ("shape", "address"),
    [
        (Shape(0, 3, 1), 0),
        (Shape(256, 3, 1), 0),
        (Shape(1, 6, 1), 0),
        (Shape(1, 3, 0), 0),
        (Shape(1, 3, COUNT_MAX + 1), 0),
        (Shape(1, 3, 2), 0xFFFF),
        (Shape(1, 3, 1), -1),
    ],
)
def test_what_the_wire_cannot_carry_is_refused(shape: Shape, address: int) -> None:
    with pytest.raises(ValueError, match="cannot be asked"):
        read_request(shape, address)


def test_a_slave_refuses_by_the_standard_s_codes() -> None:
    assert why_refused(Request(1, 7, 0, 1, 8)) == ILLEGAL_FUNCTION
    assert why_refused(Request(1, 3, 0, 0, 8)) == ILLEGAL_VALUE
    assert why_refused(Request(1, 3, 0, 126, 8)) == ILLEGAL_VALUE
    assert why_refused(Request(1, 4, 0, 125, 8)) == 0
    assert exception(Request(1, 3, 0, 1, 8), 2) == bytes.fromhex("01 83 02 C0 F1")


def test_a_request_is_found_among_the_neighbours_talk() -> None:
    talk = slave_reply(Shape(2, 3, 2), [5, 6]) + read_request(Shape(3, 4, 2), 77)
    found = find_request(talk + b"\x01", {3})
    assert found == Request(3, 4, 77, 2, len(talk))
    assert find_request(talk[:-1], {3}) is None
