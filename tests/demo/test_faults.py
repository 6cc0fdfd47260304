"""What the line makes of replies: at its share, findable by CRC, and by the same dice alike."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_demo.faults import Answer, Fate, Faults, suffer
from egret_gateway.protocols.modbus_pdu import Shape
from egret_gateway.protocols.modbus_rtu import crc16, hunt, sealed
from egret_gateway.protocols.modbus_rtu_slave import Request, reply

FRAMES = st.integers(1, 60).flatmap(
    lambda words: st.lists(st.integers(0, 0xFFFF), min_size=words, max_size=words)
)


def frame_of(registers: list[int], unit: int = 7) -> bytes:
    return reply(Request(unit, 4, 0, len(registers), 8), registers)


@given(FRAMES, st.randoms(use_true_random=False))
def test_a_flipped_reply_differs_in_one_bit_and_never_passes(
    registers: list[int], random: Random
) -> None:
    good = frame_of(registers)
    given_ = suffer(good, Faults(crc_share=1.0), random)
    assert given_.fate is Fate.CRC
    changed = [a ^ b for a, b in zip(good, given_.frame, strict=True)]
    assert sum(bits.bit_count() for bits in changed) == 1
    assert crc16(given_.frame) != 0
    assert hunt(given_.frame, [Shape(7, 4, len(registers))]).frame is None


@given(FRAMES, st.randoms(use_true_random=False))
def test_late_and_whole_replies_are_unchanged(registers: list[int], random: Random) -> None:
    good = frame_of(registers)
    late = suffer(good, Faults(late_share=1.0, late_s=0.7), random)
    assert late == Answer(good, 0.7, Fate.LATE)
    whole = suffer(good, Faults(turnaround_s=0.01), random)
    assert whole == Answer(good, 0.01, Fate.WHOLE)


def test_a_dead_unit_is_dead_whatever_else_it_is() -> None:
    faults = Faults(dead=True, crc_share=1.0, late_share=1.0)
    assert suffer(b"abc", faults, Random(1)) == Answer(b"", 0.0, Fate.DEAD)


def test_a_sound_unit_never_fails() -> None:
    fates = Counter(suffer(frame_of([1]), Faults(), Random(n)).fate for n in range(2000))
    assert fates == Counter({Fate.WHOLE: 2000})


@pytest.mark.parametrize(("crc", "late"), [(0.0, 0.5), (0.5, 0.0), (0.3, 0.3), (0.08, 0.08)])
def test_shares_are_kept_side_by_side(crc: float, late: float) -> None:
    random = Random(4)
    faults = Faults(crc_share=crc, late_share=late)
    fates = Counter(suffer(frame_of([1, 2]), faults, random).fate for _ in range(20_000))
    assert fates[Fate.CRC] / 20_000 == pytest.approx(crc, abs=0.012)
    assert fates[Fate.LATE] / 20_000 == pytest.approx(late, abs=0.012)
    assert fates[Fate.WHOLE] / 20_000 == pytest.approx(1 - crc - late, abs=0.015)


def test_every_bit_of_a_frame_may_be_hit() -> None:
    good = sealed(b"\x01\x04\x02\x00\x00")
    random = Random(6)
    hit = set()
    for _ in range(3000):
        bad = suffer(good, Faults(crc_share=1.0), random).frame
        hit |= {i * 8 + bit for i, (a, b) in enumerate(zip(good, bad, strict=True))
                for bit in range(8) if (a ^ b) >> bit & 1}  # fmt: skip
    assert hit == set(range(8 * len(good)))
