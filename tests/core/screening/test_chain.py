"""Tests in a row, and the small ones of the chain: totals, clocks, neighbours, trails."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core.quality import Flag, Reason
from egret_core.screening.chain import Chain, Flagged
from egret_core.screening.clock import check_clock
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import NeighbourLaw, ScreeningLaw
from egret_core.screening.neighbours import check_neighbours
from egret_core.screening.range import Span
from egret_core.screening.seasonal import Season
from egret_core.screening.spike import Limits
from egret_core.screening.total import TotalSteps
from egret_core.screening.trail import SLOT_MS, SLOTS_MAX, SPARE_SLOTS, Trail

LAW = ScreeningLaw(
    sensor=Span(0.0, 10.0),
    operator=Span(1.0, 5.0),
    seasons=(Season((1,), Span(1.0, 4.0)),),
    spike=Limits(1.0, 2.0),
    rate=Limits(0.05),
    flat=Stillness(0.01, 600_000, 1_200_000),
    gap_ms=900_000,
)
SPIKE_AND_RATE = int(Reason.SPIKE | Reason.RATE)


def test_flags_add_up_to_the_worst_and_reasons_to_all() -> None:
    chain = Chain(LAW, "water_level")
    chain.take(0, 2.0)
    said, _ = chain.take(60_000, 5.5)  # beyond the operator, the season, and a fast step
    assert said.flag == Flag.SUSPECT
    assert said.reasons == int(Reason.RANGE | Reason.SEASONAL) | SPIKE_AND_RATE
    assert said.provisional


def test_what_fails_the_range_is_left_out_of_all_that_compares() -> None:
    chain, other = Chain(LAW, "water_level"), Chain(LAW, "water_level")
    for n, value in enumerate((2.0, 2.1, 2.2, 2.1)):
        said = chain.take(60_000 * n, value)
        assert other.take(60_000 * n, value) == said
        for wrong in (99.0, -1.0):
            failed = chain.take(60_000 * n + 1, wrong)
            reasons = int(Reason.RANGE | Reason.SEASONAL)
            assert failed == (Flagged(60_000 * n + 1, 4, reasons), None)


def test_a_month_nobody_spoke_of_is_no_doubt() -> None:
    chain = Chain(LAW, "water_level")
    july_ms = 16_000_000_000
    assert chain.alone(july_ms, 4.5) == (1, 0)
    assert chain.alone(0, 4.5) == (3, int(Reason.SEASONAL))


def test_a_correction_keeps_the_other_reasons_of_its_value() -> None:
    chain = Chain(LAW, "water_level")
    chain.take(0, 2.0)
    assert chain.take(60_000, 5.5)[0].flag == 3
    _, corrected = chain.take(120_000, 2.0)
    assert corrected is not None
    assert corrected.time_ms == 60_000
    assert corrected.flag == Flag.FAIL
    assert corrected.reasons & int(Reason.RANGE | Reason.SEASONAL | Reason.SPIKE)
    assert not corrected.provisional


def test_what_waits_for_its_next_value_stops_waiting_at_a_gap() -> None:
    chain = Chain(LAW, "water_level")
    chain.take(0, 2.0)
    assert chain.take(60_000, 3.5)[0].provisional
    said, corrected = chain.take(2_000_000, 2.0)
    assert said.reasons == int(Reason.GAP)
    assert corrected == Flagged(60_000, 1, 0)


def test_doubts_of_others_are_part_of_it() -> None:
    chain = Chain(ScreeningLaw(), "water_level")
    said, _ = chain.take(0, 2.0, check_clock(100_000, 0))
    assert (said.flag, said.reasons) == (Flag.SUSPECT, Reason.CLOCK)


@given(st.lists(st.tuples(st.integers(1, 10**7), st.floats(-1e12, 1e12)), max_size=60))
def test_no_finite_value_is_an_exception_and_a_restart_changes_nothing(
    steps: list[tuple[int, float]],
) -> None:
    whole, cut, now_ms = Chain(LAW, "rain_total"), Chain(LAW, "rain_total"), 0
    for step_ms, value in steps:
        now_ms += step_ms
        saved = json.loads(json.dumps(cut.dump()))
        cut = Chain(LAW, "rain_total")
        cut.restore(saved)
        assert cut.take(now_ms, value) == whole.take(now_ms, value)


def test_the_state_is_bounded_over_a_long_record() -> None:
    chain, dice = Chain(LAW, "rain_total"), random.Random(1)
    sizes = []
    for n in range(20_000):
        chain.take(n * 1000, 2 + dice.random() / 300 + n * 1e-7)
        if n % 1000 == 999:
            sizes.append(len(json.dumps(chain.dump())))
    assert max(sizes) < 6000


@pytest.mark.parametrize(
    ("totals", "flags"),
    [
        ([0.0, 1.0, 1.0, 2.2], [1, 1, 1, 1]),
        ([50.0, 0.0, 0.2], [1, 3, 1]),  # the device was replaced: from there it goes on
        ([0.0, 900.0, 900.2], [1, 3, 1]),
        ([6553.4, 0.2], [1, 3]),  # a register that wraps is the gateway's to unwrap
    ],
)
def test_a_total_that_falls_or_leaps_is_suspect_once(totals: list[float], flags: list[int]) -> None:
    test = TotalSteps(rain=True)
    assert [test.take(600_000 * n, total).flag for n, total in enumerate(totals)] == flags


def test_only_rain_is_held_to_the_records_of_rain() -> None:
    pulses = TotalSteps(rain=False)
    assert [pulses.take(n, total).flag for n, total in enumerate((0.0, 1e6, 5.0))] == [1, 1, 3]
    reasons = TotalSteps(rain=True)
    reasons.take(0, 0.0)
    assert reasons.take(1000, 500.0).reasons == Reason.RATE
    assert reasons.take(2000, 0.0).reasons == Reason.COUNTER_RESET


def test_a_total_read_in_maintenance_is_nobody_s_doubt() -> None:
    chain = Chain(ScreeningLaw(), "rain_total")
    chain.take(0, 10.0)
    chain.rebase(60_000, 900.0)
    assert chain.take(120_000, 900.2)[0].flag == Flag.GOOD
    assert Chain(ScreeningLaw(), "water_level").rebase(0, 1.0) is None


def test_a_base_is_no_doubt_of_rate_spike_or_stillness_either() -> None:
    still = Stillness(0.5, 600_000)
    chain = Chain(ScreeningLaw(spike=Limits(5.0), rate=Limits(0.05), flat=still), "rain_total")
    for n in range(9):
        chain.take(60_000 * n, 10.0)
    assert chain.take(540_000, 16.0)[0].reasons == Reason.SPIKE | Reason.RATE
    final = chain.rebase(600_000, 900.0)
    assert final is not None
    assert (final.time_ms, final.reasons, final.provisional) == (540_000, Reason.RATE, False)
    assert chain.take(660_000, 900.2) == ((660_000, Flag.GOOD, 0, False), None)
    # The water moved the gauge: it has been still since then, and not since the beginning.
    assert [chain.take(ms, 900.2)[0].reasons for ms in (1_199_000, 1_200_000)] == [
        0,
        Reason.FLAT_LINE,
    ]


@pytest.mark.parametrize(("ahead_ms", "flag"), [(-1e9, 1), (0, 1), (60_000, 1), (60_001, 3)])
def test_a_stamp_from_the_future_is_suspect(ahead_ms: float, flag: int) -> None:
    assert check_clock(1_000_000_000 + round(ahead_ms), 1_000_000_000).flag == flag


@pytest.mark.parametrize(
    ("value", "beside", "least", "flag"),
    [
        (3.0, [1.0, 1.2, 1.1], 1, 3),
        (2.0, [1.0, 1.2, 1.1], 1, 1),
        (3.0, [1.0, 2.9, 3.0], 1, 1),  # the median of them is near
        (9.0, [1.0, None, None], 2, 1),  # too few of them speak
        (9.0, [], 0, 1),
        (-1.0, [1.0, 1.2], 2, 3),
    ],
)
def test_a_value_off_its_neighbours(
    value: float, beside: list[float | None], least: int, flag: int
) -> None:
    assert check_neighbours(value, beside, 1.0, least).flag == flag


def test_a_trail_answers_by_whole_slots_that_are_past_their_lateness() -> None:
    trail = Trail()
    trail.late_ms = 30_000
    for n in range(30):
        trail.take(n * 60_000, 1.0 if n < 25 else 2.0)
    now_ms = 2 * SLOT_MS + 70_000  # two lates and a tick after the second slot's end
    assert trail.latest(now_ms) == 1.0
    assert trail.latest(now_ms - 1) == 1.0  # of the first slot
    assert trail.latest(SLOT_MS + 69_999) is None
    assert trail.moved(now_ms, 3_600_000) is False
    assert trail.moved(3 * SLOT_MS + 69_999, 3_600_000) is False
    assert trail.moved(3 * SLOT_MS + 70_000, 3_600_000) is True
    assert trail.moved(90 * SLOT_MS, SLOT_MS) is False
    assert trail.latest(9 * SLOT_MS) == 2.0
    assert trail.latest(9 * SLOT_MS + 70_000) is None, "a value older than an hour is none"


def test_what_comes_after_the_asked_time_changes_no_answer() -> None:
    early, late = Trail(), Trail()
    for n in range(100):
        for trail in (early, late):
            trail.take(n * 60_000, float(n % 3))
    for n in range(100, 200):
        late.take(n * 60_000, 9.0)
    for now_ms in range(0, 100 * 60_000, 7_000):
        assert early.latest(now_ms) == late.latest(now_ms)
        assert early.moved(now_ms, 900_000) == late.moved(now_ms, 900_000)


def test_a_trail_is_bounded_and_restores() -> None:
    trail, short = Trail(), Trail(3_600_000)
    for n in range(SLOTS_MAX + 50):
        trail.take(n * SLOT_MS, float(n))
        short.take(n * SLOT_MS, float(n))
    assert len(trail.dump()) == SLOTS_MAX
    assert len(short.dump()) == 6 + SPARE_SLOTS
    again = Trail()
    again.restore(json.loads(json.dumps(trail.dump())))
    assert again.dump() == trail.dump()


def test_a_law_says_whom_it_asks_and_how_far_back() -> None:
    law = ScreeningLaw(
        flat=Stillness(0.1, 7_200_000),
        movement=(("a", "rn"),),
        neighbours=NeighbourLaw((("b", "wl"),), 1.0, 1),
    )
    assert law.company == (("a", "rn"), ("b", "wl"))
    assert law.look_back_ms == 7_200_000
    assert not law.fails_late
    assert (ScreeningLaw().company, ScreeningLaw().look_back_ms) == ((), 0)
