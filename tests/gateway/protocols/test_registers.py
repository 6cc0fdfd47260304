from __future__ import annotations

import math

import pytest

from egret_gateway.errors import DecodeError
from egret_gateway.protocols.registers import ORDERS, WORDS, bits_of, decode, encode


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("ABCD", (0x4048, 0xF5C3)),
        ("CDAB", (0xF5C3, 0x4048)),
        ("BADC", (0x4840, 0xC3F5)),
        ("DCBA", (0xC3F5, 0x4840)),
    ],
)
def test_3_14_in_four_orders(order: str, words: tuple[int, int]) -> None:
    assert decode(words, "f32", order) == pytest.approx(3.14, abs=1e-6)
    assert encode(3.14, "f32", order) == words


@pytest.mark.parametrize(
    ("kind", "words", "order", "value"),
    [
        ("u16", (0xFFFF,), "ABCD", 65535),
        ("i16", (0xFF9C,), "ABCD", -100),
        ("u16", (0x3412,), "BADC", 0x1234),
        ("sign16", (0x8005,), "ABCD", -5),
        ("sign16", (0x0005,), "ABCD", 5),
        ("u32", (0x86A0, 0x0001), "CDAB", 100000),
        ("i32", (0xFFFF, 0xFFFF), "ABCD", -1),
        ("bcd16", (0x1234,), "ABCD", 1234),
        ("bcd16", (0x3412,), "BADC", 1234),
        ("bcd32", (0x1234, 0x5678), "ABCD", 12345678),
        ("bcd32", (0x5678, 0x1234), "CDAB", 12345678),
        ("u64", (0, 0, 0x0001, 0x86A0), "ABCD", 100000),
        ("u64", (0x86A0, 0x0001, 0, 0), "CDAB", 100000),
        ("u64", (0xFFFF,) * 4, "DCBA", 2**64 - 1),
        ("i64", (0xFFFF, 0xFFFF, 0xFFFF, 0xFF9C), "ABCD", -100),
        ("i64", (0x9CFF, 0xFFFF, 0xFFFF, 0xFFFF), "DCBA", -100),
        ("bit", (1,), "ABCD", 1),
    ],
)
def test_integers_there_and_back(
    kind: str, words: tuple[int, ...], order: str, value: float
) -> None:
    decoded = decode(words, kind, order)
    assert decoded == value
    assert isinstance(decoded, int)
    assert encode(value, kind, order) == words


@pytest.mark.parametrize("kind", sorted(WORDS))
def test_every_order_undoes_itself(kind: str) -> None:
    for order in ORDERS if WORDS[kind] > 1 else ("ABCD", "BADC"):
        assert decode(encode(1234, kind, order), kind, order) == 1234


# IEEE 754: 3.14 as a double is 40091EB8 51EB851F.
@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("ABCD", (0x4009, 0x1EB8, 0x51EB, 0x851F)),
        ("CDAB", (0x851F, 0x51EB, 0x1EB8, 0x4009)),
        ("BADC", (0x0940, 0xB81E, 0xEB51, 0x1F85)),
        ("DCBA", (0x1F85, 0xEB51, 0xB81E, 0x0940)),
    ],
)
def test_a_double_in_four_orders(order: str, words: tuple[int, ...]) -> None:
    assert decode(words, "f64", order) == 3.14
    assert encode(3.14, "f64", order) == words


@pytest.mark.parametrize(("kind", "words"), [("bcd16", (0x12A4,)), ("bcd32", (0xF000, 0))])
def test_what_is_no_decimal_digit_is_no_number(kind: str, words: tuple[int, ...]) -> None:
    assert math.isnan(decode(words, kind, "ABCD"))


@pytest.mark.parametrize(
    ("value", "low", "high", "bits"),
    [(0xA5F0, 0, 3, 0), (0xA5F0, 4, 7, 15), (0xA5F0, 15, 15, 1), (2**63, 63, 63, 1), (7, 0, 15, 7)],
)
def test_bits_of_a_register(value: int, low: int, high: int, bits: int) -> None:
    assert bits_of(value, low, high) == bits


def test_nan_is_decoded_as_nan_for_screening_to_refuse() -> None:
    assert math.isnan(decode((0x7FC0, 0), "f32", "ABCD"))


def test_a_wrong_number_of_registers_is_refused() -> None:
    with pytest.raises(DecodeError, match="2 registers"):
        decode((1,), "f32", "ABCD")


@pytest.mark.parametrize(
    ("kind", "value"),
    [("u16", 70000), ("u16", -1), ("i16", 40000), ("bcd16", 10000), ("bcd16", -1), ("u64", 2**64)],
)
def test_what_a_type_cannot_hold_is_refused(kind: str, value: float) -> None:
    with pytest.raises(DecodeError, match="cannot hold"):
        encode(value, kind, "ABCD")
