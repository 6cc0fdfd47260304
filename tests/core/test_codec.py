"""The wire: what goes out comes back, and what cannot be read is refused by name."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core.codec import decode_batch, encode_batch, inflate, is_log, payload_hash
from egret_core.errors import WireError
from egret_core.messages import (
    ENTRIES_MAX,
    INFLATED_MAX_B,
    PAYLOAD_MAX_B,
    Batch,
    ClockStamp,
    Kind,
    Reject,
)

LOG = "0123456789abcdef0123456789abcdef"

# The promise: this body, byte for byte. A change here breaks every gateway in the field.
GOLDEN = (
    b'{"v":1,"gw":"XM-TA-0042","log":"0123456789abcdef0123456789abcdef","seq":123456,'
    b'"k":"readings","mv":"9f86d081884c7d65","ts":1795340000123,"bt":1795340000000,'
    b'"clk":{"src":"gnss","off_ms":3},"e":[{"s":"st0007","c":"wl","v":3.412,"t":-60000},'
    b'{"s":"st0007","c":"pz1","v":null,"t":-60000,"q":9,"f":8}]}'
)


def batch(**changes: object) -> Batch:
    base = Batch(
        gateway="XM-TA-0042",
        log=LOG,
        seq=123456,
        kind=Kind.READINGS,
        meta_version="9f86d081884c7d65",
        cut_ms=1795340000123,
        base_ms=1795340000000,
        clock=ClockStamp("gnss", 3),
        entries=(
            {"s": "st0007", "c": "wl", "v": 3.412, "t": -60000},
            {"s": "st0007", "c": "pz1", "v": None, "t": -60000, "q": 9, "f": 8},
        ),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def body(**changes: object) -> bytes:
    return json.dumps({**json.loads(GOLDEN), **changes}).encode()


def refusal(payload: bytes) -> str:
    with pytest.raises(WireError) as caught:
        decode_batch(payload)
    assert caught.value.detail
    return caught.value.why


def test_the_golden_body_goes_both_ways() -> None:
    assert encode_batch(batch()) == GOLDEN
    assert decode_batch(GOLDEN) == batch()


@pytest.mark.parametrize("level", range(10))
def test_every_zlib_level_is_read_alike(level: int) -> None:
    assert decode_batch(zlib.compress(GOLDEN, level)) == batch()


def test_small_bodies_are_plain_and_large_ones_compressed() -> None:
    small, large = batch(), batch(entries=batch().entries * 20)
    assert encode_batch(small)[:1] == b"{"
    assert encode_batch(large)[:1] == b"\x78"
    assert decode_batch(encode_batch(large)) == large


def test_equal_batches_give_equal_bytes() -> None:
    large = batch(entries=batch().entries * 20)
    assert encode_batch(large) == encode_batch(decode_batch(encode_batch(large)))


def test_unknown_fields_are_kept() -> None:
    later = decode_batch(body(tilt_model="x9", sig=[1, 2]))
    assert later.extra == {"tilt_model": "x9", "sig": [1, 2]}
    assert decode_batch(encode_batch(later)) == later


def test_an_unknown_kind_is_no_fault() -> None:
    assert decode_batch(body(k="waveform")).kind == "waveform"


def test_an_unknown_major_version_is_refused_by_name_and_not_for_ever() -> None:
    assert refusal(body(v=2)) == Reject.VERSION
    assert not Reject.VERSION.final
    assert not Reject.CONFLICT.final
    assert Reject.MALFORMED.final


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", Reject.UNREADABLE),
        (b"hello", Reject.UNREADABLE),
        (b"{", Reject.UNREADABLE),
        (b"{}", Reject.MALFORMED),
        (b"{" + b'"a":{' * 5000, Reject.UNREADABLE),
        (GOLDEN[:-1], Reject.UNREADABLE),
        (zlib.compress(GOLDEN)[:-4], Reject.UNREADABLE),
        (zlib.compress(GOLDEN) + b"x", Reject.UNREADABLE),
        (b"\x78\x9c" + b"\x00" * 40, Reject.UNREADABLE),
        (zlib.compress(b"[1]"), Reject.MALFORMED),
        (b"x" * (200 * 1024), Reject.TOO_LARGE),
        (zlib.compress(b" " * (INFLATED_MAX_B + 1)), Reject.BOMB),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(payload: bytes, why: Reject) -> None:
    assert refusal(payload) == why


@pytest.mark.parametrize(
    "change",
    [
        {"v": True},
        {"v": "1"},
        {"gw": "a/b"},
        {"gw": "a+b"},
        {"gw": "x" * 49},
        {"log": LOG.upper()},
        {"log": LOG[:-1]},
        {"seq": 0},
        {"seq": 1.5},
        {"seq": True},
        {"seq": 2**53},
        {"k": 7},
        {"k": "x" * 65},
        {"mv": None},
        {"ts": "now"},
        {"bt": None},
        {"clk": None},
        {"clk": {"src": "ntp"}},
        {"e": {}},
        {"e": [0] * (ENTRIES_MAX + 1)},
    ],
)
def test_a_field_of_the_wrong_shape_is_refused(change: dict[str, object]) -> None:
    assert refusal(body(**change)) == Reject.MALFORMED


def test_a_bomb_is_stopped_before_it_is_unpacked() -> None:
    bomb = zlib.compress(b"0" * 50_000_000, 9)
    assert len(bomb) < PAYLOAD_MAX_B
    assert refusal(bomb) == Reject.BOMB


def test_just_below_the_limits_is_taken() -> None:
    filler = GOLDEN + b" " * (INFLATED_MAX_B - len(GOLDEN))
    assert inflate(zlib.compress(filler)) == filler


def test_nan_spoils_its_entry_and_not_its_batch() -> None:
    text = GOLDEN.replace(b"3.412", b"NaN")
    assert decode_batch(text).entries[0]["v"] == "NaN"


def test_nan_and_oversize_never_leave() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        encode_batch(batch(entries=({"v": float("nan")},)))
    with pytest.raises(ValueError, match="over the limit"):
        encode_batch(batch(entries=tuple({"x": i * 7919 % 10007} for i in range(100_000))))


def test_log_ids() -> None:
    assert is_log(LOG)
    assert not is_log(LOG + "0")
    assert not is_log(None)


words = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789_-", min_size=1, max_size=48)
whole = st.integers(-(2**53) + 1, 2**53 - 1)


@given(
    gateway=words,
    seq=st.integers(1, 2**53 - 1),
    cut=whole,
    base=whole,
    entries=st.lists(st.dictionaries(words, st.none() | whole | st.text(), max_size=5), max_size=9),
)
def test_any_batch_comes_back_as_it_left(
    gateway: str, seq: int, cut: int, base: int, entries: list[dict[str, object]]
) -> None:
    one = batch(gateway=gateway, seq=seq, cut_ms=cut, base_ms=base, entries=tuple(entries))
    assert decode_batch(encode_batch(one)) == one


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(payload: bytes) -> None:
    for candidate in (payload, b"{" + payload, b"\x78" + payload):
        try:
            decode_batch(candidate)
        except WireError as error:
            assert Reject(error.why)  # noqa: PT017  (any other exception fails the test)


def test_the_hash_that_travels_is_the_beginning_of_sha_256() -> None:
    assert payload_hash(b"abc") == "ba7816bf8f01cfea"  # FIPS 180-4, example of one block
