"""Clocks that leap, lie or know nothing: no second copy is thrown away, no reading misdated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.box_file import Ear, opened, rows, until
from rig.field_box import HandClock, make_outbox, sample

from egret_core.codec import decode_batch
from egret_core.entries import read_readings
from egret_core.messages import Kind
from egret_core.quality import Reason
from egret_gateway.clock import FLOOR_MS, Clock
from egret_gateway.config import OutboxSettings
from egret_gateway.outbox import space
from egret_gateway.outbox.ageing import Ageing
from egret_gateway.outbox.file import OutboxFile

if TYPE_CHECKING:
    from pathlib import Path

    from egret_core.reading import Reading
    from egret_gateway.outbox import Outbox

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
YEAR_2100_MS = 4_102_444_800_000


def put(outbox: Outbox, ear: Ear, hands: HandClock, value: float) -> None:
    """Commit one reading in a batch of its own."""
    before = len(ear.parcels)
    outbox.emitter(0.0)([sample(value, hands.mono)], {})
    ear.until_parcels(before + 1)


def settle_all(outbox: Outbox, ear: Ear, hands: HandClock) -> None:
    outbox.settle([1, *(parcel.id for parcel in ear.parcels)])
    hands.pass_ms(2_000)
    outbox.wake()
    until(lambda: outbox.stats()["unsettled"] == 0)


def dated(folder: Path) -> list[Reading]:
    return [
        reading
        for row in rows(folder)
        if row[2] == Kind.READINGS
        for reading in read_readings(decode_batch(row[4])).dated
    ]


def kept(folder: Path) -> list[float | None]:
    return [reading.value for reading in dated(folder)]


@pytest.mark.parametrize("leap_ms", [40 * DAY_MS, 365 * DAY_MS, YEAR_2100_MS - 1_795_340_000_000])
def test_a_clock_that_leaps_ahead_throws_no_second_copy_away(tmp_path: Path, leap_ms: int) -> None:
    hands = HandClock()
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()))) as ear:
        for value in range(5):
            put(outbox, ear, hands, float(value))
            hands.pass_ms(1000)
        settle_all(outbox, ear, hands)
        hands.wall += leap_ms
        for value in range(5, 10):
            hands.pass_ms(10 * 60_000)
            put(outbox, ear, hands, float(value))
    assert kept(tmp_path) == [float(value) for value in range(10)]


def test_a_wrong_clock_at_the_start_throws_no_second_copy_away(tmp_path: Path) -> None:
    hands = HandClock()
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()))) as ear:
        put(outbox, ear, hands, 1.0)
        settle_all(outbox, ear, hands)
    for restart in range(3):
        wrong = HandClock(mono=5_000, wall=YEAR_2100_MS, boot=f"boot-{restart}")
        with opened(outbox := make_outbox(tmp_path, Clock(hands=wrong.hands()))) as ear:
            put(outbox, ear, wrong, 2.0)
    assert kept(tmp_path)[0] == 1.0


def test_after_a_long_absence_old_copies_go_by_and_by(tmp_path: Path) -> None:
    hands = HandClock()
    settings = OutboxSettings(keep_days=1)
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()), settings)) as ear:
        put(outbox, ear, hands, 1.0)
        settle_all(outbox, ear, hands)
    hands = HandClock(boot="boot-2", wall=hands.wall + 3 * DAY_MS)
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()), settings)) as ear:
        put(outbox, ear, hands, 2.0)
        assert kept(tmp_path) == [1.0, 2.0], "not at once"
        for value in range(3, 30):
            hands.pass_ms(HOUR_MS)
            put(outbox, ear, hands, float(value))
        assert kept(tmp_path)[0] == 2.0
    assert len(kept(tmp_path)) == 28


def test_in_steady_running_copies_age_out_at_their_date(tmp_path: Path) -> None:
    hands = HandClock()
    settings = OutboxSettings(keep_days=1)
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()), settings)) as ear:
        for hour in range(60):
            put(outbox, ear, hands, float(hour))
            settle_all(outbox, ear, hands)
            hands.pass_ms(HOUR_MS)
        put(outbox, ear, hands, 60.0)
    found = kept(tmp_path)
    assert found[-1] == 60.0
    assert 35.0 <= (found[0] or 0.0) <= 37.0


def test_the_ageing_limit_follows_the_time_that_passed(tmp_path: Path) -> None:
    file = OutboxFile(tmp_path / "outbox.db", "boot-1")
    start = 1_795_340_000_000
    ageing = Ageing(DAY_MS)
    assert ageing.limit(file, start, 60_000) == start, "an empty file has nothing to lose"
    assert ageing.limit(file, start + DAY_MS, 60_000) == start + 120_000
    assert ageing.limit(file, start + 60_000, 60_000) == start + 60_000, "and back with a clock"
    assert ageing.limit(file, YEAR_2100_MS, 0) == start + 60_000
    file.close()


def test_quarantined_batches_age_out_like_settled_ones(tmp_path: Path) -> None:
    hands = HandClock()
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()))) as ear:
        put(outbox, ear, hands, 1.0)
    file = OutboxFile(tmp_path / "outbox.db", "boot-1")
    file.quarantine(2)
    assert space.drop_aged(file, hands.wall + DAY_MS) == 1
    file.close()


def test_a_step_of_the_clock_dates_only_what_is_read_after_it(tmp_path: Path) -> None:
    hands = HandClock()
    start = hands.wall
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()))) as ear:
        emit = outbox.emitter(10.0)
        hands.pass_ms(1000)
        emit([sample(1.0, hands.mono)], {})
        outbox._clock.stamp(hands.mono)
        hands.pass_ms(1000)
        hands.wall += 3 * HOUR_MS
        outbox._clock.stamp(hands.mono)
        hands.pass_ms(1000)
        emit([sample(2.0, hands.mono)], {})
        hands.pass_ms(10_000)
        outbox.wake()
        ear.until_parcels(1)
        hands.wall -= 3 * HOUR_MS
        put(outbox, ear, hands, 3.0)
    times = {reading.value: reading.time_ms - start for reading in dated(tmp_path)}
    assert times == {1.0: 1000, 2.0: 3000 + 3 * HOUR_MS, 3.0: 13_000}


def test_a_small_step_back_keeps_the_readings_in_order(tmp_path: Path) -> None:
    hands = HandClock()
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()))) as ear:
        for second in range(30):
            put(outbox, ear, hands, float(second))
            hands.pass_ms(1000)
            if second == 10:
                hands.wall -= 4_000
    times = [reading.time_ms for reading in dated(tmp_path)]
    assert times == sorted(set(times)), "in order, and no two of one date"
    assert abs(times[-1] - (hands.wall - 1000)) < 10, "and in the end by the clock"


def test_a_boot_in_1970_dates_nothing_until_ntp_has_come(tmp_path: Path) -> None:
    hands = HandClock(wall=5_000)
    clock = Clock("ntp", hands=hands.hands())
    with opened(outbox := make_outbox(tmp_path, clock)) as ear:
        outbox.emitter(0.0)([sample(1.0, hands.mono)], {})
        until(lambda: outbox.stats()["drafts"] == 1)
        assert ear.parcels == []
        hands.pass_ms(60_000)
        hands.wall = 1_795_340_060_000
        hands.pass_ms(2_000)
        outbox.wake()
        until(lambda: outbox.stats()["drafts"] == 0)
        put(outbox, ear, hands, 2.0)
    first, second = dated(tmp_path)
    assert (first.time_ms, second.time_ms) == (1_795_340_000_000, 1_795_340_062_000)
    assert first.reasons & Reason.CLOCK, "worked out afterwards"
    assert not second.reasons & Reason.CLOCK


def test_a_clock_set_back_before_the_last_commit_is_not_believed(tmp_path: Path) -> None:
    hands = HandClock()
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()))) as ear:
        put(outbox, ear, hands, 1.0)
    again = HandClock(boot="boot-2", wall=hands.wall - 5 * DAY_MS)
    assert again.wall > FLOOR_MS
    clock = Clock("rtc", hands=again.hands())
    with opened(outbox := make_outbox(tmp_path, clock)) as ear:
        outbox.emitter(0.0)([sample(2.0, again.mono)], {})
        until(lambda: outbox.stats()["drafts"] == 1)
        clock.hear(hands.wall + 1_000, again.mono - 20, again.mono)
        again.pass_ms(2_000)
        outbox.wake()
        until(lambda: outbox.stats()["drafts"] == 0)
    assert [reading.time_ms - hands.wall for reading in dated(tmp_path)] == [0, 1_010]


def test_a_floor_poisoned_by_a_clock_of_2100_is_healed_by_the_centre_s_time(tmp_path: Path) -> None:
    wrong = HandClock(wall=YEAR_2100_MS)
    with opened(outbox := make_outbox(tmp_path, Clock(hands=wrong.hands()))) as ear:
        put(outbox, ear, wrong, 1.0)
    right = HandClock(boot="boot-2")
    clock = Clock("ntp", hands=replace(right.hands(), disciplined=lambda: False))
    with opened(outbox := make_outbox(tmp_path, clock)) as ear:
        outbox.emitter(0.0)([sample(2.0, right.mono)], {})
        until(lambda: outbox.stats()["drafts"] == 1)
        clock.hear(right.wall, right.mono - 20, right.mono)
        right.pass_ms(2_000)
        outbox.wake()
        until(lambda: outbox.stats()["drafts"] == 0)
        put(outbox, ear, right, 3.0)
    healed = HandClock(boot="boot-3", wall=right.wall + 60_000)
    with opened(outbox := make_outbox(tmp_path, Clock("ntp", hands=healed.hands()))) as ear:
        put(outbox, ear, healed, 4.0)
    assert dated(tmp_path)[-1].time_ms == healed.wall


def test_a_boot_in_1970_without_network_dates_all_of_it_when_the_centre_answers(
    tmp_path: Path,
) -> None:
    """Hours offline, no RTC, no NTP ever: every reading waits and gets its own instant."""
    hands = HandClock(wall=5_000)
    clock = Clock("none", hands=hands.hands())
    first_ms = hands.mono
    with opened(outbox := make_outbox(tmp_path, clock)) as ear:
        for number in range(12):
            outbox.emitter(0.0)([sample(float(number), hands.mono)], {})
            until(lambda drafts=number + 1: outbox.stats()["drafts"] == drafts)
            hands.pass_ms(HOUR_MS)
        assert ear.parcels == [], "a reading without a date is not sent"
        now_ms = 1_795_340_000_000
        clock.hear(now_ms, hands.mono - 100, hands.mono)
        outbox.wake()
        until(lambda: outbox.stats()["drafts"] == 0)
    found = dated(tmp_path)
    # The answer is half a round trip old when it is taken for now.
    expected = [now_ms + 50 - (hands.mono - first_ms) + n * HOUR_MS for n in range(12)]
    assert [reading.time_ms for reading in found] == expected
    assert all(reading.reasons & Reason.CLOCK for reading in found)


@pytest.mark.parametrize("wrong_ms", [-DAY_MS, DAY_MS])
def test_an_rtc_wrong_by_a_day_misdates_nothing_once_the_centre_has_spoken(
    tmp_path: Path, wrong_ms: int
) -> None:
    hands = HandClock()
    true_ms = hands.wall
    hands.wall += wrong_ms
    clock = Clock("rtc", hands=replace(hands.hands(), disciplined=lambda: False))
    with opened(outbox := make_outbox(tmp_path, clock)) as ear:
        put(outbox, ear, hands, 1.0)
        clock.hear(true_ms, hands.mono - 20, hands.mono)
        for value in (2.0, 3.0):
            hands.pass_ms(60_000)
            put(outbox, ear, hands, value)
    times = {reading.value: reading.time_ms - true_ms for reading in dated(tmp_path)}
    assert times == {1.0: wrong_ms, 2.0: 60_010, 3.0: 120_010}
    batches = [decode_batch(row[4]) for row in rows(tmp_path) if row[2] == Kind.READINGS]
    assert [batch.clock.source for batch in batches] == ["rtc", "centre", "centre"]


def test_after_an_rtc_of_tomorrow_the_next_boot_believes_the_right_time(tmp_path: Path) -> None:
    """The last commit's date is a floor for clocks: a wrong one must not bar the right one."""
    hands = HandClock()
    true_ms = hands.wall
    hands.wall += DAY_MS
    clock = Clock("rtc", hands=replace(hands.hands(), disciplined=lambda: False))
    with opened(outbox := make_outbox(tmp_path, clock)) as ear:
        put(outbox, ear, hands, 1.0)
        clock.hear(true_ms, hands.mono - 20, hands.mono)
        hands.pass_ms(1_000)
        put(outbox, ear, hands, 2.0)
    mended = HandClock(boot="boot-2", wall=true_ms + 60_000)
    with opened(outbox := make_outbox(tmp_path, Clock("rtc", hands=mended.hands()))) as ear:
        put(outbox, ear, mended, 3.0)
    assert dated(tmp_path)[-1].time_ms == mended.wall
