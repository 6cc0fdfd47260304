"""Lanes, places, resends, pause and probes, with time as a number."""

from __future__ import annotations

import pytest

from egret_core.messages import Taking
from egret_core.topics import Leaf
from egret_gateway.outbox import Parcel
from egret_gateway.uplink import window as rules
from egret_gateway.uplink.window import Key, Verdict, Window, key_of, lane

T0 = 5_000_000
LOG = "a" * 32


def parcel(seq: int, *, cut: int | None = T0, urgent: bool = False, size: int = 100) -> Parcel:
    digest = f"{seq:016x}"
    return Parcel(seq, LOG, seq, digest, "readings", urgent, cut, b"x" * size)


def old(seq: int, size: int = 100) -> Parcel:
    return parcel(seq, cut=None, size=size)


def send(window: Window, item: Parcel, now: int) -> Verdict:
    verdict = window.judge(item, now)
    if verdict.goes:
        window.sent(item, verdict, now)
    return verdict


def fill_backlog(window: Window, first: int, now: int, size: int = 100) -> int:
    count = 0
    while send(window, old(first + count, size), now).goes:
        count += 1
    return count


@pytest.fixture
def window() -> Window:
    return Window(T0, lambda: 0.0)


def test_the_lane_changes_sixty_seconds_after_the_cut() -> None:
    assert lane(parcel(1), T0 + 60_000) == Leaf.DATA
    assert lane(parcel(1), T0 + 60_001) == Leaf.BACKLOG
    assert lane(parcel(1, cut=None), T0) == Leaf.BACKLOG


def test_fresh_batches_have_room_of_their_own_beside_a_full_backlog(window: Window) -> None:
    assert fill_backlog(window, 1, T0) == int(rules.BATCHES_START)
    verdicts = [send(window, parcel(1000 + i), T0) for i in range(5)]
    assert verdicts == [Verdict.FRESH] * 4 + [Verdict.NO_PLACE]


def test_fresh_batches_may_use_the_backlog_room_that_is_free(window: Window) -> None:
    verdicts = [send(window, parcel(1 + i), T0) for i in range(6)]
    assert verdicts == [Verdict.FRESH] * 4 + [Verdict.BACKLOG] * 2


def test_the_backlog_is_bound_in_bytes_too(window: Window) -> None:
    window.batches = float(rules.BACKLOG_BATCHES_MAX)
    sent = fill_backlog(window, 1, T0, size=30_000)
    assert sent * 30_000 <= rules.BACKLOG_BYTES_MAX
    assert sent == 4


def test_one_large_batch_goes_through_the_smallest_window(window: Window) -> None:
    window.batches = rules.BATCHES_MIN
    assert send(window, old(1, size=64_000), T0) == Verdict.BACKLOG


def test_quick_acks_widen_the_window_to_its_limit_and_no_further(window: Window) -> None:
    for seq in range(1, 5000):
        send(window, old(seq), T0 + seq)
        window.acked(key_of(old(seq)), old(seq).hash, T0 + seq + 300)
    assert window.batches == rules.BACKLOG_BATCHES_MAX


def test_slow_acks_halve_it_once_in_a_round_trip(window: Window) -> None:
    window.batches = 64.0
    for seq in range(1, 9):
        send(window, old(seq), T0)
    for seq in range(1, 9):
        window.acked(key_of(old(seq)), old(seq).hash, T0 + 1_500)
    assert window.batches == 32.0


def test_an_ack_settles_only_with_our_own_hash(window: Window) -> None:
    send(window, parcel(1), T0)
    assert window.acked(Key(LOG, 1), "0" * 16, T0 + 50) is None
    assert window.acked(Key("b" * 32, 1), parcel(1).hash, T0 + 50) is None
    assert window.acked(Key(LOG, 2), parcel(1).hash, T0 + 50) is None
    assert Key(LOG, 1) in window.flights
    settled = window.acked(Key(LOG, 1), parcel(1).hash, T0 + 60)
    assert settled is not None
    assert settled.parcel == parcel(1)
    assert window.acked(Key(LOG, 1), parcel(1).hash, T0 + 70) is None


