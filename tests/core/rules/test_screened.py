"""Screening before judgement: what fails raises nothing, what is suspect counts and says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rig.rulebook import (
    Arrival,
    at,
    bound,
    brief,
    fold_of,
    ladder,
    place,
    play,
    prompt,
    rain,
    reading,
    silence,
    timeline,
)

from egret_core.quality import Flag, Reason
from egret_core.rules.event import Phase
from egret_core.rules.model import Family
from egret_core.rules.step import Change, Tick, step
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import NeighbourLaw, ScreeningLaw
from egret_core.screening.range import Span
from egret_core.screening.spike import Limits

if TYPE_CHECKING:
    from egret_core.rules.channel import Channel
    from egret_core.rules.model import BoundRule, ChannelPlace
    from egret_core.rules.step import Fold

BLUE = ladder(("blue", 3.0, 2.8))
FLAT = Stillness(0.01, 600_000, 1_200_000)


def screened(law: ScreeningLaw, channel: str = "wl", quantity: str = "water_level") -> ChannelPlace:
    return replace(place(channel, quantity), screening=law)


def made(law: ScreeningLaw, *rules: BoundRule) -> Fold:
    one = screened(law)
    return fold_of([one], [bound(BLUE, Family.LEVEL, one), *rules])


def river(fold: Fold) -> Channel:
    return fold.channels["st1"]["wl"]


def test_a_value_outside_the_sensor_s_span_raises_nothing_at_all() -> None:
    fold = made(ScreeningLaw(sensor=Span(0.0, 12.0)))
    rows = [reading(60 * n, 99.0 if n % 3 else 1.0) for n in range(30)]
    assert play(fold, timeline(prompt(rows))) == []
    assert river(fold).screen is not None
    assert river(fold).screen.counts == {"range": [0, 20]}
    assert {flag.flag for flag in river(fold).screened()} == {4}


def test_what_is_suspect_raises_at_once_and_says_so() -> None:
    fold = made(ScreeningLaw(operator=Span(0.0, 3.2)))
    said = play(fold, timeline(prompt([reading(0, 1.0), reading(60, 3.5), reading(120, 3.1)])))
    first, settled = said[:2]
    assert (first.phase, settled.phase) == (Phase.PROVISIONAL, Phase.SETTLED)
    assert first.time_ms == settled.time_ms == at(60)
    for event in (first, settled):
        assert event.evidence["screening"] == ["range"]
        assert event.evidence["unconfirmed"] is True
    assert settled.provisional_id == first.id


def test_what_is_good_says_nothing_of_screening() -> None:
    fold = made(ScreeningLaw(operator=Span(0.0, 9.0)))
    said = play(fold, timeline(prompt([reading(0, 3.5), reading(60, 1.0)])))
    assert brief(said) == [("raised", "blue", 0), ("returned", "", 60)]
    assert all("screening" not in event.evidence for event in said)


def test_the_gateway_s_flag_is_not_the_centre_s() -> None:
    fold = made(ScreeningLaw(sensor=Span(0.0, 12.0)))
    rows = [reading(0, 3.5, flag=Flag.SUSPECT), reading(60, 1.0, flag=Flag.FAIL)]
    said = play(fold, timeline(prompt(rows)))
    assert brief(said) == [("raised", "blue", 0)]
    assert said[0].evidence.get("screening") is None
    assert river(fold).screened() == []


def test_a_spike_is_doubted_at_once_and_corrected_after_without_delay() -> None:
    fold = made(ScreeningLaw(spike=Limits(0.5, 1.5)))
    rows = [reading(60 * n, v) for n, v in enumerate((1.0, 1.0, 4.0, 1.0, 1.0, 1.0))]
    said = play(fold, timeline(prompt(rows)))
    provisional = [event for event in said if event.phase is Phase.PROVISIONAL]
    assert [event.evidence["screening"] for event in provisional] == [["spike"]]
    assert brief(said) == [("raised", "blue", 120), ("returned", "", 180)]
    assert [flag[1:] for flag in river(fold).screened()] == [(4, Reason.SPIKE, False)]
    assert river(fold).screen.counts == {"spike": [0, 1]}


def test_a_step_that_stays_is_cleared_by_the_next_value() -> None:
    fold = made(ScreeningLaw(spike=Limits(0.5, 1.5)))
    rows = [reading(60 * n, v) for n, v in enumerate((1.0, 1.0, 4.0))]
    said = play(fold, timeline(prompt(rows)))
    assert river(fold).screened()[0].provisional
    assert brief(said) == [("raised", "blue", 120)]
    play(fold, timeline(prompt([reading(180, 4.1), reading(240, 4.1)])))
    assert river(fold).screened() == []
    assert river(fold).screen.counts == {}


def test_a_failed_value_ends_no_absence_and_a_suspect_one_does() -> None:
    one = screened(ScreeningLaw(sensor=Span(0.0, 12.0), operator=Span(0.0, 2.0)))
    fold = fold_of([one], [bound(silence(300), Family.ABSENCE, one)])
    rows = [reading(0, 1.0), *(reading(60 * n, 99.0) for n in range(1, 15)), reading(1000, 2.5)]
    assert brief(play(fold, timeline(prompt(rows)))) == [
        ("raised", "fault", 300),
        ("returned", "", 1000),
    ]


def test_a_stuck_sensor_raises_no_hazard_and_becomes_absent() -> None:
    one = screened(ScreeningLaw(flat=FLAT))
    rules = [bound(BLUE, Family.LEVEL, one), bound(silence(300), Family.ABSENCE, one)]
    fold = fold_of([one], rules)
    moving = [reading(60 * n, 2.0 + 0.02 * (n % 2)) for n in range(20)]
    stuck = [reading(1200 + 60 * n, 2.95) for n in range(40)]
    drifting = [reading(3600 + 60 * n, 3.001 if n == 5 else 2.9999) for n in range(8)]
    # last good: 1200 + 1200 s is the first that fails
    said = play(fold, timeline(prompt([*moving, *stuck, *drifting])))
    assert ("raised", "fault", 2400 - 60 + 300) in brief(said)
    assert [e for e in brief(said) if e[1] == "blue"] == [("raised", "blue", 3900)]
    assert river(fold).screen.counts["flat_line"][1] == 20


def test_an_absence_waits_for_what_is_known_only_once_settled() -> None:
    """No false alarm while a good reading waits; the settled word comes a lateness later."""
    one = screened(ScreeningLaw(flat=FLAT))
    fold = fold_of([one], [bound(silence(70), Family.ABSENCE, one)])
    rows = [reading(60 * n, float(n % 5)) for n in range(60)]
    assert play(fold, timeline(prompt(rows), tail_s=20)) == []
    said = play(fold, [Tick(at(3540 + 20 + 10 * n)) for n in range(1, 20)])
    assert [(e.phase, e.time_ms) for e in said] == [
        (Phase.PROVISIONAL, at(3540 + 70)),
        (Phase.SETTLED, at(3540 + 70)),
    ]


def test_without_a_flat_line_an_absence_is_said_as_soon_as_ever() -> None:
    one = screened(ScreeningLaw(sensor=Span(0.0, 12.0)))
    plain, guarded = [
        play(
            fold_of([spot], [bound(silence(300), Family.ABSENCE, spot)]),
            timeline(prompt([reading(0, 1.0)]), tail_s=400),
        )
        for spot in (place(), one)
    ]
    assert plain == guarded


def test_the_first_after_a_gap_says_so_and_a_flat_line_begins_anew() -> None:
    fold = made(ScreeningLaw(flat=FLAT, gap_ms=300_000))
    rows = [*(reading(60 * n, 1.0) for n in range(20)), reading(2000, 1.0)]
    play(fold, timeline(prompt(rows)))
    assert river(fold).screened()[-1][1:3] == (Flag.GOOD, Reason.GAP)
    assert river(fold).screen.counts["flat_line"] == [10, 0]


def test_a_total_that_falls_or_leaps_is_suspect_and_the_sums_go_on() -> None:
    one = screened(ScreeningLaw(), "rn", "rain_total")
    fold = fold_of([one], [bound(rain(("blue", 1, 1, 20.0)), Family.RAIN, one)])
    totals = (500.0, 500.0, 2.0, 9000.0, 9012.0, 9024.0)
    rows = [reading(600 * n, value, one) for n, value in enumerate(totals)]
    said = play(fold, timeline(prompt(rows)))
    assert brief(said) == [("raised", "blue", 3000)]
    assert said[-1].evidence["value"] == 24.0
    channel = fold.channels["st1"]["rn"]
    assert channel.screen.counts == {"counter_reset": [1, 0], "rate": [1, 0]}


def test_a_reading_ahead_of_its_receipt_is_suspect() -> None:
    fold = made(ScreeningLaw())
    said = play(
        fold, timeline([Arrival(at(0), reading(7200, 3.5)), Arrival(at(60), reading(60, 1.0))])
    )
    assert brief(said) == [("raised", "blue", 0), ("returned", "", 60)]
    settled = [event for event in said if event.phase is Phase.SETTLED]
    assert [event.evidence.get("screening") for event in settled] == [["clock"], None]
    assert river(fold).screened()[0][1:3] == (Flag.SUSPECT, Reason.CLOCK)


def test_a_gauge_that_is_still_while_it_rains_elsewhere_is_clogged() -> None:
    wet = replace(place("rn", "rain_total", "st2"))
    law = ScreeningLaw(flat=Stillness(0.1, 3_600_000), movement=(("st2", "rn"),))
    one = screened(law, "rn", "rain_total")

    def flags(*, rising: bool) -> set[int]:
        fold = fold_of([one, wet], [])
        rows = []
        for n in range(120):
            rows.append(reading(60 * n, 100.0, one))
            rows.append(reading(60 * n + 5, 100.0 + 0.2 * n * rising, wet))
        play(fold, timeline(prompt(rows)))
        return {flag.flag for flag in fold.channels["st1"]["rn"].screened()}

    assert flags(rising=False) == set()
    assert flags(rising=True) == {Flag.SUSPECT}


def test_a_value_off_its_neighbours_is_suspect_where_enough_of_them_speak() -> None:
    beside = [replace(place(station=name)) for name in ("st2", "st3")]
    pairs = tuple((other.station, other.channel) for other in beside)
    one = screened(ScreeningLaw(neighbours=NeighbourLaw(pairs, 1.0, 2)))
    fold = fold_of([one, *beside], [bound(BLUE, Family.LEVEL, one)])
    rows = []
    for n in range(90):
        rows += [reading(60 * n + k, 1.0 + 0.1 * k, other) for k, other in enumerate(beside)]
        rows.append(reading(60 * n + 9, 4.0 if n in (0, 80) else 1.0, one))
    said = play(fold, timeline(prompt(rows)))
    raised = [e for e in said if e.phase is Phase.SETTLED and e.rank]
    # at first the neighbours have said nothing yet: no doubt
    assert [e.evidence.get("screening") for e in raised] == [None, ["neighbour"]]


def test_a_neighbour_s_failed_values_are_no_company() -> None:
    wrong = replace(place(station="st2"), screening=ScreeningLaw(sensor=Span(0.0, 12.0)))
    one = screened(ScreeningLaw(neighbours=NeighbourLaw((("st2", "wl"),), 1.0, 1)))
    fold = fold_of([one, wrong], [])
    rows = []
    for n in range(60):
        rows.append(reading(60 * n, 99.0 if n > 3 else 1.0, wrong))
        rows.append(reading(60 * n + 9, 1.0, one))
    play(fold, timeline(prompt(rows)))
    assert river(fold).screened() == []


def test_one_that_is_only_asked_is_not_tested_itself() -> None:
    asked = place("rn", "rain_total")
    law = ScreeningLaw(flat=Stillness(0.1, 600_000), movement=(("st1", "rn"),))
    fold = fold_of([screened(law), asked], [bound(silence(300), Family.ABSENCE, asked)])
    rows = [reading(60 * n, float(9 - n), asked) for n in range(9)]
    said = play(fold, timeline([*prompt(rows), Arrival(at(500), reading(5000, 1.0, asked))]))
    gauge = fold.channels["st1"]["rn"]
    assert gauge.screen is not None
    assert (gauge.screened(), gauge.screen.counts) == ([], {})
    assert [event for event in said if event.phase is Phase.SETTLED] == []


def test_history_is_screened_before_a_new_rule_learns_from_it() -> None:
    one = screened(ScreeningLaw(sensor=Span(0.0, 12.0)))
    fold = fold_of([one], [])
    play(fold, timeline(prompt(reading(60 * n, 1.0) for n in range(10))))
    step(fold, Change([one], [bound(BLUE, Family.LEVEL, one)], at(1000)))
    (warmup,) = fold.cold
    assert warmup.begin() != (0, 0)
    warmup.feed([reading(60 * n, 99.0 if n == 8 else 1.0, one) for n in range(9)])
    warmup.end()
    fold.warmed(at(1000))
    assert play(fold, [Tick(at(1000 + 10 * n)) for n in range(60)]) == []


def test_state_goes_on_under_the_same_law_and_begins_anew_under_another() -> None:
    law = ScreeningLaw(flat=FLAT)
    fold = made(law)
    play(fold, timeline(prompt(reading(60 * n, 1.0) for n in range(12))))
    counted = dict(river(fold).screen.counts)
    assert counted == {"flat_line": [2, 0]}
    one = screened(law)
    step(fold, Change([one], [bound(BLUE, Family.LEVEL, one)], at(800)))
    play(fold, timeline(prompt([reading(720, 1.0), reading(780, 1.0)])))
    assert river(fold).screen.counts == {"flat_line": [4, 0]}
    other = screened(replace(law, flat=Stillness(0.02, 600_000)))
    step(fold, Change([other], [bound(BLUE, Family.LEVEL, other)], at(900)))
    play(fold, timeline(prompt(reading(840 + 60 * n, 1.0) for n in range(10))))
    assert river(fold).screen.counts == {"flat_line": [4, 0]}  # counted on, but flat anew
    step(fold, Change([place()], [], at(2000)))
    assert river(fold).screen is None
    assert river(fold).screened() == []
