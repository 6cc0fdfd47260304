"""The envelope of Modbus TCP: whole, byte by byte, glued, and what can never become one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret_gateway.protocols.modbus_pdu import read_pdu
from egret_gateway.protocols.modbus_tcp import (
    FRAME_MAX_B,
    NUMBER_MAX,
    Envelope,
    cut,
    frame,
    next_number,
)

# MODBUS Messaging on TCP/IP V1.0b 4.3: a read of one holding register at 5, number 0x1501.
ASKED = bytes.fromhex("15 01 00 00 00 06 FF 03 00 04 00 01")
ANSWER = bytes.fromhex("15 01 00 00 00 05 FF 03 02 00 05")
EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True)


def test_the_frames_of_the_standard() -> None:
    assert frame(0x1501, 0xFF, read_pdu(3, 4, 1)) == ASKED
    assert cut(ANSWER) == (Envelope(0x1501, 0xFF, bytes.fromhex("03 02 00 05")), 11, "")


def test_whole_byte_by_byte_and_with_a_tail() -> None:
    for length in range(len(ANSWER)):
        assert cut(ANSWER[:length]) == (None, 0, "")
    for tail in (b"", b"\x00", ANSWER):
        found = cut(ANSWER + tail)
        assert found.envelope is not None
        assert found.end == len(ANSWER)


@pytest.mark.parametrize(
    "start",
    [
        "15 01 01",
        "15 01 00 01",
        "15 01 00 00 00 00",
        "15 01 00 00 00 02",  # a PDU has at least 2 bytes
        "15 01 00 00 00 FF",
        "15 01 00 00 FF FF",
        "48 54 54 50 2F 31",  # HTTP/1
    ],
)
def test_what_can_never_become_a_frame_is_told_at_once(start: str) -> None:
    found = cut(bytes.fromhex(start))
    assert found.envelope is None
    assert found.broken


def test_the_largest_frame_is_whole() -> None:
    whole = frame(1, 1, bytes(253))
    assert len(whole) == FRAME_MAX_B
    assert cut(whole).end == FRAME_MAX_B


@pytest.mark.parametrize(
    ("number", "unit", "pdu"),
    [(-1, 1, b"ab"), (NUMBER_MAX + 1, 1, b"ab"), (1, 256, b"ab"), (1, 1, b"a"), (1, 1, bytes(254))],
)
def test_what_the_wire_cannot_carry(number: int, unit: int, pdu: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        frame(number, unit, pdu)


def test_numbers_go_round_and_zero_is_none_of_them() -> None:
    number, seen = 1, []
    for _ in range(NUMBER_MAX):
        seen.append(number)
        number = next_number(number)
    assert number == 1
    assert sorted(seen) == list(range(1, NUMBER_MAX + 1))
    assert next_number(0) == 1


@EXAMPLES
@given(st.binary(max_size=600))
def test_any_bytes_are_a_frame_or_wait_or_are_named(data: bytes) -> None:
    found = cut(data)
    if found.envelope is not None:
        assert not found.broken
        assert frame(*found.envelope) == data[: found.end]
    else:
        assert found.end == 0
        assert found.broken or len(data) < FRAME_MAX_B


@EXAMPLES
@given(
    st.lists(
        st.tuples(st.integers(0, 65535), st.integers(0, 255), st.binary(min_size=2, max_size=253)),
        max_size=4,
    ),
    st.binary(max_size=5),
)
def test_glued_frames_come_apart(frames: list[tuple[int, int, bytes]], tail: bytes) -> None:
    buffer = b"".join(frame(*one) for one in frames) + tail
    for one in frames:
        found = cut(buffer)
        assert found.envelope == one
        buffer = buffer[found.end :]
    assert buffer == tail
