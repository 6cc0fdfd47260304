"""What waits for one client is bounded, and warnings are never dropped in silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.api.hub import CLIENTS_MAX, Hub, encoded
from egret_aggregator.api.mailbox import WARNINGS_MAX, End, Event, Mailbox


def warning(seq: int) -> Event:
    return Event(seq, b"w")


def test_warnings_come_first_and_in_order() -> None:
    box = Mailbox(wants_observations=True)
    box.put_observation(Event(0, b"o1"))
    box.put_heartbeat(Event(0, b"h1"))
    for seq in (1, 2, 3):
        box.put_warning(warning(seq))
    box.put_observation(Event(0, b"o2"))
    box.put_heartbeat(Event(0, b"h2"))
    assert [e.seq or e.data for e in box.take()] == [1, 2, 3, b"o2", b"h2"]
    assert box.take() == []
    assert not box.filled.is_set()


def test_observations_only_for_those_who_ask() -> None:
    box = Mailbox(wants_observations=False)
    box.put_observation(Event(0, b"o"))
    assert len(box) == 0
    assert not box.filled.is_set()


def test_one_warning_too_many_ends_the_stream() -> None:
    box = Mailbox(wants_observations=False)
    for seq in range(1, WARNINGS_MAX + 1):
        box.put_warning(warning(seq))
    assert box.end is None
    box.put_warning(warning(WARNINGS_MAX + 1))
    assert box.end is End.OVERFLOW
    assert box.ended.is_set()
    assert len(box) == 0
    box.finish(End.STOPPING)
    assert box.end is End.OVERFLOW  # the first reason stays


@given(st.lists(st.sampled_from("wohw"), max_size=3000))
def test_it_never_holds_more_than_its_bound(puts: list[str]) -> None:
    box = Mailbox(wants_observations=True)
    for seq, put in enumerate(puts * 2, 1):
        if put == "w":
            box.put_warning(warning(seq))
        elif put == "o":
            box.put_observation(Event(0, b"o"))
        else:
            box.put_heartbeat(Event(0, b"h"))
        assert len(box) <= WARNINGS_MAX + 2


def test_a_hub_takes_so_many_clients_and_none_while_it_stops() -> None:
    hub = Hub()
    boxes = [Mailbox(wants_observations=False) for _ in range(CLIENTS_MAX + 1)]
    assert [hub.join(box) for box in boxes] == [True] * CLIENTS_MAX + [False]
    hub.stop()
    assert all(box.end is End.STOPPING for box in boxes[:-1])
    hub.leave(boxes[0])
    assert not hub.join(boxes[-1])


def test_an_event_is_one_block_whatever_it_says() -> None:
    text = encoded("warning", {"note": "a\nb\r\n\ndata: x", "zh": "水位"}, 7).decode()
    assert text.startswith("id: 7\nevent: warning\ndata: {")
    assert text.endswith("}\n\n")
    assert text.count("\n") == 4
    assert "水位" in text


def test_a_missed_observation_can_be_seen() -> None:
    hub, box = Hub(), Mailbox(wants_observations=True)
    hub.join(box)
    hub.observe([{"a": 1}])
    hub.observe([{"a": 2}])
    (event,) = box.take()
    assert b'"n":2,"after":1' in event.data


@pytest.mark.parametrize("end", list(End))
def test_nothing_follows_a_gap(end: End) -> None:
    box = Mailbox(wants_observations=False)
    for seq in range(1, 4):
        box.put_warning(warning(seq))
    box.finish(end)
    # What was waiting is gone: a later one would let the client believe that it has them.
    box.put_warning(warning(4))
    assert [event.seq for event in box.take()] == []


@given(st.lists(st.integers(1, 400), max_size=40))
def test_what_a_client_gets_is_always_the_next_line(bursts: list[int]) -> None:
    box, seq, got = Mailbox(wants_observations=False), 0, 0
    for number, burst in enumerate(bursts):
        for _ in range(burst):
            seq += 1
            box.put_warning(warning(seq))
        if number % 3 == 2:  # the client reads less often than the storm comes
            for event in box.take():
                assert event.seq == got + 1
                got = event.seq
    assert box.end is (End.OVERFLOW if seq and box.end else None)
    assert got <= seq


@given(st.lists(st.sampled_from("oh"), min_size=1, max_size=50))
def test_of_observations_and_heartbeats_only_the_newest_waits(puts: list[str]) -> None:
    box = Mailbox(wants_observations=True)
    newest: dict[str, bytes] = {}
    for number, put in enumerate(puts):
        data = newest[put] = f"{put}{number}".encode()
        (box.put_observation if put == "o" else box.put_heartbeat)(Event(0, data))
    assert [event.data for event in box.take()] == [newest[k] for k in "oh" if k in newest]
