"""What JSON can spell and nothing else takes: it is refused by name before anybody keeps it.

An infinite number, half a character or a tower of brackets that got through would end a reader
further down each time it is served again: a retained status or a journalled batch, for ever.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from egret_core.codec import DEPTH_MAX, decode_batch, is_plain_json
from egret_core.control import (
    decode_ack,
    decode_centre_status,
    decode_command,
    decode_command_ack,
    decode_status,
    encode_status,
)
from egret_core.entries import Losses, Metas, Readings, read_losses, read_metas, read_readings
from egret_core.errors import WireError
from egret_core.messages import TIME_MAX_MS, TIME_MIN_MS, Reject
from egret_core.seqranges import SEQ_MAX, told

LOG = "ab" * 16
STATUS: dict[str, Any] = {
    "v": 1,
    "gw": "gw1",
    "state": "online",
    "held": {LOG: [[1, 5]]},
    "cur": LOG,
    "outbox": {"bytes": 1},
    "clk": {"src": "ntp", "off_ms": 0},
    "buses": {"bus0": {"ok": 1}},
    "now": 1,
}
BATCH: dict[str, Any] = {
    "v": 1,
    "gw": "gw1",
    "log": LOG,
    "seq": 1,
    "k": "readings",
    "mv": "m1",
    "ts": 1,
    "bt": 0,
    "clk": {"src": "ntp", "off_ms": 0},
    "e": [],
}
LOSS: dict[str, Any] = {
    "log": LOG,
    "seqs": [[1, 2]],
    "from_ms": None,
    "to_ms": None,
    "channels": ["st1/wl"],
    "count": 2,
    "why": "space",
}
META: dict[str, Any] = {
    "station": "st1",
    "channel": "wl",
    "quantity": "water_level",
    "unit": "m",
    "datum": "Luoling",
}
INFINITE = "@1e999@"  # written as the bare number
HALF = "\ud800"
DEEP: Any = 1
for _ in range(300):
    DEEP = [DEEP]
SPOILT = [INFINITE, "@-1e999@", HALF, {HALF: 1}, DEEP]


def text(body: object) -> bytes:
    """Return JSON with the marked numbers bare."""
    return json.dumps(body).replace('"@', "").replace('@"', "").encode()


def entries(kind: str, *items: object) -> Any:
    """Return what the reader of a kind makes of entries that came over the wire."""
    batch = decode_batch(text({**BATCH, "k": kind, "e": list(items)}))
    return {"readings": read_readings, "meta": read_metas, "loss": read_losses}[kind](batch)


@pytest.mark.parametrize("spoilt", SPOILT, ids=["inf", "-inf", "half", "half key", "deep"])
@pytest.mark.parametrize("key", ["cur", "outbox", "clk", "buses", "held", "now", "note"])
def test_a_status_with_it_is_refused_wherever_it_stands(key: str, spoilt: object) -> None:
    for body in ({**STATUS, key: spoilt}, {**STATUS, key: {"x": spoilt}}):
        with pytest.raises(WireError) as caught:
            decode_status(text(body))
        assert caught.value.why == Reject.MALFORMED


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**400, "9" * 400])
def test_a_status_with_a_number_that_readers_disagree_on_is_refused(number: object) -> None:
    bodies = (
        {**STATUS, "outbox": {"bytes": number}},
        {**STATUS, "now": number},
        {**STATUS, "clk": {"src": "ntp", "off_ms": number}},
        {**STATUS, "held": {LOG: [[1, number]]}},
    )
    for body in bodies:
        with pytest.raises(WireError) as caught:
            decode_status(text(body))
        assert caught.value.why == Reject.MALFORMED


def test_what_is_taken_of_a_status_can_be_kept_and_read_again() -> None:
    chinese = {**STATUS, "note": "同安 ☂", "buses": {"总线": {"平均": 0.25, "x": [None, True]}}}
    taken = decode_status(text(chinese))
    assert decode_status(encode_status(taken)) == taken


@pytest.mark.parametrize("spoilt", SPOILT, ids=["inf", "-inf", "half", "half key", "deep"])
def test_other_messages_are_read_or_refused_and_never_crash_the_reader(spoilt: object) -> None:
    shapes: list[tuple[Any, dict[str, Any]]] = [
        (decode_ack, {"v": 1, "log": LOG, "got": [[1, "a"]], "rej": [], "now": 1, "run": "r"}),
        (decode_command, {"v": 1, "id": "c", "exp": 1, "do": "resend", "args": {}, "now": 1}),
        (
            decode_command_ack,
            {"v": 1, "id": "c", "out": "x", "log": "", "queued": [], "gone": [], "detail": ""},
        ),
        (decode_centre_status, {"v": 1, "taking": "all", "now": 1, "run": "r"}),
    ]
    for decode, body in shapes:
        for key in body:
            for value in (spoilt, [spoilt], [[spoilt, spoilt]], {"a": spoilt}):
                try:
                    decode(text({**body, key: value}))
                except WireError as error:
                    assert Reject(error.why)  # noqa: PT017  (any other exception fails)


def test_a_resend_of_seqs_that_are_none_is_refused() -> None:
    assert told([[3, 4], [1, 2]]) == ((1, 4),)
    assert told([]) == ()
    for pairs in ([[0, 4]], [[-3, -1]], [[1, SEQ_MAX + 1]]):
        with pytest.raises(ValueError, match="out of range"):
            told(pairs)


@pytest.mark.parametrize("key", ["k", "mv", "clk"])
def test_a_batch_with_half_a_character_in_a_word_is_refused(key: str) -> None:
    value = {"src": HALF, "off_ms": 0} if key == "clk" else HALF
    with pytest.raises(WireError) as caught:
        decode_batch(text({**BATCH, key: value}))
    assert caught.value.why == Reject.MALFORMED


@pytest.mark.parametrize("spoilt", SPOILT, ids=["inf", "-inf", "half", "half key", "deep"])
def test_a_spoilt_reading_is_set_aside_with_a_text_that_can_be_kept(spoilt: object) -> None:
    good = {"s": "st1", "c": "wl", "t": 0, "v": 1.0}
    items = [good, spoilt, {**good, "v": spoilt}, {**good, "t": spoilt}, {**good, "s": spoilt}]
    read: Readings = entries("readings", *items, {**good, "t": 9})
    assert [reading.time_ms for reading in read.dated] == [0, 9]
    assert [bad.at for bad in read.bad] == [1, 2, 3, 4]
    for bad in read.bad:
        assert bad.text.encode()


@pytest.mark.parametrize("spoilt", SPOILT, ids=["inf", "-inf", "half", "half key", "deep"])
@pytest.mark.parametrize("key", ["quantity", "datum", "constants", "watch_at", "serial"])
def test_spoilt_facts_are_set_aside(key: str, spoilt: object) -> None:
    read: Metas = entries("meta", META, {**META, key: spoilt}, {**META, "channel": "t"})
    assert [meta.channel for meta in read.channels] == ["wl", "t"]
    assert [bad.at for bad in read.bad] == [1]
    assert read.bad[0].text.encode()


@pytest.mark.parametrize("spoilt", SPOILT, ids=["inf", "-inf", "half", "half key", "deep"])
@pytest.mark.parametrize("key", ["seqs", "count", "why", "from_ms", "channels", "hashes"])
def test_spoilt_losses_are_set_aside(key: str, spoilt: object) -> None:
    for value in (spoilt, [spoilt], [[1, spoilt]]):
        read: Losses = entries("loss", LOSS, {**LOSS, key: value})
        assert [loss.seqs for loss in read.records] == [((1, 2),)]
        assert [bad.at for bad in read.bad] == [1]
        assert read.bad[0].text.encode()


def test_a_loss_of_seqs_that_are_none_is_set_aside() -> None:
    read: Losses = entries("loss", {**LOSS, "seqs": [[0, 2**60]]})
    assert (read.records, read.bad[0].why) == (
        [],
        f"loss: a seq is out of range, 1 to {SEQ_MAX}",
    )


@pytest.mark.parametrize("key", ["period_s", "cut_s"])
@pytest.mark.parametrize("seconds", [-1, -1e9, 1e300, 2**53 - 1])
def test_a_cut_before_its_reading_or_for_years_is_no_fact(key: str, seconds: float) -> None:
    # A negative one would make every later reading late, a huge one would settle none.
    read: Metas = entries("meta", {**META, key: seconds})
    assert (read.channels, read.bad[0].why) == ([], "period_s or cut_s is not within a month")


def test_a_time_that_has_no_date_is_set_aside_and_its_neighbours_stay() -> None:
    def at(time_ms: int) -> dict[str, object]:
        return {"s": "st1", "c": "wl", "t": time_ms, "v": 1.0}

    edges = [TIME_MIN_MS - 1, TIME_MIN_MS, 0, TIME_MAX_MS, TIME_MAX_MS + 1]
    # Both ways through the reader: the first entry of an id is looked at wholly, later ones not.
    for first in ([at(7)], []):
        read: Readings = entries("readings", *first, *map(at, edges))
        good = [reading.time_ms for reading in read.dated][len(first) :]
        assert good == [TIME_MIN_MS, 0, TIME_MAX_MS]
        assert [bad.why for bad in read.bad] == ["t is not within the years 1 to 9998"] * 2


def test_a_base_beyond_the_calendar_spoils_only_what_it_dates() -> None:
    far = {**BATCH, "bt": 2**53 - 1}
    dated = {"s": "st1", "c": "wl", "t": 0, "v": 1.0}
    near = {"s": "st1", "c": "wl", "t": 1795340000000 - 2**53 + 1, "v": 1.0}
    undated = {"s": "st1", "c": "wl", "v": 1.0}
    read = read_readings(decode_batch(text({**far, "e": [dated, near, undated]})))
    assert [reading.time_ms for reading in read.dated] == [1795340000000]
    assert ([bad.at for bad in read.bad], [one.at for one in read.undated]) == ([0], [2])


def test_plain_json_is_told_by_depth_too() -> None:
    value: object = 1
    for _ in range(DEPTH_MAX):
        value = {"a": value}
    assert is_plain_json(value)
    assert not is_plain_json([value])
    assert is_plain_json(["水", 1.5, None, True, -3, {}])
