"""Reason bits by name, those of a later version too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egret_core.quality import REASONS_MAX, Reason, bit_names


def test_bits_are_named_in_their_order_and_unknown_ones_by_their_place() -> None:
    assert bit_names(0, Reason) == []
    assert bit_names(Reason.CRC | Reason.MAINTENANCE, Reason) == ["MAINTENANCE", "CRC"]
    assert bit_names(1 << 30 | Reason.GAP, Reason) == ["GAP", "BIT_30"]


@given(st.integers(0, REASONS_MAX))
def test_no_bit_is_left_out_or_named_twice(bits: int) -> None:
    found = bit_names(bits, Reason)
    assert len(found) == len(set(found)) == bits.bit_count()
