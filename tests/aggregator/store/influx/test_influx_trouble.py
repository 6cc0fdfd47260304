"""A server that refuses, vanishes, is slow or full: nothing lost, good lines in, the rest named.

Real influxd 1.6.7 behind the alias; the alias makes the answers that 1.6.7 does not give.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from rig.influx_alias import Fault
from rig.influxd import ADMIN, Influxd, running_influxd, why_no_influxd

from egret_aggregator.errors import StoreError
from egret_aggregator.store import Origin, Receipt, StoredReading
from egret_aggregator.store.influx import InfluxStore, answers, lanes
from egret_aggregator.store.influx import store as module
from egret_aggregator.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_no_influxd()), reason=why_no_influxd() or "complete"),
]
T0 = 1_790_000_000_000
FAR = 4_102_444_800_000


def rows(count: int, start: int = 0, channel: str = "wl") -> list[StoredReading]:
    return [
        StoredReading("st1", channel, T0 + 1000 * at, float(at), None, 1, 0, 0, 40)
        for at in range(start, start + count)
    ]


@asynccontextmanager
async def opened(server: Influxd, folder: Path, **more: object) -> AsyncIterator[InfluxStore]:
    settings = StoreSettings("influx", server.url, **more)  # type: ignore[arg-type]
    store = InfluxStore(settings, folder / "influx.db")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def stored(store: InfluxStore, channel: str = "wl") -> list[StoredReading]:
    return (await store.range("st1", channel, 0, FAR, 100_000)).rows


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(500, '{"error":"timeout"}'), "down): 500 timeout"),
        (Fault(503), "down): 503"),
        (Fault(0), "no answer"),
        (Fault(0, applied=True), "no answer"),
        (Fault(400, "<html>a proxy</html>"), "strange): 400"),
        (Fault(302, "", {"Location": "http://127.0.0.1:1/"}), "strange): 302"),
        (Fault(429, "", {"Retry-After": "0"}), "busy): 429"),
    ],
    ids=["500", "503", "cut", "cut-but-done", "400", "302", "429"],
)
async def test_what_is_held_is_tried_again_and_is_there_once(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, words: str
) -> None:
    monkeypatch.setattr(answers, "SLOW_S", 0.0)
    async with opened(server, tmp_path) as store:
        server.faults.faults.append(fault)
        with pytest.raises(StoreError) as caught:
            await store.write(rows(9), positions={1: 7})
        assert words in str(caught.value)
        assert await store.position() == {}
        assert await store.latest() == []
        assert (await store.health()).last_error == str(caught.value)
        # Even where the first one was done: the same bytes again.
        assert await store.write(rows(9), positions={1: 7}) == Receipt(9, 0, 0)
        first, second = server.faults.writes()
        assert first.body == second.body
        assert await store.position() == {1: 7}
        assert await stored(store) == rows(9)
        assert await server.count() == 9


async def test_a_busy_server_is_not_asked_before_its_time(server: Influxd, tmp_path: Path) -> None:
    async with opened(server, tmp_path) as store:
        server.faults.faults.append(Fault(429, "", {"Retry-After": "1"}))
        with pytest.raises(StoreError, match="busy"):
            await store.write(rows(1))
        clock = asyncio.get_running_loop().time
        began_s = clock()
        await store.write(rows(1))
        assert clock() - began_s >= 0.9


async def test_a_wrong_token_names_its_file_and_a_new_one_is_taken_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(answers, "SLOW_S", 0.0)
    token = tmp_path / "token"
    token.write_text("rig:hunter2\n")
    async with (
        running_influxd(tmp_path / "server", auth=True) as server,
        opened(server, tmp_path, token_file=token) as store,
    ):
        with pytest.raises(StoreError) as caught:
            await store.write(rows(3))
        assert "refuses the token" in str(caught.value)
        assert str(token) in str(caught.value)
        token.write_text(":".join(ADMIN))
        assert (await store.write(rows(3))).accepted == 3
        server.faults.faults.append(Fault(403, '{"message":"insufficient permissions"}'))
        with pytest.raises(StoreError, match="who may read and write"):
            await store.write(rows(3, 3))
        assert (await store.write(rows(3, 3))).accepted == 3
        assert await stored(store) == rows(6)
    assert "hunter2" not in caplog.text + str(caught.value)
    assert ADMIN[1] not in caplog.text


async def test_a_missing_bucket_is_told_with_its_command_and_waited_for(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "SLOW_S", 0.0)
    async with (
        opened(server, tmp_path, bucket="later") as store,
    ):
        assert "CREATE DATABASE" in (await store.health()).last_error
        for _ in range(2):
            with pytest.raises(StoreError, match='CREATE DATABASE "later"'):
                await store.write(rows(2))
        await server.ask('CREATE DATABASE "later"')
        assert (await store.write(rows(2))).accepted == 2
        await server.ask('DROP DATABASE "later"')
        with pytest.raises(StoreError, match='CREATE DATABASE "later"'):
            await store.write(rows(2, 2))


async def test_too_large_is_halved_until_it_fits(server: Influxd, tmp_path: Path) -> None:
    async with opened(server, tmp_path) as store:
        server.faults.faults += [Fault(413), Fault(413)]
        assert await store.write(rows(1000)) == Receipt(1000, 0, 0)
        sizes = [len(one.body) for one in server.faults.writes()]
        assert [one.status for one in server.faults.writes()] == [413, 413, 204, 204, 204, 204]
        assert sizes[0] > sizes[1] > sizes[2]
        assert await server.count() == 1000
        await store.write(rows(500, 1000))
        assert len(server.faults.writes()) == 8  # it stays small


async def test_what_is_older_than_the_server_keeps_is_set_aside_and_the_rest_is_in(
    server: Influxd,
    tmp_path: Path,
) -> None:
    async with (
        opened(server, tmp_path, bucket="egret/short") as store,
    ):
        await server.ask('CREATE RETENTION POLICY "short" ON "egret" DURATION 1040w REPLICATION 1')
        series = await server.ask('SELECT q FROM "short"."reading" LIMIT 1')
        assert series == []
        old = [row._replace(time_ms=at) for at, row in enumerate(rows(40))]
        receipt = await store.write([*old, *rows(60)], positions={1: 1})
        assert receipt == Receipt(60, 0, 0, 40)
        assert await stored(store) == rows(60)
        kept = await store.asides(100)
        assert len(kept) == 40
        assert all("beyond retention policy" in item.aside.why for item in kept)
        assert {item.aside.why.split(":")[0] for item in kept} == {"store_refused"}
        assert await store.latest() == rows(60)[-1:]
        assert await store.position() == {1: 1}
        assert len(server.faults.writes()) < 30  # the line between them is searched for by halves


async def test_one_bad_line_among_thousands_is_found(server: Influxd, tmp_path: Path) -> None:
    async with opened(server, tmp_path) as store:
        good = rows(2000)
        bad = good[1234]._replace(value=float("nan"))  # no reading is: it stands for any bad line
        receipt = await store.write([*good[:1234], bad, *good[1235:]])
        assert receipt == Receipt(1999, 0, 0, 1)
        (kept,) = await store.asides(9)
        assert "unable to parse" in kept.aside.why
        assert f'"time_ms":{bad.time_ms}'.encode() in kept.aside.body
        assert await server.count() == 1999


@pytest.mark.parametrize(("count", "posts"), [(300, 21), (8, 15), (1, 1)])
async def test_a_server_that_takes_nothing_and_names_no_line_is_waited_for(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, posts: int
) -> None:
    """It may be its own fault: what is set aside is not tried again."""
    monkeypatch.setattr(lanes, "PROBES_MAX", 20)
    monkeypatch.setattr(answers, "SLOW_S", 0.0)
    async with opened(server, tmp_path) as store:
        server.faults.standing = Fault(400, '{"error":"partial write: whatever"}')
        with pytest.raises(StoreError, match="400 partial write: whatever"):
            await store.write(rows(count), positions={1: 1})
        assert len(server.faults.writes()) == posts
        assert await store.asides(9) == []
        assert await store.position() == {}
        server.faults.standing = None
        assert await store.write(rows(count), positions={1: 1}) == Receipt(count, 0, 0)


async def test_many_bad_lines_among_good_ones_are_all_found(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the server takes others, there is no end of the search before the last."""
    monkeypatch.setattr(lanes, "PROBES_MAX", 20)
    async with opened(server, tmp_path) as store:
        mixed = [
            row._replace(value=float("nan")) if at % 16 == 3 else row
            for at, row in enumerate(rows(600))
        ]
        assert await store.write(mixed) == Receipt(562, 0, 0, 38)
        assert await server.count() == 562


