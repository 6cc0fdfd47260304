"""What is set aside is bounded in rows and in bytes, and no one gateway crowds out the others."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from egret_aggregator.store import (
    Aside,
    MemoryStore,
    Origin,
    SqliteStore,
    StoredReading,
    interface,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

T0 = 1_790_000_000_000
Store = MemoryStore | SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "series.db")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interface, "ASIDES_MAX", 100)
    monkeypatch.setattr(interface, "ASIDES_MAX_B", 10_000)
    monkeypatch.setattr(interface, "REFUSED_MAX", 100)
    monkeypatch.setattr(interface, "REFUSED_MAX_B", 10_000)


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def aside(gateway: str, seq: int, body: bytes = b"{}", why: str = "foreign") -> Aside:
    return Aside(gateway, "ab" * 16, seq, -1, why, T0 + seq, body)


async def kept(store: Store) -> list[tuple[str, int]]:
    """Return (gateway, seq), oldest first."""
    found = await store.asides(1000)
    return [(item.aside.gateway, item.aside.seq) for item in reversed(found)]


async def test_one_gateway_loses_its_own_oldest_and_nobody_elses(store: Store) -> None:
    async with opened(store):
        await store.write([], [aside("quiet", seq) for seq in range(3)])
        for seq in range(500):
            await store.write([], [aside("flood", seq)])
        left = await kept(store)
        assert left == [("quiet", 0), ("quiet", 1), ("quiet", 2)] + [
            ("flood", seq) for seq in range(490, 500)
        ]
        health = await store.health()
        assert (health.asides, health.asides_dropped) == (13, 490)


async def test_many_gateways_share_the_whole_and_the_oldest_of_all_go(store: Store) -> None:
    async with opened(store):
        for seq in range(8):
            await store.write([], [aside(f"gw{n:02d}", seq) for n in range(20)])
        left = await kept(store)
        assert len(left) == 100
        assert [seq for _, seq in left] == [3] * 20 + [4] * 20 + [5] * 20 + [6] * 20 + [7] * 20
        assert (await store.health()).asides_dropped == 60


async def test_large_bodies_give_way_by_their_bytes(store: Store) -> None:
    async with opened(store):
        for seq in range(5):
            await store.write([], [aside("gw1", seq, b"x" * 400)])
        # A tenth of 10,000 bytes is one gateway's: two of them.
        assert await kept(store) == [("gw1", 3), ("gw1", 4)]
        await store.write([], [aside("gw2", seq, b"y" * 10) for seq in range(9)])
        await store.write([], [aside("gw1", 5, b"z" * 900)])
        assert [item for item in await kept(store) if item[0] == "gw1"] == [("gw1", 5)]
        assert len(await kept(store)) == 10


async def test_one_that_is_larger_than_a_share_makes_room_and_goes_itself(store: Store) -> None:
    async with opened(store):
        await store.write([], [aside("gw1", 1), aside("gw2", 1)])
        await store.write([], [aside("gw1", 2, b"x" * 1500)])
        # Nothing of it can be kept: it is counted, and what it says stays in the journal's tail.
        assert await kept(store) == [("gw2", 1)]
        assert (await store.health()).asides_dropped == 2
        await store.write([], [aside("gw1", 3)])
        assert await kept(store) == [("gw2", 1), ("gw1", 3)]


async def test_one_that_comes_again_is_counted_once(store: Store) -> None:
    async with opened(store):
        for _ in range(50):
            await store.write([], [aside("gw1", 1), aside("gw1", 2)])
        assert await kept(store) == [("gw1", 1), ("gw1", 2)]
        await store.write([], [aside("gw1", seq) for seq in range(3, 11)])
        assert len(await kept(store)) == 10
        assert (await store.health()).asides_dropped == 0


async def test_value_conflicts_have_a_share_of_their_own(store: Store) -> None:
    rows = [StoredReading("st1", "wl", T0 + n, 1.0, None, 1, 0, 0, 40) for n in range(60)]
    async with opened(store):
        await store.write([], [aside("gw1", 1)])
        await store.write(rows)
        await store.write([row._replace(value=2.0) for row in rows])
        left = await store.asides(1000)
        whys = [item.aside.why for item in left]
        assert whys == ["value_conflict"] * 10 + ["foreign"]
        health = await store.health()
        assert (health.conflicts, health.asides) == (60, 11)


async def test_a_second_value_is_kept_in_its_senders_name(store: Store) -> None:
    rows = [StoredReading("st1", "wl", T0 + n, 1.0, None, 1, 0, 0, 40) for n in range(6)]
    async with opened(store):
        await store.write(rows)
        others = [row._replace(value=2.0) for row in rows]
        origins = [Origin(0, "gw0", "aa", 1), Origin(2, "gw1", "bb", 7), Origin(5, "gw2", "cc", 8)]
        await store.write(others, origins=origins)
        await store.write(others, origins=origins)  # a crash between: the same asides
        left = [
            (item.aside.gateway, item.aside.log, item.aside.seq) for item in await store.asides(99)
        ]
        assert left[::-1] == [("gw1", "bb", 7)] * 2 + [("gw2", "cc", 8)] * 3 + [("", "", 0)]


async def test_readings_that_a_server_refused_have_a_room_of_their_own(store: Store) -> None:
    """They are nowhere else: neither their own gateway's faults nor all others' push them out."""
    refused = [aside("gw1", seq, why="store_refused: too old") for seq in range(5)]
    async with opened(store):
        await store.write([], refused)
        for seq in range(30):
            await store.write([], [aside(f"gw{n}", 1000 + seq) for n in range(1, 16)])
        left = await kept(store)
        assert left[:5] == [("gw1", seq) for seq in range(5)]
        assert len(left) == 105
        await store.write([], [aside("gw1", 50 + n, why="store_refused: old") for n in range(30)])
        assert [seq for name, seq in await kept(store) if seq < 1000] == list(range(70, 80))
        assert len(await kept(store)) == 110


async def test_a_file_from_before_rooms_were_apart_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "series.db"
    async with opened(SqliteStore(path)) as store:
        await store.write([], [aside("", seq, why="store_refused: x") for seq in range(9)])
        store._db.execute("UPDATE share SET gateway = ''")
    async with opened(SqliteStore(path)) as store:
        for seq in range(9, 30):
            await store.write([], [aside("", seq)])
        assert [seq for _, seq in await kept(store)][:9] == list(range(9))
        assert (await store.health()).asides >= 10


async def test_a_limit_in_force_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "series.db"
    async with opened(SqliteStore(path)) as store:
        await store.write([], [aside("flood", seq) for seq in range(9)])
    async with opened(SqliteStore(path)) as store:
        await store.write([], [aside("flood", seq) for seq in range(9, 14)])
        assert await kept(store) == [("flood", seq) for seq in range(4, 14)]


async def test_both_stores_keep_the_same_whatever_comes(tmp_path: Path) -> None:
    chance = random.Random(20_170_818)
    sqlite, memory = SqliteStore(tmp_path / "series.db"), MemoryStore()
    async with opened(sqlite), opened(memory):
        for seq in range(300):
            some = [
                aside(
                    f"gw{int(chance.expovariate(0.3))}",
                    seq,
                    b"b" * chance.choice((2, 9, 150)),
                    chance.choice(("foreign", "store_refused: full", "undated")),
                )
                for _ in range(chance.randrange(4))
            ]
            for store in (sqlite, memory):
                await store.write([], some)
            assert await kept(sqlite) == await kept(memory)
        ours, oracle = await sqlite.health(), await memory.health()
        assert (ours.asides, ours.asides_dropped) == (oracle.asides, oracle.asides_dropped)
        assert oracle.asides_dropped > 100
        shares = sqlite._db.execute("SELECT sum(rows), sum(bytes) FROM share").fetchone()
        bodies = sum(len(item.aside.body) for item in await memory.asides(1000))
        assert shares == (oracle.asides, bodies)
