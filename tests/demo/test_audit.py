"""The demo's proof must be able to fail: one reading lost, changed or invented is named."""

from __future__ import annotations

from egret_core.codec import encode_batch
from egret_core.entries import entries_of
from egret_core.messages import Batch, ClockStamp, Kind
from egret_core.reading import Reading
from egret_demo import audit

LOG = "ab" * 16
MOMENT = 10_000


def payload(seq: int, *readings: Reading, kind: str = Kind.READINGS) -> bytes:
    entries = entries_of(readings, 0)
    return encode_batch(
        Batch("g", LOG, seq, kind, "m", MOMENT, 0, ClockStamp("ntp", 0), tuple(entries))
    )


def reading(time_ms: int, value: float | None = 1.5) -> Reading:
    return Reading("bridge", "wl", time_ms, value)


def key(time_ms: int) -> audit.Identity:
    return ("bridge", "wl", time_ms)


TAKEN = audit.taken([payload(1, reading(1), reading(2, None)), payload(2, reading(3))], MOMENT)
STORED: dict[audit.Identity, float | None] = {key(1): 1.5, key(2): None, key(3): 1.5}


def test_all_there_is_kept() -> None:
    verdict = audit.compare(TAKEN, STORED)
    assert verdict == audit.Verdict(3, 3, (), (), ())
    assert verdict.kept


def test_a_lost_reading_is_named() -> None:
    lost = {identity: value for identity, value in STORED.items() if identity != key(2)}
    verdict = audit.compare(TAKEN, lost)
    assert verdict.missing == (key(2),)
    assert not verdict.kept


def test_equal_counts_do_not_hide_a_swap() -> None:
    swapped = {key(1): 1.5, key(2): None, key(4): 1.5}
    verdict = audit.compare(TAKEN, swapped)
    assert (verdict.taken, verdict.stored) == (3, 3)
    assert (verdict.missing, verdict.foreign) == ((key(3),), (key(4),))
    assert not verdict.kept


def test_a_changed_value_is_named() -> None:
    verdict = audit.compare(TAKEN, STORED | {key(2): 0.0})
    assert verdict.altered == (key(2),)
    assert not verdict.kept


def test_nothing_taken_proves_nothing() -> None:
    assert not audit.compare(audit.taken([], MOMENT), {}).kept


def test_what_came_after_the_moment_is_left_out() -> None:
    late = audit.taken([payload(1, reading(MOMENT - 1), reading(MOMENT))], MOMENT)
    assert set(late.readings) == {key(MOMENT - 1)}


def test_the_first_value_of_an_identity_counts_and_other_kinds_hold_none() -> None:
    found = audit.taken(
        [payload(1, reading(1, 1.0)), payload(2, reading(1, 2.0)), payload(3, kind=Kind.META)],
        MOMENT,
    )
    assert (dict(found.readings), found.batches) == ({key(1): 1.0}, 3)