async def test_one_line_that_the_server_names_is_refused_though_it_is_alone(
    server: Influxd, tmp_path: Path
) -> None:
    async with opened(server, tmp_path) as store:
        bad = [row._replace(value=float("nan")) for row in rows(2)]
        assert await store.write(bad) == Receipt(0, 0, 0, 2)


async def test_who_sent_what_is_set_aside_is_kept_with_it(server: Influxd, tmp_path: Path) -> None:
    async with opened(server, tmp_path) as store:
        given = [*rows(3), *rows(3, 10, "rn")]
        given[1] = given[1]._replace(value=float("nan"))
        given[4] = given[4]._replace(time_ms=2**50)
        origins = [Origin(3, "gw1", "aa", 7), Origin(6, "gw2", "bb", 8)]
        assert (await store.write(given, origins=origins)).refused == 2
        second = rows(1)[0]._replace(value=9.0)
        await store.write([second], origins=[Origin(1, "gw3", "cc", 9)])
        kept = [(a.gateway, a.log, a.seq, a.why[:8]) for _, a in await store.asides(9)]
        assert kept == [
            ("gw3", "cc", 9, "value_co"),
            ("gw2", "bb", 8, "store_re"),
            ("gw1", "aa", 7, "store_re"),
        ]


async def test_a_measurement_of_anothers_is_refused_before_anything_is_lost(
    server: Influxd,
    tmp_path: Path,
) -> None:
    async with httpx2.AsyncClient() as client:
        foreign = b'reading,station=x value="text" 1'
        await client.post(f"{server.direct}/write?db=egret", content=foreign)
    async with opened(server, tmp_path) as store:
        with pytest.raises(StoreError, match="value is string, not float"):
            await store.write(rows(1))
        assert await store.asides(9) == []


