"""The first value stays although InfluxDB overwrites: after crashes, and where our file is lost."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from rig.influx_alias import Fault
from rig.influxd import Influxd, why_no_influxd
from rig.rolling import Rolling

from egret_aggregator.errors import StoreError
from egret_aggregator.store import MetaFact, Receipt, StoredReading
from egret_aggregator.store.influx import InfluxStore, book, ranges, state
from egret_aggregator.store.settings import StoreSettings
from egret_core.buckets import TEN_MIN_MS
from egret_core.messages import ChannelMeta
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_no_influxd()), reason=why_no_influxd() or "complete"),
]
T0 = 1_790_000_000_000
HOUR = 3_600_000
FAR = 4_102_444_800_000
META = MetaFact(ChannelMeta("st1", "wl", "water_level", "m", "Luoling"), "gw1", "a", T0)


def row(at: int, value: float = 1.0, channel: str = "wl") -> StoredReading:
    return StoredReading("st1", channel, T0 + at, value, None, 1, 0, 0, 40)


@asynccontextmanager
async def opened(server: Influxd, folder: Path) -> AsyncIterator[InfluxStore]:
    store = InfluxStore(StoreSettings("influx", server.url), folder / "influx.db")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def stored(store: InfluxStore, channel: str = "wl") -> list[StoredReading]:
    return (await store.range("st1", channel, 0, FAR, 100_000)).rows


def questions(server: Influxd) -> list[str]:
    return [
        one.query["q"] for one in server.faults.seen if one.query.get("q", "").startswith("SEL")
    ]


async def test_new_rows_ask_nothing_and_doubtful_ones_ask_once_a_channel(
    server: Influxd, tmp_path: Path
) -> None:
    async with opened(server, tmp_path) as store:
        await store.write([row(at * 1000) for at in range(50)])
        await store.write([row(at * 1000) for at in range(50, 90)])
        await store.write([row(6 * HOUR + at * 1000) for at in range(10)])
        await store.write([row(HOUR + at * 1000) for at in range(3000)])  # backlog in the gap
        assert questions(server) == []
        again = [row(at * 1000, 2.0 if at == 70 else 1.0) for at in range(60, 80)]
        assert await store.write(again) == Receipt(0, 19, 1)
        assert len(questions(server)) == 1


async def test_doubtful_times_far_apart_are_asked_for_one_by_one(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "ASK_ROWS", 10)
    async with opened(server, tmp_path) as store:
        await store.write([row(at * 60_000) for at in range(3000)])
        some = [row(at * 60_000, 5.0) for at in (0, 1, 700, 701, 2999)]
        assert await store.write(some) == Receipt(0, 0, 5)
        assert 3 <= len(questions(server)) <= 5
        assert len(await stored(store)) == 3000


async def test_a_crash_between_the_204_and_the_file_changes_nothing(
    server: Influxd, tmp_path: Path
) -> None:
    async with opened(server, tmp_path) as store:
        await store.write([row(0)], metas=[META])
    (tmp_path / "before").write_bytes((tmp_path / "influx.db").read_bytes())
    async with opened(server, tmp_path) as store:
        await store.write([row(0), row(1), row(2)], positions={1: 9})
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"influx.db{end}").unlink(missing_ok=True)
    (tmp_path / "before").rename(tmp_path / "influx.db")  # as a power cut leaves it
    async with opened(server, tmp_path) as store:
        assert await store.position() == {}
        # The journal gives the same again, and this time with what came after.
        assert await store.write([row(0), row(1), row(2), row(1, 9.0)]) == Receipt(2, 1, 1)
        assert await stored(store) == [row(0), row(1), row(2)]
    bodies = [one.body for one in server.faults.writes()]
    assert bodies[-1] == bodies[-2]
    assert await server.count() == 3


async def test_a_lost_file_lets_nothing_be_overwritten(server: Influxd, tmp_path: Path) -> None:
    async with opened(server, tmp_path) as store:
        await store.write([row(0), row(1000)], metas=[META])
        await store.write([row(0, 3.0, "rain")])
    (tmp_path / "other").mkdir()
    async with opened(server, tmp_path / "other") as store:
        assert await store.latest() == [row(0, 3.0, "rain"), row(1000)]
        assert store.adoption
        receipt = await store.write([row(0, 7.0), row(1000), row(2000), row(5, 4.0, "new")])
        assert receipt == Receipt(2, 1, 1)
        assert await stored(store) == [row(0), row(1000), row(2000)]
        # Its quantity is the one it was tagged with, though no meta has come again.
        series = await server.ask('SELECT q FROM reading GROUP BY "quantity", "channel"')
        tags = {(one["tags"]["channel"], one["tags"]["quantity"]) for one in series}
        assert tags == {("wl", "water_level"), ("rain", "unknown"), ("new", "unknown")}
        assert {one.channel: one.time_ms for one in await store.latest()} == {
            "wl": T0 + 2000,
            "rain": T0,
            "new": T0 + 5,
        }
        # From here on it knows as much as the one before.
        server.faults.seen.clear()
        await store.write([row(3000)])
        assert questions(server) == []


async def test_a_server_that_cannot_say_what_it_has_is_always_asked(
    server: Influxd, tmp_path: Path
) -> None:
    async with opened(server, tmp_path) as store:
        await store.write([row(0)], metas=[META])
    (tmp_path / "other").mkdir()
    core = Fault(400, '{"error":"exceeds the query file limit of 432"}', path="/query")
    fields = Fault(slow_s=0.001, path="/query")  # answered; then, as by InfluxDB 3 Core, not
    server.faults.faults += [fields, core]
    async with opened(server, tmp_path / "other") as store:
        assert await store.latest() == []
        server.faults.faults += [core]  # the whole past of one channel is too long too
        assert await store.write([row(0, 2.0), row(HOUR)], metas=[META]) == Receipt(1, 0, 1)
        server.faults.seen.clear()
        await store.write([row(2 * HOUR)])
        assert len(questions(server)) == 1
        assert await stored(store) == [row(0), row(HOUR), row(2 * HOUR)]
    assert len(await server.ask('SELECT q FROM reading GROUP BY "quantity"')) == 1


async def test_a_quantity_is_frozen_before_the_first_row_goes_out(
    server: Influxd, tmp_path: Path
) -> None:
    async with opened(server, tmp_path) as store:
        server.faults.faults.append(Fault(0, applied=True))
        with pytest.raises(StoreError):
            await store.write([row(0)])
    async with opened(server, tmp_path) as store:
        # A meta in between must not tag the same row otherwise: it would be there twice.
        await store.write([row(0), row(1)], metas=[META])
        assert await stored(store) == [row(0), row(1)]
        assert await server.count() == 2
        await store.write([row(0, channel="rain")], metas=[META])


async def test_an_emptied_bucket_is_said(
    server: Influxd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(server, tmp_path) as store:
        await store.write([row(0)])
    assert "influx_bucket_empty" not in caplog.text
    await server.ask("DROP MEASUREMENT reading")
    async with opened(server, tmp_path) as store:
        assert "influx_bucket_empty" in caplog.text
        assert await store.write([row(0), row(1)]) == Receipt(2, 0, 0)


async def test_types_are_those_that_were_promised(server: Influxd, tmp_path: Path) -> None:
    async with opened(server, tmp_path) as store:
        await store.write([row(0)._replace(raw=5.0)], metas=[META])
        series = await server.ask("SHOW FIELD KEYS FROM reading")
        assert dict(series[0]["values"]) == {
            "value": "float",
            "raw": "float",
            "q": "integer",
            "f": "integer",
            "notes": "integer",
            "lag": "integer",
        }
        series = await server.ask("SHOW SERIES")
        assert series[0]["values"] == [["reading,channel=wl,quantity=water_level,station=st1"]]


async def test_the_file_says_which_channels_have_rows(server: Influxd, tmp_path: Path) -> None:
    async with opened(server, tmp_path) as store:
        await store.write([row(0), row(9)], metas=[META])
        with sqlite3.connect(tmp_path / "influx.db") as db:
            found = db.execute("SELECT station, channel, quantity, length(spans) FROM channel")
            assert found.fetchall() == [("st1", "wl", "water_level", 16)]
            assert db.execute("SELECT count(*) FROM reading").fetchone() == (0,)
        db.close()


async def test_the_extra_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        __import__("sys").modules, "influxdb_client.client.influxdb_client_async", None
    )
    store = InfluxStore(StoreSettings("influx", "http://127.0.0.1:1"), tmp_path / "influx.db")
    with pytest.raises(StoreError, match=r"pip install 'egret-ews\[aggregator,influx\]'"):
        await store.open()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("", "write the token"),
        ("a\x00b", "write the token"),
        ("水", "not ASCII"),
    ],
)
async def test_a_bad_token_file_is_named_before_anything_is_asked(
    tmp_path: Path, content: str | None, words: str
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
    settings = StoreSettings("influx", "http://127.0.0.1:1", token_file=token)
    store = InfluxStore(settings, tmp_path / "influx.db")
    with pytest.raises(StoreError, match=words) as caught:
        await store.open()
    assert str(token) in str(caught.value)
    assert "token_file" in str(caught.value)


async def test_an_older_file_put_back_overwrites_nothing_once_it_is_doubted(
    server: Influxd, tmp_path: Path
) -> None:
    async with opened(server, tmp_path) as store:
        await store.write([row(0)], metas=[META])
    older = (tmp_path / "influx.db").read_bytes()
    async with opened(server, tmp_path) as store:
        await store.write([row(HOUR, 2.0), row(0, 5.0, "rain")])
    (tmp_path / "influx.db").write_bytes(older)
    state.doubt(tmp_path / "influx.db", T0 + 2 * HOUR)
    async with opened(server, tmp_path) as store:
        again = [row(HOUR, 9.0), row(0, 6.0, "rain"), row(0), row(3 * HOUR)]
        assert await store.write(again) == Receipt(1, 1, 2)
        assert await stored(store) == [row(0), row(HOUR, 2.0), row(3 * HOUR)]
        assert await stored(store, "rain") == [row(0, 5.0, "rain")]


async def test_a_file_put_back_asks_for_no_more_than_the_bucket_has(
    server: Influxd, tmp_path: Path
) -> None:
    """Not a question a write for a day: what comes after the bucket's newest row is new."""
    async with opened(server, tmp_path) as store:
        await store.write([row(0), row(0, 5.0, "rain"), row(0, 1.0, "gone")], metas=[META])
    older = (tmp_path / "influx.db").read_bytes()
    async with opened(server, tmp_path) as store:
        await store.write([row(HOUR, 2.0)])
    await server.ask("DROP SERIES FROM reading WHERE channel = 'gone'")
    (tmp_path / "influx.db").write_bytes(older)
    state.doubt(tmp_path / "influx.db", T0 + 24 * HOUR)
    async with opened(server, tmp_path) as store:
        assert {one.channel: one.value for one in await store.latest()}["wl"] == 2.0
        server.faults.seen.clear()
        for hour in (2, 3):
            new = [row(hour * HOUR), row(hour * HOUR, 5.0, "rain"), row(hour * HOUR, 1.0, "gone")]
            assert (await store.write(new)).accepted == 3
        assert questions(server) == []
        assert await store.write([row(HOUR, 9.0)]) == Receipt(0, 0, 1)


