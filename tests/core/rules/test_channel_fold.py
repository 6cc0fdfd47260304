from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rig.rulebook import (
    GATEWAY,
    Arrival,
    at,
    bound,
    brief,
    fold_of,
    ladder,
    place,
    play,
    prompt,
    reading,
    silence,
    timeline,
)

from egret_core.messages import ChannelMeta
from egret_core.quality import Flag, Reason
from egret_core.rules.backlog import SNAPSHOTS_MAX
from egret_core.rules.event import ConditionEvent, Phase
from egret_core.rules.model import Family
from egret_core.rules.order import WAITING_MAX
from egret_core.rules.step import Change, Facts, Fold, Receipt, Tick, step

if TYPE_CHECKING:
    from egret_core.reading import Reading
    from egret_core.rules.channel import Channel

LAW = ladder(("blue", 3.0, 2.8))
RULE = bound(LAW, Family.LEVEL, place())


def fresh() -> Fold:
    return fold_of([place()], [RULE])


def channel(fold: Fold) -> Channel:
    return fold.channels["st1"]["wl"]


def receive(
    fold: Fold, second: float, *readings: Reading, gateway: str = GATEWAY
) -> list[ConditionEvent]:
    return step(fold, Receipt(gateway, at(second), readings))[1]


def test_a_reading_is_settled_by_one_that_much_newer() -> None:
    fold = fresh()
    assert brief(receive(fold, 1, reading(0, 3.5))) == []
    assert brief(receive(fold, 30, reading(29.999, 1.0))) == []
    assert brief(receive(fold, 31, reading(30, 1.0))) == [("raised", "blue", 0)]


def test_a_reading_is_settled_after_the_lateness_in_ticks() -> None:
    fold = fresh()
    receive(fold, 1, reading(0, 3.5))
    assert brief(play(fold, [Tick(at(10)), Tick(at(20)), Tick(at(30))])) == []
    assert brief(play(fold, [Tick(at(40))])) == [("raised", "blue", 0)]


def test_downtime_does_not_settle() -> None:
    fold = fresh()
    play(fold, [Tick(at(0))])
    receive(fold, 1, reading(0, 3.5))
    assert play(fold, []) == []
    assert brief(play(fold, [Tick(at(29))])) == []


def test_readings_within_the_lateness_are_put_in_order() -> None:
    fold = fresh()
    rows = [
        Arrival(at(40), reading(30, 3.4)),
        Arrival(at(41), reading(20, 2.0)),
        Arrival(at(42), reading(10, 3.1)),
    ]
    assert brief(play(fold, timeline(rows))) == [
        ("raised", "blue", 10),
        ("returned", "", 20),
        ("raised", "blue", 30),
    ]


def test_a_late_reading_changes_no_state_and_is_counted() -> None:
    fold = fresh()
    receive(fold, 100, reading(100, 1.0))
    assert receive(fold, 101, reading(70, 9.0)) == []
    assert play(fold, [Tick(at(200)), Tick(at(240))]) == []
    assert (channel(fold).late, channel(fold).backlog.late_span) == (1, [at(70), at(70)])


def test_the_first_of_one_identity_stays() -> None:
    fold = fresh()
    receive(fold, 1, reading(0, 1.0))
    assert receive(fold, 2, reading(0, 9.0)) == []
    assert brief(receive(fold, 40, reading(40, 1.0))) == []
    assert receive(fold, 41, reading(0, 9.0)) == []
    assert channel(fold).late == 0


def test_a_reading_ahead_is_judged_at_its_receipt_and_moves_no_watermark() -> None:
    fold = fresh()
    first = receive(fold, 0, reading(7200, 3.5))
    assert brief(first, "provisional") == [("raised", "blue", 0)]
    assert receive(fold, 5, reading(7200, 3.5)) == []
    receive(fold, 10, reading(9, 1.0))
    assert brief(play(fold, [Tick(at(10 * n)) for n in range(1, 6)])) == [
        ("raised", "blue", 0),
        ("returned", "", 9),
    ]
    assert (channel(fold).ahead, channel(fold).late) == (1, 0)


def test_a_reading_sixty_seconds_ahead_is_not_ahead() -> None:
    fold = fresh()
    receive(fold, 0, reading(60, 3.5))
    assert channel(fold).ahead == 0


def test_bad_and_maintained_values_raise_nothing() -> None:
    fold = fresh()
    rows = [
        reading(0, 9.0, flag=Flag.FAIL),
        reading(10, None, flag=Flag.MISSING),
        reading(20, 9.0, reasons=Reason.MAINTENANCE),
        reading(30, None),
    ]
    assert play(fold, timeline(prompt(rows))) == []
    suspect = receive(fold, 500, reading(500, 9.0, flag=Flag.SUSPECT))
    assert [e.phase for e in suspect] == [Phase.PROVISIONAL]


