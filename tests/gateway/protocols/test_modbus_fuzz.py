"""Whatever comes in: only the exact frame comes out, and nothing breaks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from egret_gateway.protocols.modbus_pdu import Shape
from egret_gateway.protocols.modbus_rtu import crc16, hunt, read_request
from egret_gateway.protocols.modbus_rtu_slave import Request, find_request, reply
from egret_gateway.protocols.registers import ORDERS, WORDS, decode, encode

SHAPES = st.builds(Shape, st.integers(1, 255), st.sampled_from((3, 4)), st.integers(1, 125))
EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True)


@EXAMPLES
@given(st.binary(max_size=300), SHAPES)
def test_noise_is_never_a_value_unless_it_is_exact(noise: bytes, shape: Shape) -> None:
    found = hunt(noise, (shape,))
    if found.frame is None:
        assert found.missing >= 1
        return
    frame = noise[found.frame.start : found.frame.end]
    assert crc16(frame) == 0
    assert frame[0] == shape.unit
    assert len(frame) == (5 if found.frame.exception else shape.reply_chars)


@EXAMPLES
@given(SHAPES, st.binary(max_size=8), st.binary(max_size=8), st.data())
def test_a_reply_is_found_with_its_registers_whatever_surrounds_it(
    shape: Shape, before: bytes, after: bytes, data: st.DataObject
) -> None:
    words = data.draw(st.lists(st.integers(0, 65535), min_size=shape.words, max_size=shape.words))
    frame = reply(Request(shape.unit, shape.fc, 0, shape.words, 8), words)
    found = hunt(before + frame + after, (shape,)).frame
    assert found is not None
    # A shorter exact frame may by chance begin in the noise; then it is no wrong value either.
    if found.start == len(before):
        assert list(found.registers) == words


@EXAMPLES
@given(SHAPES, st.integers(0, 65536 - 125), st.binary(max_size=20))
def test_requests_are_read_back_by_the_slave(shape: Shape, address: int, before: bytes) -> None:
    data = before + read_request(shape, address)
    found = find_request(data, {shape.unit})
    assert found is not None
    if found.end == len(data):
        assert (found.shape, found.address) == (shape, address)


@EXAMPLES
@given(st.sampled_from(("u16", "i16", "u32", "i32", "u64", "i64")), st.data())
def test_integers_survive_every_order(kind: str, data: st.DataObject) -> None:
    bits = 16 * WORDS[kind]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind[0] == "i" else (0, 2**bits - 1)
    value = data.draw(st.integers(low, high))
    for order in ORDERS if WORDS[kind] > 1 else ("ABCD", "BADC"):
        assert decode(encode(value, kind, order), kind, order) == value


@EXAMPLES
@given(st.floats(width=32, allow_nan=False))
def test_floats_survive_every_order(value: float) -> None:
    for order in ORDERS:
        assert decode(encode(value, "f32", order), "f32", order) == value


@EXAMPLES
@given(st.floats(allow_nan=False))
def test_doubles_survive_every_order(value: float) -> None:
    for order in ORDERS:
        assert decode(encode(value, "f64", order), "f64", order) == value


@EXAMPLES
@given(st.integers(0, 99_999_999))
def test_decimal_digits_survive_every_order(value: int) -> None:
    for order in ORDERS:
        assert decode(encode(value, "bcd32", order), "bcd32", order) == value


@EXAMPLES
@given(st.sampled_from(sorted(WORDS)), st.sampled_from(ORDERS), st.data())
def test_any_registers_are_a_number_or_none(kind: str, order: str, data: st.DataObject) -> None:
    count = WORDS[kind]
    words = data.draw(st.lists(st.integers(0, 65535), min_size=count, max_size=count))
    assert isinstance(decode(words, kind, order), int | float)
