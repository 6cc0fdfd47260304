"""A backtest is the judge's own fold: what was lived is told again, whatever the slices."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from rig.catalogues import LEVEL, RIVER, STATION, STATIONS
from rig.history import Past, folder_of, lived
from rig.rulebook import START_MS, at

from egret_aggregator import catalogue
from egret_aggregator.backtest import Backtest, Outcome, Span, Told, replay
from egret_aggregator.store import MemoryStore, MetaFact, Note, SqliteStore, StoredReading
from egret_core.messages import ChannelMeta
from egret_core.rules.event import Phase, settled_hash
from egret_core.rules.step import Change, Fold, Receipt, step

SCENARIOS = Path(__file__).parents[2] / "scenarios"
_spec = importlib.util.spec_from_file_location("scenarios", SCENARIOS / "test_scenarios.py")
assert _spec is not None
assert _spec.loader is not None
scenarios = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(scenarios)

HOUR_MS = 3_600_000
FROM_MS = START_MS + HOUR_MS  # both have seen readings by then
TO_MS = START_MS + 6 * HOUR_MS  # the centre ended after the last reading
LEVELS = catalogue.of_texts(STATIONS, RIVER, "f")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return asyncio.run(lived(tmp_path_factory.mktemp("lived")))


def row(second: float, value: float | None, lag_s: float = 0, **more: Any) -> StoredReading:
    one = StoredReading("st1", "wl", at(second), value, None, 1, 0, 0, round(lag_s * 1000))
    return one._replace(**more)


async def judged(
    rows: list[StoredReading], from_s: float = 0, to_s: float = 3600, **more: Any
) -> Outcome:
    store = MemoryStore()
    await store.write(rows, metas=more.pop("metas", ()))
    span = Span(at(from_s), at(to_s))
    return await Backtest(store, more.pop("places", LEVELS), span, **more).run()


def brief(found: Outcome) -> list[tuple[str, str, float]]:
    return [(str(one.change), one.level, (one.time_ms - START_MS) / 1000) for one in found.events]


async def over(folder: Path, from_ms: int = FROM_MS, to_ms: int = TO_MS) -> Outcome:
    store = SqliteStore(folder / "data/series.db")
    await store.open()
    places = catalogue.load(folder / "catalogue")
    try:
        return await Backtest(store, places, Span(from_ms, to_ms)).run()
    finally:
        await store.close()


async def test_it_reproduces_the_settled_events_of_the_live_log(past: Past) -> None:
    found = await over(past.config.parent)
    expected = [one for one in past.live.values() if FROM_MS <= one.time_ms < TO_MS]
    settled = [one for one in expected if one.phase is Phase.SETTLED]
    assert {one.hazard for one in settled} == {"level", "rain", "absence"}
    assert len(settled) > 10
    assert settled_hash(found.events) == settled_hash(settled)
    assert found.late > 20  # the half hour that came two hours late


async def test_slices_and_ticks_change_nothing(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await over(past.config.parent)
    monkeypatch.setattr(replay, "SLICE_MIN_MS", 60_000)
    monkeypatch.setattr(replay, "SLICE_MAX_MS", 420_000)
    monkeypatch.setattr(replay, "PAGE_ROWS", 3)
    narrow = await over(past.config.parent)
    assert settled_hash(narrow.events) == settled_hash(whole.events)
    assert (narrow.settled, narrow.late) == (whole.settled, whole.late)


async def test_a_part_of_the_span_gives_its_part_of_the_events(past: Past) -> None:
    whole = await over(past.config.parent)
    from_ms, to_ms = START_MS + 3 * HOUR_MS, START_MS + 5 * HOUR_MS
    part = await over(past.config.parent, from_ms, to_ms)
    inside = [one for one in whole.events if from_ms <= one.time_ms < to_ms]
    assert inside
    assert settled_hash(part.events) == settled_hash(inside)


async def test_twice_is_the_same(past: Past) -> None:
    one, two = await over(past.config.parent), await over(past.config.parent)
    assert one.events == two.events
    assert one.standing == two.standing


async def test_what_holds_at_the_beginning_is_standing_and_not_told_again() -> None:
    rows = [row(60 * n, 3.5) for n in range(10)] + [row(60 * n, 2.0) for n in range(10, 20)]
    found = await judged(rows, from_s=300)
    assert brief(found) == [("returned", "", 600.0)]
    (standing,) = found.standing.values()
    assert (standing.level, standing.time_ms) == ("blue", at(0))


async def test_what_is_over_by_the_beginning_does_not_stand() -> None:
    rows = [row(0, 3.5), row(60, 2.0), row(120, 2.0), row(180, 2.0)]
    found = await judged(rows, from_s=150)
    assert (found.standing, found.events) == ({}, [])


async def test_only_event_times_of_the_span_are_told() -> None:
    rows = [row(60 * n, 3.5 if n % 10 < 5 else 2.0) for n in range(60)]
    found = await judged(rows, from_s=600, to_s=1200)
    assert brief(found) == [("raised", "blue", 600.0), ("returned", "", 900.0)]
    assert (found.settled, found.provisional, found.refuted) == (2, 1, 0)


async def test_readings_are_judged_in_the_order_of_their_receipt() -> None:
    # 3.5 m of 00:05 came ten minutes late: too late to be judged, as it was then.
    rows = [row(60 * n, 2.0) for n in range(5)] + [row(300, 3.5, lag_s=600)]
    rows += [row(60 * n, 2.0) for n in range(6, 30)]
    found = await judged(rows)
    assert (found.events, found.late) == ([], 1)


async def test_what_was_brought_in_later_counts_as_received_when_measured() -> None:
    days_s = 5 * 86_400
    rows = [row(60 * n, 3.5, lag_s=days_s, notes=int(Note.IMPORTED)) for n in range(5)]
    assert brief(await judged(rows)) == [("raised", "blue", 0.0)]


async def test_a_clock_ahead_is_left_out_and_counted() -> None:
    rows = [row(0, 2.0), row(60, 9.0, lag_s=-7200, notes=int(Note.CLOCK_AHEAD)), row(120, 2.0)]
    found = await judged(rows)
    assert (found.events, found.ahead) == ([], 1)


async def test_doubt_is_judged_as_the_judge_does() -> None:
    rows = [row(0, 2.0), row(60, 9.0, flag=4), row(120, 9.0, reasons=1), row(180, 3.5, flag=3)]
    assert brief(await judged(rows)) == [("raised", "blue", 180.0)]


async def test_what_a_gateway_told_of_its_channel_holds() -> None:
    other = ChannelMeta("st1", "wl", "water_level", "m", "Elsewhere")
    fact = MetaFact(other, "GW-1", "v", 0)
    assert (await judged([row(0, 9.0), row(60, 9.0)], metas=[fact])).events == []


async def test_a_silence_is_told_at_its_time(tmp_path: Path) -> None:
    folder_of(tmp_path)
    places = catalogue.load(tmp_path / "catalogue")
    rows = [row(60 * n, 2.0) for n in (*range(10), *range(40, 60))]
    found = await judged(rows, from_s=60, places=places)
    silent = [one for one in brief(found) if one[1] == "fault" or one[0] == "returned"]
    assert silent.count(("raised", "fault", 9 * 60 + 900.0)) == 2  # the channel and its gateway
    assert silent.count(("returned", "", 2400.0)) == 2


async def test_a_backlog_larger_than_is_held_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "HELD_MAX", 10)
    rows = [row(60 * n, 2.0, lag_s=50_000) for n in range(60)]
    found = await judged(rows)
    assert found.early == 50


async def test_kept_events_have_a_limit_and_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "EVENTS_MAX", 3)
    rows = [row(60 * n, 3.5 if n % 2 else 2.0) for n in range(20)]
    found = await judged(rows)
    assert (len(found.events), found.settled > 3) == (3, True)


async def test_progress_grows_to_the_whole() -> None:
    told: list[Told] = []
    rows = [row(60 * n, 2.0) for n in range(60)]
    await judged(rows, tell=told.append)
    shares = [one.share for one in told]
    assert shares == sorted(shares)
    assert (shares[-1], told[-1].readings) == (1.0, 60 - 1)  # the last waits to be settled


async def test_channels_that_no_rule_judges_are_not_read() -> None:
    asked: list[str] = []

    class Watched(MemoryStore):
        async def range(self, station: str, channel: str, *more: Any) -> Any:
            asked.append(channel)
            return await super().range(station, channel, *more)

    await Backtest(Watched(), LEVELS, Span(START_MS, START_MS + HOUR_MS)).run()
    assert set(asked) == {"wl"}


BESIDE = """[station.channel.screening]
unit = "m"
neighbours = { channels = ["st2/wl"], off_by = 1.0, least = 1 }
"""
NEIGHBOURS = STATION + LEVEL + BESIDE + STATIONS.replace('"st1"', '"st2"').replace('"A"', '"B"')


async def test_what_screening_asks_of_neighbours_is_read_too() -> None:
    places = catalogue.of_texts(NEIGHBOURS, RIVER, "f")
    work = Backtest(MemoryStore(), places, Span(START_MS, START_MS + HOUR_MS))
    assert [place.name for place in work._places] == ["st1/wl", "st2/wl"]
    beside = [row(60 * n, 2.0)._replace(station="st2") for n in range(20)]
    found = await judged([row(60 * n, 2.0) for n in range(20)] + beside, places=places)
    assert (found.readings, found.events) == (40, [])


@pytest.mark.parametrize("name", ["two_of_three_gauges", "half_of_a_basin", "rain_then_flood"])
async def test_joint_rules_say_what_they_say_in_the_judge(name: str) -> None:
    case = SCENARIOS / name
    places = catalogue.load(case)
    fold = Fold()
    step(fold, Change(places.places(), places.rules, scenarios.START_MS))
    rows, settled = [], []
    for item in scenarios.items(case):
        if isinstance(item, str):
            continue  # a restart: it changes nothing
        settled += [one for one in step(fold, item)[1] if one.phase is Phase.SETTLED]
        for one in item.readings if isinstance(item, Receipt) else ():
            lag_ms = item.received_ms - one.time_ms
            rows.append(StoredReading(*one, 0, lag_ms))
    first_ms, last_ms = min(row.time_ms for row in rows), max(row.time_ms for row in rows)
    store = MemoryStore()
    await store.write(rows)
    found = await Backtest(store, places, Span(first_ms, last_ms + 1)).run()
    inside = [one for one in settled if first_ms <= one.time_ms <= last_ms]
    joint = {one.reason for one in inside if one.reason.startswith("inputs_")}
    assert joint
    assert [one for one in found.events if one.reason in joint] == [
        one for one in inside if one.reason in joint
    ]


async def test_what_is_dense_after_months_of_little_is_read_in_short_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a slice that has grown to days holds all of a flood, at half a kB a reading."""
    monkeypatch.setattr(replay, "SLICE_ROWS", 300)
    monkeypatch.setattr(replay, "SLICE_ROWS_MAX", 600)
    monkeypatch.setattr(replay, "PAGE_ROWS", 100)
    sparse = [row(86_400 * n, 2.0) for n in range(60)]
    dense = [row(86_400 * 60 + 2 * n, 2.0 + n / 1000, lag_s=1) for n in range(4000)]
    ahead = [row(86_400 * 60 + 2 * n + 1, 9.0, notes=int(Note.CLOCK_AHEAD)) for n in range(50)]
    most = []

    class Watched(Backtest):
        def _slice(self, rows: Any, to_ms: int) -> int:
            most.append(len(rows))
            return super()._slice(rows, to_ms)

    store = MemoryStore()
    await store.write([*sparse, *dense, *ahead])
    found = await Watched(store, LEVELS, Span(at(0), at(86_400 * 61))).run()
    assert max(most) <= 700  # a page more than is given up at
    assert found.readings == len(sparse) + len(dense)
    assert found.ahead == len(ahead), "what was read anew is counted once"
    monkeypatch.setattr(replay, "SLICE_ROWS_MAX", 10**9)
    whole = await Backtest(store, LEVELS, Span(at(0), at(86_400 * 61))).run()
    assert settled_hash(found.events) == settled_hash(whole.events)
    assert found.events