def test_a_batch_is_sent_again_after_ten_seconds_and_then_ever_later(window: Window) -> None:
    send(window, old(1), T0)
    now, gaps = T0, []
    for _ in range(6):
        flight = window.flights[Key(LOG, 1)]
        assert window.due(int(flight.due_ms) - 1) == []
        gaps.append(int(flight.due_ms) - now)
        now = int(flight.due_ms)
        window._heard_ms = now  # the centre answers others meanwhile
        assert [f.parcel.seq for f in window.due(now)] == [1]
        window.sent(flight.parcel, flight.why, now)
    assert gaps == [10_000, 20_000, 40_000, 80_000, 120_000, 120_000]


def test_slow_acks_put_resends_off(window: Window) -> None:
    send(window, old(1), T0)
    window.acked(Key(LOG, 1), old(1).hash, T0 + 8_000)
    send(window, old(2), T0 + 8_000)
    assert window.flights[Key(LOG, 2)].due_ms == T0 + 8_000 + 32_000


def test_jitter_only_ever_puts_off() -> None:
    late = Window(T0, lambda: 1.0)
    send(late, old(1), T0)
    assert late.flights[Key(LOG, 1)].due_ms == T0 + 12_500


def test_the_ack_of_a_resent_batch_teaches_no_round_trip(window: Window) -> None:
    send(window, old(1), T0)
    window.sent(old(1), Verdict.BACKLOG, T0 + 10_000)
    window.acked(Key(LOG, 1), old(1).hash, T0 + 10_001)
    assert window.ack_ms == 0.0


def test_a_new_connection_or_run_sends_all_in_flight_at_once(window: Window) -> None:
    for seq in (1, 2, 3):
        send(window, old(seq), T0)
    window.met("run-1", T0 + 1)
    assert window.due(T0 + 2) == []
    window.met("run-2", T0 + 3)
    assert [f.parcel.seq for f in window.due(T0 + 3)] == [1, 2, 3]
    for flight in window.due(T0 + 3):
        window.sent(flight.parcel, flight.why, T0 + 3)
    assert window.due(T0 + 4) == []
    window.connected(T0 + 5)
    assert [f.parcel.seq for f in window.due(T0 + 5)] == [1, 2, 3]


def test_the_first_live_word_of_a_centre_sends_again_what_nobody_heard(window: Window) -> None:
    send(window, old(1), T0)
    window.centre(Taking.NONE, "", T0 + 1, live=False)  # a last will of long ago
    window.centre(Taking.ALL, "run-0", T0 + 2, live=False)
    assert window.due(T0 + 2) == []
    other = Window(T0, lambda: 0.0)
    send(other, old(1), T0)
    other.centre(Taking.ALL, "run-1", T0 + 3, live=True)
    assert [f.parcel.seq for f in other.due(T0 + 3)] == [1]
    other.sent(old(1), Verdict.BACKLOG, T0 + 3)
    other.centre(Taking.ALL, "run-1", T0 + 4, live=True)
    assert other.due(T0 + 4) == [], "the same run says so every minute"


def test_while_the_centre_takes_nothing_only_urgent_batches_and_probes_go(window: Window) -> None:
    window.centre(Taking.NONE, "run-1", T0, live=True)
    assert window.judge(parcel(1), T0) == Verdict.PAUSED
    assert window.judge(old(2), T0) == Verdict.PAUSED
    assert send(window, parcel(3, urgent=True), T0) == Verdict.URGENT
    assert window.probe_due(T0)
    window.probed(parcel(4), T0)
    assert not window.probe_due(T0 + 29_999)
    assert window.probe_due(T0 + 30_000)
    window.probed(parcel(5), T0 + 30_000)
    assert set(window.flights) == {Key(LOG, 3), Key(LOG, 5)}
    assert [f.parcel.seq for f in window.due(T0 + 31_000)] == [3]


