"""Portions, seals and drafts as pure functions: nothing is lost between samples and bytes."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from egret_core.codec import decode_batch
from egret_core.entries import read_readings
from egret_core.messages import ClockStamp
from egret_core.quality import FLAGS, Flag, Reason
from egret_gateway.outbox import cutting
from egret_gateway.outbox.cutting import Draft, Identity
from egret_gateway.outbox.model import BATCH_PLAIN_MAX_B, BATCH_READINGS_MAX
from egret_gateway.sample import Sample

WHO = Identity("XM-TA-0042", "a" * 32, 7)
IDS = st.text("abcXYZ019_-", min_size=1, max_size=48)
NUMBERS = st.none() | st.floats(allow_nan=True, allow_infinity=True, width=64)
SAMPLES = st.builds(
    Sample,
    station=IDS,
    channel=IDS,
    mono_ms=st.integers(0, 2**40),
    value=NUMBERS,
    raw=NUMBERS,
    flag=st.sampled_from(sorted(FLAGS)),
    reasons=st.integers(0, 2**20 - 1),
    urgent=st.booleans(),
)
LOADS = st.lists(SAMPLES, min_size=1, max_size=450)


def draft(samples: tuple[Sample, ...]) -> Draft:
    return Draft("boot-1", 5_000, "m" * 16, samples)


def same(one: float | None, other: float | None) -> bool:
    if one is None or not math.isfinite(one):
        return other is None
    return other == one


@given(LOADS)
def test_portions_hold_every_sample_in_order_within_their_limits(load: list[Sample]) -> None:
    portions = list(cutting.portions(load))
    flat = [sample for portion in portions for sample in portion]
    assert [(s.station, s.channel, s.mono_ms) for s in flat] == [
        (s.station, s.channel, s.mono_ms) for s in load
    ]
    assert all(1 <= len(portion) <= BATCH_READINGS_MAX for portion in portions)
    for portion in portions:
        body = json.dumps([list(sample) for sample in portion])
        assert len(portion) == 1 or len(body) < 2 * BATCH_PLAIN_MAX_B


@given(LOADS)
def test_a_sealed_batch_gives_back_what_went_in(load: list[Sample]) -> None:
    for portion in cutting.portions(load):
        dates = [1_795_340_000_000 + sample.mono_ms for sample in portion]
        body = cutting.sealed(WHO, draft(portion), dates, 1_795_340_000_500, ClockStamp("ntp", 3))
        batch = decode_batch(body)
        assert Identity(batch.gateway, batch.log, batch.seq) == WHO
        found = read_readings(batch)
        assert found.bad == []
        assert found.undated == []
        for sample, date, reading in zip(portion, dates, found.dated, strict=True):
            assert reading.time_ms == date
            assert same(sample.value, reading.value)
            assert (reading.flag, reading.reasons) == (sample.flag, sample.reasons)


def test_what_json_cannot_carry_becomes_a_failed_reading() -> None:
    load = [Sample("s", "c", 1, math.nan), Sample("s", "c", 2, 1.0, math.inf, 1, 4)]
    (portion,) = cutting.portions(load)
    assert [(s.value, s.raw, s.flag) for s in portion] == [(None, None, Flag.FAIL)] * 2
    assert portion[1].reasons == Reason.NOT_A_NUMBER | Reason.CLOCK


@given(LOADS)
def test_a_draft_survives_the_file(load: list[Sample]) -> None:
    for portion in cutting.portions(load):
        kept = draft(portion)
        assert cutting.read_draft(cutting.write_draft(kept)) == kept


@given(LOADS)
def test_an_undated_batch_loses_nothing_but_the_dates(load: list[Sample]) -> None:
    for portion in cutting.portions(load):
        found = read_readings(decode_batch(cutting.undated(WHO, draft(portion))))
        assert found.dated == []
        assert [u.at for u in found.undated] == list(range(len(portion)))
        for sample, one in zip(portion, found.undated, strict=True):
            assert same(sample.value, one.value)
            assert one.reasons == sample.reasons | Reason.UNDATED


def test_one_sample_without_a_date_leaves_the_whole_batch_undated() -> None:
    load = draft((Sample("s", "c", 1, 1.0), Sample("s", "c", 2, 2.0)))
    assert cutting.dates_of(load, lambda mono: mono + 10) == [11, 12]
    assert cutting.dates_of(load, lambda mono: None if mono == 2 else mono) is None


def test_equal_batches_have_equal_bytes() -> None:
    load = draft((Sample("s", "c", 1, 1.0), Sample("s", "c", 2, 2.0)))
    one = cutting.sealed(WHO, load, [1, 2], 3, ClockStamp())
    two = cutting.sealed(WHO, load, [1, 2], 3, ClockStamp())
    assert one == two


def test_a_batch_dated_late_says_so_and_nothing_else() -> None:
    load = draft((Sample("s", "c", 1, 1.0, None, 3, int(Reason.RANGE)),))
    (sample,) = cutting.worked_out(load).samples
    assert sample.reasons == Reason.RANGE | Reason.CLOCK
    assert (sample.value, sample.flag) == (1.0, 3)


def test_nothing_gives_nothing() -> None:
    assert list(cutting.portions([])) == []
