"""What goes when it is old: whole days, never before it is rolled, and never what is kept."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.centre_process import command, settings_file
from rig.rolling import Rolling, in_memory

from egret_aggregator.charts import Tier
from egret_aggregator.clock import Clock
from egret_aggregator.config import RetentionSettings
from egret_aggregator.errors import StoreError
from egret_aggregator.retention import DAY_MS, Account, Retention, horizons
from egret_aggregator.store import Note, SqliteStore, StoredReading
from egret_core.buckets import HOUR_MS, TEN_MIN_MS
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

T0 = 1_789_948_800_000  # a day's start
NOW = T0 + 12 * DAY_MS + 5 * HOUR_MS
FAR = 4_102_444_800_000
KEY = ("st1", "wl")
KEEP = RetentionSettings(raw_days=5, ten_min_days=7, hour_days=9)


@asynccontextmanager
async def aged(tmp_path: Path) -> AsyncIterator[Rolling]:
    """Thirteen days of four readings of two stations, rolled, the newest received just now."""
    rolling = Rolling(tmp_path)
    await rolling.open()
    try:
        for day in range(13):
            for station in ("st1", "st2"):
                start = T0 + day * DAY_MS
                await rolling.arrive(
                    [
                        Reading(station, "wl", start + n * HOUR_MS, float(day))
                        for n in range(0, 24, 6)
                    ]
                )
        await rolling.record()
        await rolling.settle()
        yield rolling
    finally:
        await rolling.close()


def retention(rolling: Rolling, settings: RetentionSettings = KEEP) -> Retention:
    assert isinstance(rolling.store, SqliteStore)
    return Retention(rolling.store, rolling.rollups, settings, rolling.store)


async def kept(rolling: Rolling) -> tuple[int, int, int]:
    """Rows of one channel in each tier."""
    raw = await rolling.store.range(*KEY, 0, FAR, 10**6)
    ten = await rolling.rollups.rows(KEY, TEN_MIN_MS, 0, FAR)
    return len(raw.rows), len(ten), len(await rolling.rollups.rows(KEY, HOUR_MS, 0, FAR))


def test_a_horizon_is_a_day_s_start_and_zero_is_for_ever() -> None:
    found = dict(horizons(RetentionSettings(raw_days=3), NOW))
    assert found == {Tier.RAW: T0 + 9 * DAY_MS, Tier.TEN_MIN: None, Tier.HOUR: None}


async def test_each_tier_goes_at_its_own_age_and_the_plan_says_so_before(tmp_path: Path) -> None:
    async with aged(tmp_path) as rolling:
        whole = await rolling.rollups.rows(KEY, HOUR_MS, T0 + 3 * DAY_MS, FAR)
        planned = await retention(rolling).plan(NOW)
        assert await kept(rolling) == (13 * 4,) * 3
        removed = await retention(rolling).remove(lambda: NOW)
        assert await kept(rolling) == (6 * 4, 8 * 4, 10 * 4)
        assert [(a.tier, a.rows, len(a.stations)) for a in planned] == [
            (Tier.RAW, 56, 2),
            (Tier.TEN_MIN, 40, 2),
            (Tier.HOUR, 24, 2),
        ]
        assert [(a.tier, a.rows, a.left_days) for a in removed] == [
            (a.tier, a.rows, 0) for a in planned
        ]
        # What is left of a coarser tier is what it was.
        assert await rolling.rollups.rows(KEY, HOUR_MS, 0, FAR) == whole
        again = await retention(rolling).remove(lambda: NOW)
        assert [a.rows for a in again] == [0, 0, 0]


async def test_what_comes_late_to_removed_days_changes_nothing_and_is_counted(
    tmp_path: Path,
) -> None:
    async with aged(tmp_path) as rolling:
        await retention(rolling).remove(lambda: NOW)
        hours = await rolling.rollups.rows(KEY, HOUR_MS, 0, FAR)
        # A duplicate of what went, and something new for the same hour: nobody can tell them apart.
        day = T0 + 5 * DAY_MS
        await rolling.arrive([Reading(*KEY, day, 5.0), Reading(*KEY, day + 1000, 99.0)])
        await rolling.record()
        await rolling.settle()
        assert await rolling.rollups.rows(KEY, HOUR_MS, 0, FAR) == hours
        assert (await rolling.rollups.progress()).too_late == 1
        page = await rolling.charts.buckets(KEY, day, day + HOUR_MS, HOUR_MS, 10)
        assert [(b.seen, b.high) for b in page.buckets] == [(1, 5.0)]


async def test_a_day_that_is_not_rolled_or_that_something_came_to_waits(tmp_path: Path) -> None:
    async with aged(tmp_path) as rolling:
        late = Reading("st1", "wl", T0 + 90_000, 7.0)
        row = StoredReading(*late, notes=0, lag_ms=NOW + 17 * HOUR_MS - late.time_ms)
        await rolling.store.write([row])
        (account, *_) = await retention(rolling, RetentionSettings(raw_days=5)).remove(lambda: NOW)
        assert (account.left_days, account.rows) == (1, 56 - 4)
        # Received long ago, but marked and not yet rolled.
        early = [Reading("st2", "wl", T0 + 8 * DAY_MS + 5, 7.0)]
        await rolling.arrive(early, received_ms=NOW + 10 * HOUR_MS)
        await rolling.arrive([Reading("st2", "wl", NOW, 7.0)], received_ms=NOW + 20 * HOUR_MS)
        await rolling.record()
        await rolling.roller.step()
        (account, *_) = await retention(rolling, RetentionSettings(raw_days=3)).remove(lambda: NOW)
        assert account.left_days == 1
        await rolling.settle()
        rows = await rolling.rollups.rows(("st2", "wl"), HOUR_MS, T0 + 8 * DAY_MS, FAR)
        assert rows[0].seen == 2


async def test_nothing_goes_before_the_rollups_have_taken_anything(tmp_path: Path) -> None:
    rolling = Rolling(tmp_path)
    await rolling.open()
    await rolling.store.write([StoredReading(*KEY, at, 1.0, None, 1, 0, 0, 10) for at in (T0, NOW)])
    (account, *_) = await retention(rolling).remove(lambda: NOW)
    assert (account.rows, account.left_days) == (0, 1)
    assert (await kept(rolling))[0] == 2
    await rolling.close()


async def test_a_big_day_goes_in_small_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.store.removal.REMOVE_ROWS", 1)
    async with aged(tmp_path) as rolling:
        (account, *_) = await retention(rolling).remove(lambda: NOW)
        assert account.rows == 56
        assert (await kept(rolling))[0] == 6 * 4


async def test_a_database_s_raw_readings_are_its_administrator_s(tmp_path: Path) -> None:
    rolling = in_memory(tmp_path)
    await rolling.open()
    await rolling.arrive([Reading(*KEY, T0, 1.0)])
    await rolling.arrive([Reading(*KEY, NOW, 1.0)])
    await rolling.record()
    await rolling.settle()
    keeper = Retention(None, rolling.rollups, KEEP, rolling.store)
    accounts = await keeper.remove(lambda: NOW)
    assert [a.rows for a in accounts] == [0, 1, 1]
    assert len((await rolling.store.range(*KEY, 0, FAR, 9)).rows) == 2
    assert (await keeper.plan(NOW))[0].rows == 0
    await rolling.close()


async def test_a_clock_years_ahead_removes_nothing_that_is_young(tmp_path: Path) -> None:
    """The server's clock stands in 2100; the gateways' clocks are right."""
    async with aged(tmp_path) as rolling:
        newest = T0 + 12 * DAY_MS + 18 * HOUR_MS
        doubtful = [
            StoredReading("st3", "wl", FAR, 1.0, None, 1, 0, int(Note.CLOCK_AHEAD), NOW - FAR),
            StoredReading("st3", "rn", newest + 3 * DAY_MS, None, None, 9, 0, 0, 10),
        ]
        await rolling.store.write(doubtful)
        planned = await retention(rolling).plan(FAR)
        removed = await retention(rolling).remove(lambda: FAR)
        assert [a.before_ms for a in planned] == [a.before_ms for a in removed]
        assert removed[0].before_ms == T0 + 7 * DAY_MS
        assert await kept(rolling) == (6 * 4, 8 * 4, 10 * 4)


async def test_without_a_good_reading_nothing_goes(tmp_path: Path) -> None:
    rolling = Rolling(tmp_path)
    await rolling.open()
    await rolling.store.write([StoredReading(*KEY, T0, None, None, 9, 0, 0, 10)])
    assert [a.rows for a in await retention(rolling).plan(FAR)] == [0, 0, 0]
    await rolling.close()


class Leaping(Clock):
    """A wall clock that somebody sets while the centre runs."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ms = NOW - super().now_ms()

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


