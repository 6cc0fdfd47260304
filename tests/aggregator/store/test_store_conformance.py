"""Every store means the same; MemoryStore is the oracle.

InfluxStore runs on Debian's influxd 1.6.7 behind an alias that writes as 1.8 does, or on the server
that EGRET_INFLUX_URL names.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from rig.influx_bucket import bucket, fresh_measurement, why_no_bucket

from egret_aggregator.errors import StoreError
from egret_aggregator.store import (
    Aside,
    MemoryStore,
    MetaFact,
    Note,
    Receipt,
    SqliteStore,
    StoredReading,
    TimeSeriesStore,
)
from egret_aggregator.store.influx import InfluxStore
from egret_core.messages import ChannelMeta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from egret_aggregator.store.settings import StoreSettings

T0 = 1_790_000_000_000
FAR = 4_102_444_800_000


def row(time_ms: int, value: float | None = 1.0, channel: str = "wl", **more: int) -> StoredReading:
    plain = {"flag": 1, "reasons": 0, "notes": 0, "lag_ms": 40} | more
    return StoredReading("st1", channel, time_ms, value, None, **plain)


@asynccontextmanager
async def opened(store: TimeSeriesStore) -> AsyncIterator[TimeSeriesStore]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


NEEDS_BUCKET = (
    pytest.mark.system,
    pytest.mark.skipif(bool(why_no_bucket()), reason=why_no_bucket() or "complete"),
)


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreSettings]:
    with bucket(tmp_path_factory.mktemp("influx")) as settings:
        yield settings


@pytest.fixture(params=["memory", "sqlite", pytest.param("influx", marks=NEEDS_BUCKET)])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TimeSeriesStore:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "sqlite":
        return SqliteStore(tmp_path / "series.db")
    fresh_measurement(monkeypatch)
    return InfluxStore(request.getfixturevalue("influx"), tmp_path / "influx.db")


async def test_rows_come_back_in_time_order_from_a_half_open_span(store: TimeSeriesStore) -> None:
    async with opened(store):
        rows = [row(T0 + 1000 * n, n / 3) for n in (4, 0, 2, 1, 3)]
        assert await store.write([*rows, row(T0, 9.0, "rain")]) == Receipt(6, 0, 0)
        page = await store.range("st1", "wl", T0, T0 + 3000, 10)
        assert page == ([row(T0 + 1000 * n, n / 3) for n in (0, 1, 2)], False)
        short = await store.range("st1", "wl", T0, T0 + 9000, 2)
        assert ([r.time_ms for r in short.rows], short.truncated) == ([T0, T0 + 1000], True)
        assert (await store.range("st2", "wl", 0, FAR, 10)).rows == []


async def test_the_first_value_stays_and_a_different_second_is_counted_and_kept(
    store: TimeSeriesStore,
) -> None:
    async with opened(store):
        await store.write([row(T0), row(T0 + 1)])
        again = [row(T0, lag_ms=999, notes=2), row(T0 + 1, 7.5), row(T0 + 2), row(T0 + 2, 8.0)]
        assert await store.write(again) == Receipt(1, 1, 2)
        assert (await store.range("st1", "wl", 0, FAR, 10)).rows == [
            row(T0),
            row(T0 + 1),
            row(T0 + 2),
        ]
        assert (await store.health()).conflicts == 2
        kept = [item.aside for item in await store.asides(10)]
        assert [(a.why, b'"value":7.5' in a.body or b'"value":8.0' in a.body) for a in kept] == [
            ("value_conflict", True)
        ] * 2
        # A null is another content than a number, a raw value than none, a flag than another.
        others = [row(T0, None), row(T0, flag=4), row(T0, reasons=8), row(T0)._replace(raw=1.0)]
        assert await store.write(others) == Receipt(0, 0, 4)


async def test_latest_is_by_time_and_a_clock_ahead_speaks_for_its_receipt(
    store: TimeSeriesStore,
) -> None:
    async with opened(store):
        ahead = row(FAR, 99.0, notes=int(Note.CLOCK_AHEAD), lag_ms=T0 + 500 - FAR)
        await store.write([row(T0 + 400), row(T0)])
        assert await store.latest() == [row(T0 + 400)]
        await store.write([ahead])
        assert await store.latest([("st1", "wl"), ("no", "pe")]) == [ahead]
        await store.write([row(T0 + 600, 3.0), row(T0 + 100)])
        assert await store.latest() == [row(T0 + 600, 3.0)]
        assert await store.latest([]) == []


async def test_asides_page_backwards_and_come_once(store: TimeSeriesStore) -> None:
    asides = [Aside("gw1", "ab", 1, n, "undated", T0, b"{}") for n in range(5)]
    async with opened(store):
        await store.write([], asides)
        await store.write([], [asides[2]._replace(received_ms=T0 + 9)])
        first = await store.asides(3)
        assert [item.aside.at for item in first] == [4, 3, 2]
        rest = await store.asides(3, first[-1].id)
        assert [item.aside for item in rest] == [asides[1], asides[0]]
        assert (await store.health()).asides == 5


async def test_the_newest_facts_of_a_channel_count_whatever_order_they_come_in(
    store: TimeSeriesStore,
) -> None:
    def fact(version: str, since_ms: int, datum: str) -> MetaFact:
        meta = ChannelMeta("st1", "wl", "water_level", "m", datum, extra={"serial": "7"})
        return MetaFact(meta, "gw1", version, since_ms)

    async with opened(store):
        await store.write([], metas=[fact("b", T0 + 5, "New"), fact("a", T0, "Old")])
        assert await store.metas() == [fact("b", T0 + 5, "New")]
        await store.write([], metas=[fact("a", T0 + 9, "Old")])
        assert await store.metas() == [fact("a", T0 + 9, "Old")]


async def test_positions_move_with_the_rows(store: TimeSeriesStore) -> None:
    async with opened(store):
        assert await store.position() == {}
        await store.write([row(T0)], positions={3: 10, -1: 12})
        await store.write([], positions={3: 11})
        assert await store.position() == {3: 11, -1: 12}


async def test_hundreds_of_odd_counts_are_all_stored(store: TimeSeriesStore) -> None:
    async with opened(store):
        rows = [row(T0 + n) for n in range(3333)]
        assert await store.write(rows) == Receipt(3333, 0, 0)
        assert await store.write([*rows, row(T0 - 1)]) == Receipt(1, 3333, 0)


async def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "series.db")
    async with opened(store):
        bad = row(T0 + 1)._replace(station=None)  # type: ignore[arg-type]
        with pytest.raises(StoreError, match="NOT NULL"):
            await store.write([row(T0), bad], positions={1: 1})
        assert await store.latest() == []
        assert await store.position() == {}
        assert "NOT NULL" in (await store.health()).last_error


async def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "series.db").write_bytes(b"nothing like it" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        await SqliteStore(tmp_path / "series.db").open()


TIMES = st.sampled_from([T0 + n for n in range(12)])
VALUES = st.sampled_from([None, 0.0, -0.0, 1.0, 1.5, 1e300])
ROWS = st.builds(
    StoredReading,
    st.sampled_from(["st1", "st2"]),
    st.sampled_from(["wl", "rain"]),
    TIMES,
    VALUES,
    st.sampled_from([None, 4.0]),
    st.sampled_from([1, 9]),
    st.sampled_from([0, 8]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([0, -3, 5]),
)


class Stores(RuleBasedStateMachine):
    """Random writes, conflicts and reopenings: a store says what the oracle says."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.oracle = MemoryStore()
        self.store = self.made(Path(self.folder.name))
        self.run(self.store.open())

    def made(self, folder: Path) -> TimeSeriesStore:
        return SqliteStore(folder / "series.db")

    def run(self, what: Coroutine[object, object, object]) -> object:
        return self.runner.run(what)

    def both(self, name: str, *args: object) -> None:
        expected = self.run(getattr(self.oracle, name)(*args))
        assert self.run(getattr(self.store, name)(*args)) == expected

    @rule(rows=st.lists(ROWS, max_size=40), position=st.integers(1, 99))
    def write(self, rows: list[StoredReading], position: int) -> None:
        self.both("write", rows, (), {0: position})

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.run(self.store.open())

    @invariant()
    def same(self) -> None:
        self.both("latest")
        self.both("position")
        self.both("latest", [("st1", "wl")])
        self.both("range", "st2", "rain", T0 + 2, T0 + 9, 4)
        self.both("range", "st1", "wl", 0, FAR, 100)
        ours, theirs = self.run(self.store.health()), self.run(self.oracle.health())
        assert ours[2:4] == theirs[2:4]  # type: ignore[index]

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()


Stores.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestStores = Stores.TestCase


class InfluxStores(Stores):
    """The same of InfluxStore; a new file here must not let it overwrite what is there."""

    settings: StoreSettings
    patch: pytest.MonkeyPatch

    def made(self, folder: Path) -> TimeSeriesStore:
        fresh_measurement(self.patch)
        return InfluxStore(self.settings, folder / "influx.db")


@pytest.mark.system
@pytest.mark.skipif(bool(why_no_bucket()), reason=why_no_bucket() or "complete")
def test_random_stories_end_alike_in_influx(
    influx: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    InfluxStores.settings, InfluxStores.patch = influx, monkeypatch
    run_state_machine_as_test(
        InfluxStores, settings=settings(Stores.TestCase.settings, max_examples=10)
    )