async def theirs(server: Influxd, *points: str) -> None:
    async with httpx2.AsyncClient() as client:
        body = "\n".join(f"reading,station=st1,channel=wl,quantity=unknown {p}" for p in points)
        url = f"{server.direct}/write?db=egret&precision=ms"
        answer = await client.post(url, content=body.encode())
        assert answer.status_code == 204, answer.text


async def test_points_of_another_writer_are_left_out_and_stop_nobody(
    server: Influxd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(server, tmp_path) as store:
        await store.write(rows(10))
        await theirs(server, *(f"value=7 {T0 + 2000 + n}" for n in range(1, 21)))
        assert await stored(store) == rows(10)
        assert (await store.health()).last_error == "points of another writer, left out: 20"
        # Pages are whole pages of ours, though a page is all theirs.
        page = await store.range("st1", "wl", T0, FAR, 4)
        assert (page.rows, page.truncated) == (rows(4), True)
        page = await store.range("st1", "wl", T0 + 6000, FAR, 4)
        assert (page.rows, page.truncated) == (rows(4, 6), False)
        page = await store.range("st1", "wl", T0 + 2001, T0 + 2020, 4)
        assert (page.rows, page.truncated) == ([], False)
        again = rows(10)[::-1]
        assert await store.write([again[0]._replace(value=99.0), *again[1:]]) == Receipt(0, 9, 1)
    assert "event=influx_foreign_points channel='st1/wl'" in caplog.text


async def test_a_row_that_is_being_written_is_asked_for_until_it_is_whole(
    server: Influxd, tmp_path: Path
) -> None:
    """influxd shows the fields of a new row one after the other."""
    async with opened(server, tmp_path) as store:
        await store.write(rows(2))
        whole = [[row.time_ms, row.value, row.raw, 1, 0, 0, row.lag_ms] for row in rows(2)]
        for missing in (1, 3, 5):
            half = [whole[0], [None if at == missing else x for at, x in enumerate(whole[1])]]
            answer = {"results": [{"series": [{"values": half}]}]}
            seen = Fault(200, json.dumps(answer), path="/query")
            server.faults.faults += [seen, seen]
            assert await stored(store) == rows(2)
        assert not (await store.health()).last_error


async def test_no_instant_that_the_server_cannot_say_is_asked_for(
    server: Influxd, tmp_path: Path
) -> None:
    """A gateway's clock in the year 2300, and years whose nanoseconds wrap into our days."""
    wraps_ms = T0 + 2**64 // 10**6
    beyond = [rows(1)[0]._replace(time_ms=at) for at in (10_413_792_000_000, wraps_ms)]
    async with opened(server, tmp_path) as store:
        assert await store.write([*rows(3), *beyond], positions={1: 1}) == Receipt(3, 0, 0, 2)
        for row in beyond:
            page = await store.range("st1", "wl", row.time_ms, row.time_ms + 600_000, 9)
            assert (page.rows, page.truncated) == ([], False)
        assert (await store.range("st1", "wl", -(2**62), 2**62, 9)).rows == rows(3)
        assert (await store.range("st1", "wl", -(2**62), -(2**60), 9)).rows == []
        assert await store.write([*rows(3), *beyond]) == Receipt(0, 3, 0, 2)


async def test_a_server_that_is_away_at_the_start_is_waited_for(
    server: Influxd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with opened(server, tmp_path) as store:
        await store.write(rows(5), positions={1: 5})
    server.faults.standing = Fault(0, path="")
    async with opened(server, tmp_path) as store:
        # What is kept here answers without the server.
        assert await store.position() == {1: 5}
        assert await store.latest() == rows(5)[-1:]
        assert "no answer" in (await store.health()).last_error
        with pytest.raises(StoreError, match="no answer"):
            await store.range("st1", "wl", 0, FAR, 9)
        with pytest.raises(StoreError, match="no answer"):
            await store.write(rows(1, 5))
        await store.write([], positions={1: 6})  # ticks need no server
        server.faults.standing = None
        assert await store.write(rows(6)) == Receipt(1, 5, 0)
        health = await store.health()
        assert health.engine.startswith("influxdb 1.6.7")
    assert "event=influx_found" in caplog.text


async def test_a_server_that_hangs_does_not_keep_the_centre_from_starting(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    server.faults.standing = Fault(slow_s=2.0, path="")
    async with opened(server, tmp_path) as store:
        assert "no answer within" in (await store.health()).last_error
        assert await store.position() == {}
        server.faults.standing = None
        assert await store.write(rows(2)) == Receipt(2, 0, 0)


async def test_a_short_answer_of_3_core_is_no_empty_one(server: Influxd, tmp_path: Path) -> None:
    async with opened(server, tmp_path) as store:
        refusal = '{"error":"Query would exceed file limit of 432 parquet files"}'
        server.faults.faults.append(Fault(400, refusal, path="/query"))
        with pytest.raises(StoreError, match="InfluxDB 3 Core answers recent spans only"):
            await store.range("st1", "wl", 0, FAR, 9)


async def test_killed_in_the_middle_it_has_each_row_once(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "SLOW_S", 0.0)
    async with opened(server, tmp_path) as store:
        channels = [f"c{n}" for n in range(8)]
        failures = 0

        async def record() -> None:
            nonlocal failures
            for at in range(40):
                batch = [row for name in channels for row in rows(50, 50 * at, name)]
                while True:
                    try:
                        await store.write(batch, positions={1: at + 1})
                        break
                    except StoreError:
                        failures += 1
                        await asyncio.sleep(0.05)

        task = asyncio.create_task(record())
        for at in (5, 15, 25):
            while (await store.position()).get(1, 0) < at:
                await asyncio.sleep(0.01)
            server.kill()
            while failures < at // 5:
                await asyncio.sleep(0.01)
            await server.start()
        await asyncio.wait_for(task, 120)
        assert await server.count() == 40 * 50 * 8
        assert [len(await stored(store, name)) for name in channels] == [2000] * 8
        assert await stored(store, "c3") == rows(2000, 0, "c3")
