from __future__ import annotations

import json
from dataclasses import replace

from rig.rulebook import (
    GATEWAY,
    START_MS,
    at,
    bound,
    fold_of,
    ladder,
    place,
    reading,
    silence,
)

from egret_core.rules.event import Phase
from egret_core.rules.model import Family
from egret_core.rules.provisional import Waiting, absorb, disproved, highest, restored
from egret_core.rules.running import TICK_COUNTS_MS, Running
from egret_core.rules.step import SLICE, Change, Fold, Receipt, Tick, step

MANY = [place(station=f"st{n}") for n in range(2 * SLICE + 10)]
LAW = ladder(("blue", 3.0, 2.8))
RULES = [bound(LAW, Family.LEVEL, *MANY), bound(silence(300), Family.ABSENCE, *MANY)]


def test_a_tick_over_many_channels_comes_in_slices() -> None:
    fold = fold_of(MANY, RULES)
    step(fold, Receipt(GATEWAY, at(0), [reading(0, 3.5, one) for one in MANY]))
    slices = [list(fold.tick(at(10 * n))) for n in range(1, 5)]
    assert [len(parts) for parts in slices] == [3, 3, 3, 3]
    settled = [[len(part) for part in parts] for parts in slices]
    assert settled == [[0, 0, 0], [0, 0, 0], [SLICE, SLICE, 10], [0, 0, 0]]


def test_changed_state_comes_in_slices_and_only_once() -> None:
    fold = fold_of(MANY, RULES)
    parts = list(fold.changed_slices())
    assert max(len(part) for part in parts) <= SLICE + 1
    keys = [key for part in parts for key in part]
    assert len(keys) == len(set(keys)) == len(MANY) + 1
    assert fold.changed() == {}
    step(fold, Receipt(GATEWAY, at(0), [reading(0, 1.0, MANY[7])]))
    assert set(fold.changed()) == {"channel/st7/wl"}


def test_state_is_keyed_by_rule_and_version() -> None:
    fold = fold_of(MANY[:1], [bound(LAW, Family.LEVEL, MANY[0])])
    body = fold.changed()["channel/st0/wl"]
    assert body is not None
    assert list(json.loads(body)["rules"]) == ["level@v1"]


def test_an_edited_rule_begins_anew_and_its_old_self_is_withdrawn() -> None:
    one = MANY[0]
    old = bound(LAW, Family.LEVEL, one)
    fold = fold_of([one], [old])
    said = step(fold, Receipt(GATEWAY, at(0), [reading(0, 3.5, one)]))[1]
    new = replace(old, version="v2")
    events = step(fold, Change([one], [new], at(1)))[1]
    assert [(e.phase, e.rule, e.provisional_id) for e in events] == [
        (Phase.REFUTED, "level@v1", said[0].id)
    ]
    settled = step(fold, Receipt(GATEWAY, at(60), [reading(60, 3.5, one)]))[1]
    assert {(e.rule, e.time_ms) for e in settled if e.phase is Phase.SETTLED} == {
        ("level@v2", at(0))
    }


def test_what_is_gone_is_deleted_once_and_may_come_back() -> None:
    one = MANY[0]
    rule = bound(silence(300), Family.ABSENCE, one, gateways=(GATEWAY,))
    fold = fold_of([one], [rule])
    assert {"channel/st0/wl", "gateway/GW-1"} <= set(fold.changed())
    step(fold, Change([], [], at(1)))
    gone = [key for key, body in fold.changed().items() if body is None]
    assert {"channel/st0/wl", "gateway/GW-1"} <= set(gone)
    assert fold.changed() == {}
    step(fold, Change([one], [rule], at(2)))
    assert None not in fold.changed().values()


def test_state_of_rules_that_are_not_bound_is_left_alone() -> None:
    one = MANY[0]
    fold = fold_of([one], [bound(LAW, Family.LEVEL, one)])
    disk = {key: body for key, body in fold.changed().items() if body is not None}
    other = Fold()
    step(other, Change([one], [bound(silence(300), Family.ABSENCE, one)], START_MS))
    other.restore({**disk, "channel/elsewhere/wl": b"{}", "later": b"?"})
    assert step(other, Tick(at(10)))[1] == []


def test_an_empty_receipt_says_nothing() -> None:
    rule = bound(silence(300), Family.ABSENCE, gateways=(GATEWAY,))
    fold = fold_of(MANY[:1], [rule])
    assert step(fold, Receipt(GATEWAY, at(0), []))[1] == []


def test_running_time_stands_still_in_downtime_and_never_goes_back() -> None:
    running = Running()
    assert running.at(5000) == 0
    assert running.tick(0, []) == 0
    assert (running.at(4000), running.tick(10_000, [])) == (4000, 10_000)
    assert running.at(9000) == 10_000  # a receipt that was stamped before the tick
    assert running.tick(10**9, []) == 10_000 + TICK_COUNTS_MS
    assert running.tick(10**9 - 60_000, []) == 10_000 + TICK_COUNTS_MS  # the clock was set back
    again = Running()
    again.restore(json.loads(json.dumps(running.dump())))
    assert again.at(10**9) == running.at(10**9)


def test_a_settled_event_absorbs_what_is_not_above_it_and_names_the_highest() -> None:
    waiting = [
        Waiting(1, "blue", 10, "a"),
        Waiting(2, "yellow", 20, "b"),
        Waiting(4, "red", 30, "c"),
    ]
    assert absorb(waiting, 2) == ("b", waiting[2:])
    assert absorb(waiting, 4) == ("c", [])
    assert absorb([], 3) == ("", [])
    assert highest(waiting) == 4
    assert highest([]) == 0
    assert disproved(waiting, 20) == (waiting[:2], waiting[2:])
    assert restored(json.loads(json.dumps(waiting))) == waiting


def test_a_fold_restored_from_nothing_or_from_a_part_begins_the_rest_anew() -> None:
    fold = fold_of(MANY[:2], [bound(LAW, Family.LEVEL, *MANY[:2])])
    step(fold, Receipt(GATEWAY, at(0), [reading(0, 3.5, MANY[0])]))
    part = {"channel/st0/wl": fold.changed()["channel/st0/wl"] or b""}
    for state, known in (({}, set()), (part, {"st0"})):
        again = Fold()
        step(again, Change(MANY[:2], [bound(LAW, Family.LEVEL, *MANY[:2])], at(5)))
        again.restore(state)
        settled = [event for n in range(1, 5) for event in step(again, Tick(at(10 * n)))[1]]
        assert {event.subject.partition("/")[0] for event in settled} == known


def test_a_gateway_is_no_channel_s_heir() -> None:
    rules = [bound(silence(300), Family.ABSENCE, MANY[0], gateways=(GATEWAY,))]
    fold = fold_of(MANY[:1], rules)
    channel, gateway = fold.channels["st0"]["wl"], fold.gateways[GATEWAY]
    assert not channel.continues(gateway)
    assert not gateway.continues(channel)