def test_foreign_and_unknown_readings_are_not_judged_and_counted() -> None:
    fold = fresh()
    assert receive(fold, 0, reading(0, 9.0), gateway="GW-2") == []
    assert receive(fold, 0, reading(0, 9.0, place("other"))) == []
    assert (fold.counts.judged, fold.counts.foreign, fold.counts.unknown) == (0, 1, 1)


def test_the_buffer_is_bounded() -> None:
    fold = fresh()
    rows = [reading(n / 1000, 1.0) for n in range(WAITING_MAX + 10)]
    receive(fold, 1, *rows)
    assert len(channel(fold)._waiting) <= WAITING_MAX
    assert channel(fold).settled_ms >= at(WAITING_MAX / 2000)


def test_the_start_of_a_gap_is_kept_and_the_gaps_are_bounded() -> None:
    fold = fresh()
    rows = [
        reading(10_000 * n + 60 * m, 1.0 + n) for n in range(SNAPSHOTS_MAX + 3) for m in range(5)
    ]
    play(fold, timeline(prompt(rows), ticks=False))
    kept = channel(fold).backlog.snapshots
    assert len(kept) == SNAPSHOTS_MAX
    assert kept[-1][:2] == [
        at(10_000 * (SNAPSHOTS_MAX + 1) + 240),
        at(10_000 * (SNAPSHOTS_MAX + 2)),
    ]
    assert "gap/channel/st1/wl" in fold.changed()
    step(fold, Change([place()], [RULE], at(10**6)))
    assert channel(fold).backlog.snapshots == kept


def test_meta_sets_the_lateness_and_a_misfit_stops_judgement() -> None:
    one = replace(place(), late_s=None)
    fold = fold_of([one], [RULE, bound(silence(300), Family.ABSENCE, one)])
    meta = ChannelMeta("st1", "wl", "water_level", "m", "Local", cut_s=90.0)
    step(fold, Facts(GATEWAY, [meta]))
    receive(fold, 0, reading(0, 3.5))
    assert brief(receive(fold, 119, reading(119, 1.0))) == []
    assert brief(receive(fold, 120, reading(120, 1.0))) == [("raised", "blue", 0)]
    step(fold, Facts(GATEWAY, [ChannelMeta("st1", "wl", "water_level", "m", "Yellow Sea")]))
    assert "Yellow Sea" in channel(fold).misfit
    said = play(fold, timeline(prompt(reading(200 + 60 * n, 9.0) for n in range(10))))
    assert {(event.hazard, str(event.change)) for event in said} == {
        ("level", "returned"),  # what was received before the misfit
        ("absence", "raised"),
    }
    step(fold, Facts("GW-2", [meta]))
    assert channel(fold).misfit


def test_a_change_keeps_the_state_of_a_rule_that_stays() -> None:
    fold = fresh()
    receive(fold, 0, reading(0, 3.5))
    receive(fold, 60, reading(60, 3.5))
    other = bound(silence(300), Family.ABSENCE, place())
    assert step(fold, Change([place()], [RULE, other], at(61)))[1] == []
    assert brief(play(fold, timeline(prompt([reading(120, 1.0), reading(180, 1.0)]))))[0] == (
        "returned",
        "",
        120,
    )


def test_a_withdrawn_rule_refutes_its_provisional_event_and_is_forgotten() -> None:
    fold = fresh()
    said = receive(fold, 0, reading(0, 3.5))
    fold.changed()
    events = step(fold, Change([place()], [], at(1)))[1]
    assert [(e.phase, e.reason, e.provisional_id) for e in events] == [
        (Phase.REFUTED, "rule_withdrawn", said[0].id)
    ]
    step(fold, Change([], [], at(2)))
    assert fold.changed()["channel/st1/wl"] is None


def test_another_datum_is_a_new_channel() -> None:
    fold = fresh()
    receive(fold, 0, reading(0, 3.5))
    receive(fold, 60, reading(60, 3.5))
    moved = replace(place(), datum="Elsewhere")
    step(fold, Change([moved], [RULE], at(61)))
    assert channel(fold).settled_ms < 0


def test_what_a_gateway_told_of_a_channel_survives_a_restart() -> None:
    fold = fresh()
    step(fold, Facts(GATEWAY, [ChannelMeta("st1", "wl", "discharge", "m3/s")]))
    assert "discharge" in channel(fold).misfit
    disk = {key: body for key, body in fold.changed().items() if body is not None}
    again = fresh()
    again.restore(disk)
    assert "discharge" in channel(again).misfit
    assert receive(again, 0, reading(0, 9.0)) == []


def test_a_repeat_of_a_reading_ahead_is_not_counted_again() -> None:
    fold = fresh()
    for second in (0, 1, 2):
        receive(fold, second, reading(7200, 1.0))
    assert channel(fold).ahead == 1