async def test_a_round_after_the_clock_leapt_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with aged(tmp_path) as rolling:
        # A gateway that takes its time from the centre follows it: readings are no second witness.
        await rolling.store.write([StoredReading("st3", "wl", FAR, 1.0, None, 1, 0, 0, 10)])
        clock, keeper = Leaping(), retention(rolling)
        clock.ahead_ms -= 12 * DAY_MS
        assert [a.rows for a in await keeper._round(clock)] == [0, 0, 0]
        for leap_ms in (2 * DAY_MS, FAR - NOW):
            clock.ahead_ms += leap_ms
            assert await keeper._round(clock) == []
            clock.ahead_ms -= leap_ms
        assert "retain_refused clock_leapt_days=2" in caplog.text
        clock.ahead_ms += DAY_MS - HOUR_MS  # an hour's correction, and summer time for good measure
        assert len(await keeper._round(clock)) == 3
        assert (await kept(rolling))[0] == 13 * 4
        assert sum(a.rows for a in await retention(rolling)._round(Leaping())) == 56 + 40 + 24


@pytest.mark.parametrize("store", [SqliteStore, None])
async def test_buckets_of_a_day_that_is_to_be_rolled_wait_too(
    tmp_path: Path, store: type[SqliteStore] | None
) -> None:
    """Backlog of an old day, marked and not rolled: its buckets are all that will be of it."""
    async with aged(tmp_path) as rolling:
        assert isinstance(rolling.store, SqliteStore)
        backlog = [Reading(*KEY, T0 + n * TEN_MIN_MS + 5, 7.0) for n in (1, 2)]
        await rolling.arrive(backlog, received_ms=NOW - 2 * HOUR_MS)
        await rolling.record()
        await rolling.roller.step()
        own = rolling.store if store else None
        same = RetentionSettings(raw_days=5, ten_min_days=5)
        keeper = Retention(own, rolling.rollups, same, rolling.store)
        accounts = await keeper.remove(lambda: NOW)
        assert [a.left_days for a in accounts] == [int(store is not None), 1, 0]
        await rolling.arrive([Reading("st2", "wl", NOW + 19 * HOUR_MS, 7.0)])
        await rolling.record()
        await rolling.settle()
        ten = await rolling.rollups.rows(KEY, TEN_MIN_MS, T0, T0 + DAY_MS)
        assert [row.seen for row in ten] == [1, 1, 1, 1, 1, 1]
        accounts = await keeper.remove(lambda: NOW + DAY_MS)
        assert [a.left_days for a in accounts] == [0, 0, 0]
        hours = await rolling.rollups.rows(KEY, HOUR_MS, T0, T0 + DAY_MS)
        assert [row.seen for row in hours] == [3, 1, 1, 1]
        assert (await rolling.rollups.progress()).too_late == 0


