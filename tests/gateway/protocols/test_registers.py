from __future__ import annotations

import math

import pytest

from egret_gateway.errors import DecodeError
from egret_gateway.protocols.registers import ORDERS, WORDS, decode, encode


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
    for order in ORDERS if WORDS[kind] == 2 else ("ABCD", "BADC"):
        assert decode(encode(1234, kind, order), kind, order) == 1234


def test_nan_is_decoded_as_nan_for_screening_to_refuse() -> None:
    assert math.isnan(decode((0x7FC0, 0), "f32", "ABCD"))


def test_a_wrong_number_of_registers_is_refused() -> None:
    with pytest.raises(DecodeError, match="2 registers"):
        decode((1,), "f32", "ABCD")


@pytest.mark.parametrize(("kind", "value"), [("u16", 70000), ("u16", -1), ("i16", 40000)])
def test_what_a_type_cannot_hold_is_refused(kind: str, value: float) -> None:
    with pytest.raises(DecodeError, match="cannot hold"):
        encode(value, kind, "ABCD")