async def test_where_the_server_does_not_say_a_file_put_back_asks_until_its_day_is_over(
    server: Influxd, tmp_path: Path
) -> None:
    async with opened(server, tmp_path) as store:
        await store.write([row(0)], metas=[META])
    state.doubt(tmp_path / "influx.db", T0 + 24 * HOUR)
    core = Fault(400, '{"error":"exceeds the query file limit of 432"}', path="/query")
    server.faults.faults += [Fault(slow_s=0.001, path="/query"), core]
    async with opened(server, tmp_path) as store:
        server.faults.seen.clear()
        assert await store.write([row(0, 7.0), row(HOUR)]) == Receipt(1, 0, 1)
        assert len(questions(server)) == 1


async def test_history_that_a_command_found_first_is_known_to_the_centre_too(
    server: Influxd, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    async with opened(server, tmp_path / "old") as store:
        await store.write([row(0)], metas=[META])
    server.faults.standing = Fault(0, path="")
    async with opened(server, tmp_path) as centre:
        server.faults.standing = None
        async with opened(server, tmp_path) as command:  # an export, say
            assert await command.latest() == [row(0)]
        assert await centre.write([row(0, 7.0), row(1)]) == Receipt(1, 0, 1)
        assert centre.adoption


async def test_what_another_wrote_beside_us_is_no_history_of_ours(
    server: Influxd, tmp_path: Path
) -> None:
    async with httpx2.AsyncClient() as client:
        lines = f"reading,station=st9 q=1i 5\nreading,station=st1,channel=wl value=1 {T0}000000"
        await client.post(f"{server.direct}/write?db=egret", content=lines.encode())
    async with opened(server, tmp_path) as store:
        assert await store.latest() == []
        assert await store.write([row(1)]) == Receipt(1, 0, 0)


async def test_a_span_too_long_for_3_core_is_asked_for_in_pieces(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "PIECE_MS", 10_000)
    core = Fault(400, '{"error":"Query would exceed file limit of 432"}', path="/query")
    async with opened(server, tmp_path) as store:
        early = [row(at * 1000) for at in range(35)]
        late = [row(9 * HOUR + at * 1000) for at in range(15)]
        await store.write([*early, *late])
        server.faults.seen.clear()
        server.faults.faults.append(core)
        page = await store.range("st1", "wl", -(2**60), 2**60, 100)
        assert (page.rows, page.truncated) == ([*early, *late], False)
        assert len(questions(server)) <= 1 + 4 + 2  # nothing between the spans
        server.faults.faults.append(core)
        page = await store.range("st1", "wl", T0 + 5000, T0 + 2 * HOUR, 20)
        assert (page.rows, page.truncated) == (early[5:25], True)
        monkeypatch.setattr(ranges, "PIECES_MAX", 2)
        server.faults.faults.append(core)
        page = await store.range("st1", "wl", T0, 2**60, 100)
        assert (page.rows, page.truncated) == (early[:20], True)  # whoever asked goes on
        server.faults.faults.append(core)
        with pytest.raises(StoreError, match="answers recent spans only"):
            await store.range("st2", "wl", T0, 2**60, 100)


async def test_history_that_is_found_is_charted(server: Influxd, tmp_path: Path) -> None:
    """The disk is new, the bucket is not: journal, file and rollups begin anew."""
    (tmp_path / "old").mkdir()
    async with opened(server, tmp_path / "old") as store:
        await store.write([row(at * 60_000, float(at)) for at in range(90)], metas=[META])
    settings = StoreSettings("influx", server.url)
    server.faults.standing = Fault(0, path="")  # and it answers only when the centre runs
    rolling = Rolling(tmp_path, InfluxStore(settings, tmp_path / "influx.db"))
    await rolling.open()
    try:
        server.faults.standing = None
        await rolling.arrive([Reading("st1", "wl", T0 + 90 * 60_000, 90.0)])
        await rolling.record()
        await rolling.settle()
        buckets = await rolling.rollups.rows(("st1", "wl"), TEN_MIN_MS, 0, FAR)
        assert sum(bucket.seen for bucket in buckets) == 91
        assert (await rolling.rollups.progress()).adoption == rolling.store.adoption > 0
        await rolling.rollups.close()
        await rolling.open_rollups()  # once is enough
        await rolling.roller.step()
        assert (await rolling.rollups.progress()).rebuilding == 0
    finally:
        await rolling.close()