async def test_buckets_of_a_day_that_raw_readings_wait_of_wait_too(tmp_path: Path) -> None:
    """What is recorded has no mark yet: the day's hours must not be sealed before it comes."""
    async with aged(tmp_path) as rolling:
        await rolling.arrive([Reading(*KEY, T0 + 5, 7.0)], received_ms=NOW + 13 * HOUR_MS)
        await rolling.record()
        same = RetentionSettings(raw_days=5, ten_min_days=5, hour_days=5)
        accounts = await retention(rolling, same).remove(lambda: NOW)
        assert [a.left_days for a in accounts] == [1, 1, 1]
        await rolling.settle()
        hours = await rolling.rollups.rows(KEY, HOUR_MS, T0, T0 + DAY_MS)
        assert [row.seen for row in hours] == [2, 1, 1, 1]


async def test_a_round_that_fails_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("egret_aggregator.retention.ROUND_S", 0.01)
    async with aged(tmp_path) as rolling:
        keeper = retention(rolling, RetentionSettings(raw_days=1))
        real, failures = keeper.remove, [StoreError("locked")]

        async def remove(*args: object) -> list[Account]:
            if failures:
                raise failures.pop()
            return await real(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(keeper, "remove", remove)
        monkeypatch.setattr("egret_aggregator.retention.PAUSE_S", 0.0)
        task = asyncio.create_task(keeper.run(Clock()))
        async with asyncio.timeout(60):
            while not keeper.removed:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert "retain_failed" in caplog.text


@pytest.mark.system
async def test_the_command_tells_first_and_removes_then(tmp_path: Path) -> None:
    path = settings_file(tmp_path)
    with path.open("a") as file:
        file.write("[retention]\nraw_days = 1\n")
    code, _, err = await command("retain", str(path), "--dry-run")
    assert (code, "let the centre run first" in err) == (1, True)
    (tmp_path / "data").mkdir(exist_ok=True)
    async with aged(tmp_path / "data"):
        pass
    code, out, _ = await command("retain", str(path), "--dry-run")
    assert code == 0
    assert "raw: 88 rows of 2 stations would go" in out
    assert "10min: kept for ever" in out
    code, out, _ = await command("retain", str(path), "--json")
    (raw, *_) = json.loads(out)["tiers"]
    # Age counts from the newest reading, two months before this machine's clock.
    assert (code, raw["rows"], raw["left_days"]) == (0, 88, 0)
