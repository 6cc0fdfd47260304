"""A shared line with dead units in virtual time: our schedule beside the loops that peers run."""

from __future__ import annotations

import pytest
from rig.virtual_bus import CHAR_S, Field, jobs_of, ours, round_robin

from egret_gateway.bus.quiet import QUIET_S, Quiet
from egret_gateway.bus.rank import Rank
from egret_gateway.bus.unit import Patience

HOUR_S = 3600.0
UNITS = [str(number) for number in range(1, 33)]
DEAD = {"3", "11", "27"}
PATIENCE = Patience(0.05, 0.3)


def three_dead(*, deaf: bool = False) -> Field:
    return Field(lambda unit, _: unit in DEAD, deaf=deaf)


def test_the_line_is_that_of_the_arithmetic() -> None:
    # 10 registers at 9600 8N1: 33 characters, two gaps, 10 ms; 29 of them in 2 s are 75 %.
    assert three_dead().read_s * 1000 == pytest.approx(33 * CHAR_S * 1000 + 7.29 + 10, abs=0.01)
    assert 29 * three_dead().read_s / 2.0 == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(
    ("timeout_s", "retries", "samples_per_min"), [(3.0, 3, 1.6), (1.0, 3, 4.4), (0.5, 1, 12.0)]
)
def test_loops_pay_every_dead_unit_in_every_round(
    timeout_s: float, retries: int, samples_per_min: float
) -> None:
    story = round_robin(three_dead(), UNITS, HOUR_S, 5.0, timeout_s=timeout_s, retries=retries)
    assert story.samples_per_min(DEAD) == pytest.approx(samples_per_min, rel=0.03)


def test_at_30_percent_load_no_deadline_of_a_live_unit_is_missed() -> None:
    story, _ = ours(three_dead(), jobs_of(32, 5.0), HOUR_S, patience=PATIENCE)
    assert story.samples_per_min(DEAD) == pytest.approx(12.0, abs=0.02)
    assert story.deadline_share(5.0, DEAD) >= 0.9999
    assert story.wasted_s <= 0.01 * HOUR_S


@pytest.mark.parametrize("rank", [Rank.MEASUREMENT, Rank.WARNING])
def test_at_75_percent_load_99_of_100_deadlines_are_met(rank: Rank) -> None:
    story, schedule = ours(three_dead(), jobs_of(32, 2.0, rank), HOUR_S, patience=PATIENCE)
    assert story.samples_per_min(DEAD) == pytest.approx(30.0, abs=0.05)
    assert story.deadline_share(2.0, DEAD) >= 0.99
    assert story.wasted_s <= 0.01 * HOUR_S
    assert max(max(story.gaps(unit)) for unit in UNITS if unit not in DEAD) <= 2 * 2.0
    assert schedule.strides.load == pytest.approx(0.75, abs=0.02)
    loop = round_robin(three_dead(), UNITS, HOUR_S, 2.0, timeout_s=0.5, retries=1)
    assert loop.deadline_share(2.0, DEAD) <= 0.01


def test_a_unit_absent_since_the_start_is_given_its_neighbours_patience() -> None:
    story, _ = ours(three_dead(), jobs_of(32, 2.0), 1200.0, patience=Patience(0.05, 3.0))
    assert story.deadline_share(2.0, DEAD) >= 0.93
    assert story.wasted_s <= 0.05 * 1200.0


def test_every_period_of_a_dead_unit_is_told() -> None:
    story, _ = ours(three_dead(), jobs_of(32, 5.0), HOUR_S, patience=PATIENCE)
    for unit in DEAD:
        assert story.parked.count(unit) + story.polls[unit] >= HOUR_S / 5.0 - 2
        assert story.polls[unit] <= 25


def test_units_that_die_and_revive_cost_their_neighbours_next_to_nothing() -> None:
    slaves = Field(lambda unit, now: unit in DEAD and 200 <= now < 800)
    story, _ = ours(slaves, jobs_of(32, 2.0, Rank.WARNING), 1000.0, patience=Patience(0.05, 3.0))
    assert story.deadline_share(2.0, DEAD) >= 0.99
    for unit in DEAD:
        back_s = min(at_s for at_s in story.good[unit] if at_s > 800)
        assert back_s <= 800 + 60 * 1.2 + 2.0, "within the probe's cap for rain and level"
        assert max(story.gaps(unit, since_s=back_s)) <= 2 * 2.0


def test_deaf_slaves_are_found_out_and_silence_is_kept_for_them() -> None:
    # Four live libmodbus-like slaves and a dead one, back to back.
    slaves = Field(lambda unit, _: unit == "9", deaf=True)
    jobs = [*jobs_of(4, 0.3), *jobs_of(9, 0.3)[8:]]
    quiet = Quiet()
    story, _ = ours(slaves, jobs, 600.0, patience=PATIENCE, quiet=quiet)
    assert quiet.s == QUIET_S
    fixed, _ = ours(slaves, jobs, 600.0, patience=PATIENCE, quiet=Quiet(0.0))
    lost = {unit: story.polls[unit] - len(story.good[unit]) for unit in "1234"}
    cascades = {unit: fixed.polls[unit] - len(fixed.good[unit]) for unit in "1234"}
    assert sum(lost.values()) <= 2, "what it took to find out"
    assert sum(cascades.values()) > 5 * sum(lost.values())
    assert not any(at_s in story.parked for at_s in "1234"), "no live unit is ever parked"


def test_one_of_four_dies_after_it_was_learnt() -> None:
    # Period 1 s, patience 3 s: a loop with three retries brought 8 % of the samples, gaps of 12 s.
    slaves = Field(lambda unit, now: unit == "3" and now > 20, registers=1, deaf=True)
    story, _ = ours(slaves, jobs_of(4, 1.0), 72.0, patience=Patience(0.05, 3.0))
    for unit in ("1", "2", "4"):
        assert len(story.good[unit]) >= 0.95 * 72
        assert max(story.gaps(unit)) <= 1.5


def test_a_full_line_of_mixed_classes_keeps_rain_and_level_on_time() -> None:
    jobs = [
        job._replace(rank=Rank.WARNING if int(job.unit) <= 10 else Rank.SERVICE)
        for job in jobs_of(32, 1.2)
    ]  # 139 % of the line
    story, _ = ours(Field(lambda *_: False), jobs, 1200.0, patience=PATIENCE)
    warning = [unit for unit in UNITS if int(unit) <= 10]
    met = [gap <= 1.1 * 1.2 for unit in warning for gap in story.gaps(unit, since_s=60.0)]
    assert sum(met) / len(met) >= 0.9
    assert max(max(story.gaps(unit, since_s=60.0)) for unit in warning) <= 2 * 1.2
    for unit in set(UNITS) - set(warning):
        assert max(story.gaps(unit, since_s=60.0)) <= 10 * 1.2