def test_any_ack_ends_the_pause_even_of_an_unknown_batch(window: Window) -> None:
    window.centre(Taking.NONE, "run-1", T0, live=True)
    assert window.paused(T0)
    window.acked(Key("b" * 32, 77), "0" * 16, T0 + 1)
    assert not window.paused(T0 + 1)


def test_a_refusal_is_a_sign_of_life(window: Window) -> None:
    send(window, old(1), T0)
    assert window.paused(T0 + 60_000)
    assert window.named(old(1).hash, T0 + 60_001) is not None
    assert not window.paused(T0 + 60_001)


def test_sixty_seconds_without_an_ack_are_silence_only_when_something_waits(
    window: Window,
) -> None:
    assert not window.silent(T0 + 600_000)
    send(window, old(1), T0 + 600_000)
    assert not window.silent(T0 + 659_999)
    assert window.silent(T0 + 660_000)
    assert window.paused(T0 + 660_000)


def test_fresh_only_holds_the_backlog_back_and_its_resends(window: Window) -> None:
    send(window, old(1), T0)
    window.centre(Taking.FRESH, "run-1", T0, live=True)
    assert window.judge(old(2), T0) == Verdict.PAUSED
    assert window.judge(parcel(3), T0) == Verdict.FRESH
    window.resend_all(T0)
    assert window.due(T0) == []
    window.centre(Taking.ALL, "run-1", T0, live=True)
    assert [f.parcel.seq for f in window.due(T0)] == [1]


def test_a_batch_that_stays_unanswered_gives_its_fresh_place_back(window: Window) -> None:
    for seq in range(1, 5):
        send(window, parcel(seq), T0)
    later = T0 + 60_001
    window._heard_ms = later
    window.due(later)
    fresh = parcel(9, cut=later)
    assert window.judge(fresh, later) == Verdict.FRESH


def test_a_batch_for_a_newer_centre_waits_five_minutes_and_blocks_nobody(window: Window) -> None:
    send(window, old(1), T0)
    window.put_off(Key(LOG, 1), T0)
    assert window.judge(old(1), T0 + 299_999) == Verdict.PUT_OFF
    assert not window.silent(T0 + 299_999)
    assert not window.ripe(T0 + 299_999)
    assert window.ripe(T0 + 300_000)
    assert window.judge(old(1), T0 + 300_000) == Verdict.BACKLOG


def test_it_says_when_to_look_again(window: Window) -> None:
    assert window.next_ms(T0) == T0 + rules.PROBE_MS
    send(window, old(1), T0)
    assert window.next_ms(T0) == T0 + 10_000
    window.centre(Taking.NONE, "", T0, live=True)
    window.probed(old(2), T0 + 5)
    assert window.next_ms(T0 + 5) == T0 + 5 + rules.PROBE_MS


def test_what_is_remembered_is_bounded(window: Window) -> None:
    for seq in range(rules.PUT_OFF_MAX + 10):
        window.put_off(Key(LOG, seq), T0)
    assert len(window._put_off) == rules.PUT_OFF_MAX
    urgent = [send(window, parcel(i, urgent=True), T0) for i in range(10_000, 10_100)]
    assert urgent.count(Verdict.URGENT) == rules.URGENT_PLACES


def test_batches_held_back_do_not_keep_the_sender_awake(window: Window) -> None:
    send(window, old(1), T0)
    window.centre(Taking.FRESH, "run-1", T0, live=True)
    later = T0 + rules.RESEND_MAX_MS
    window._heard_ms = later
    assert window.due(later) == []
    assert window.next_ms(later) > later + 1_000
    send(window, parcel(2, cut=later), later)
    assert window.next_ms(later) <= later + rules.RESEND_MAX_MS * 1.25
