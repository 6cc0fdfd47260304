"""Entries: each is taken or set aside on its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core.codec import decode_batch, encode_batch
from egret_core.entries import (
    entries_of,
    loss_entry,
    meta_entry,
    read_losses,
    read_metas,
    read_readings,
    undated_entry,
)
from egret_core.messages import (
    TIME_MAX_MS,
    TIME_MIN_MS,
    Batch,
    ChannelMeta,
    ClockStamp,
    Kind,
    Loss,
)
from egret_core.quality import FLAGS, REASONS_MAX
from egret_core.reading import Reading, Undated

LOG = "ab" * 16
BASE = 1795340000000
GOOD = Reading("st1", "wl", BASE - 60000, 3.412)
META = ChannelMeta(
    station="st1",
    channel="wl",
    quantity="water_level",
    unit="m",
    datum="Luoling",
    profile="vega-vegapuls-c@1",
    period_s=60.0,
    formula="linear",
    constants={"scale": 0.01},
    watch_at=3.2,
    extra={"position": [24.5, 118.1]},
)


def batch(*entries: object, kind: str = Kind.READINGS) -> Batch:
    return Batch("gw1", LOG, 1, kind, "m1", BASE, BASE, ClockStamp(), tuple(entries))


def entry(**changes: object) -> dict[str, object]:
    return {"s": "st1", "c": "wl", "t": -60000, "v": 3.412, **changes}


def test_a_reading_goes_both_ways_with_defaults_left_out() -> None:
    (written,) = entries_of([GOOD], BASE)
    assert written == entry()
    assert read_readings(batch(written)).dated == [GOOD]


def test_doubt_and_raw_travel() -> None:
    doubtful = Reading("st1", "pz", BASE, None, raw=811.0, flag=9, reasons=8)
    (written,) = entries_of([doubtful], BASE)
    assert written == {"s": "st1", "c": "pz", "v": None, "r": 811.0, "t": 0, "q": 9, "f": 8}
    assert read_readings(batch(written)).dated == [doubtful]


def test_an_undated_reading_has_no_time_and_keeps_its_place() -> None:
    lost = Undated(1, "st1", "wl", 3.4, None, 2, 16384)
    read = read_readings(batch(entry(), undated_entry(lost)))
    assert read.dated == [GOOD]
    assert read.undated == [lost]


@pytest.mark.parametrize(
    "bad",
    [
        7,
        None,
        [],
        {},
        entry(s="a/b"),
        entry(c="a+b"),
        entry(s=None),
        entry(t="soon"),
        entry(t=1.5),
        entry(t=True),
        entry(t=2**60),
        entry(v="NaN"),
        entry(v=True),
        entry(v=2**70),
        entry(r="Infinity"),
        entry(q=5),
        entry(q=True),
        entry(q=1.0),
        entry(f=-1),
        entry(f=2**31),
        entry(f="2"),
    ],
)
def test_one_bad_entry_is_set_aside_and_its_neighbours_are_taken(bad: object) -> None:
    read = read_readings(batch(entry(), bad, entry(c="rain")))
    assert [r.channel for r in read.dated] == ["wl", "rain"]
    assert [(b.at, bool(b.why)) for b in read.bad] == [(1, True)]
    assert read.undated == []


def test_no_time_is_refused_for_its_value() -> None:
    for year_1970, year_2100 in ((-BASE, 4102444800000 - BASE),):
        read = read_readings(batch(entry(t=year_1970), entry(t=year_2100)))
        assert [r.time_ms for r in read.dated] == [0, 4102444800000]


def test_nan_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="cannot travel"):
        entries_of([GOOD._replace(value=float("nan"))], BASE)
    with pytest.raises(ValueError, match="cannot travel"):
        entries_of([GOOD._replace(raw=float("inf"))], BASE)


def test_whole_numbers_are_read_as_floats() -> None:
    (reading,) = read_readings(batch(entry(v=3, r=4))).dated
    assert (type(reading.value), type(reading.raw)) == (float, float)


def test_a_bad_entrys_text_is_kept_but_bounded() -> None:
    (bad,) = read_readings(batch({"s": "x" * 100_000})).bad
    assert 0 < len(bad.text) <= 2000


def test_meta_goes_both_ways_with_facts_of_later_versions() -> None:
    read = read_metas(batch(meta_entry(META), kind=Kind.META))
    assert read.channels == [META]
    assert read.bad == []


@pytest.mark.parametrize(
    "change",
    [
        {"station": "a b"},
        {"quantity": "waterlevel"},
        {"unit": "ft"},
        {"datum": 3},
        {"period_s": None},
        {"watch_at": "3"},
        {"constants": [1]},
    ],
)
def test_meta_that_cannot_be_used_is_set_aside(change: dict[str, object]) -> None:
    good = meta_entry(META)
    read = read_metas(batch({**good, **change}, good, "x", kind=Kind.META))
    assert read.channels == [META]
    assert [bad.at for bad in read.bad] == [0, 2]


def test_losses_go_both_ways() -> None:
    loss = Loss(LOG, ((3, 9), (12, 12)), BASE, BASE + 1, ("st1/wl",), 160, "space", ("00ff",))
    unknown_span = replace(loss, from_ms=None, to_ms=None)
    read = read_losses(batch(loss_entry(loss), loss_entry(unknown_span), kind=Kind.LOSS))
    assert read.records == [loss, unknown_span]


def test_losses_survive_the_wire() -> None:
    loss = Loss(LOG, ((3, 9),), BASE, BASE + 1, ("st1/wl",), 160, "space")
    sent = batch(loss_entry(loss), kind=Kind.LOSS)
    assert read_losses(decode_batch(encode_batch(sent))).records == [loss]


@pytest.mark.parametrize(
    "change", [{"log": "x"}, {"seqs": [[9, 3]]}, {"from_ms": "x"}, {"count": None}, {"seqs": 5}]
)
def test_a_bad_loss_is_set_aside(change: dict[str, object]) -> None:
    good = loss_entry(Loss(LOG, ((3, 9),), None, None, (), 1, "space"))
    read = read_losses(batch({**good, **change}, {}, 4, good, kind=Kind.LOSS))
    assert len(read.records) == 1
    assert [bad.at for bad in read.bad] == [0, 1, 2]


ids = st.text("abcXYZ019_-", min_size=1, max_size=48)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
readings = st.builds(
    Reading,
    ids,
    ids,
    st.integers(TIME_MIN_MS, TIME_MAX_MS),
    numbers,
    numbers,
    st.sampled_from(sorted(FLAGS)),
    st.integers(0, REASONS_MAX),
)


@given(st.lists(readings, max_size=50), st.integers(0, 2**50))
def test_any_readings_come_back_through_the_wire(sent: list[Reading], base: int) -> None:
    one = replace(batch(*entries_of(sent, base)), base_ms=base)
    assert read_readings(decode_batch(encode_batch(one))) == (sent, [], [])


@given(st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_every_entry_ends_in_exactly_one_list(entries: list[object]) -> None:
    for reader in (read_readings, read_metas, read_losses):
        read = reader(batch(*entries))
        assert sum(len(part) for part in read) == len(entries)
