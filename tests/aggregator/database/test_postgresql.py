"""PostgreSQL as it may behave: gone, slow, refusing, badly made; nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sys
from typing import TYPE_CHECKING

import pytest
from rig.databases import BOTH
from rig.events import event
from rig.ledgers import Hands
from rig.postgresql import PASSWORD
from rig.proxy import running_proxy

from egret_aggregator.config import DatabaseSettings
from egret_aggregator.database import Database, postgresql
from egret_aggregator.errors import DatabaseError, DatabaseUnavailableError
from egret_aggregator.warnings import Ledger, audit, clerk
from egret_aggregator.warnings.clerk import Clerk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from rig.postgresql import Cluster

    from egret_aggregator.warnings.record import Record

pytestmark = BOTH[1].marks  # type: ignore[union-attr]
LIMIT_S = 120.0
EACH = 25
CHILD = """
import asyncio, sys
from pathlib import Path
from egret_aggregator.config import DatabaseSettings
from egret_aggregator.database import Database
from egret_aggregator.warnings import Ledger
from egret_core.rules.event import Change, ConditionEvent, Phase

async def main(url, password_file, name, count):
    database = Database(DatabaseSettings(url, Path(password_file)))
    await database.open()
    ledger = Ledger(database, lambda: 1)
    await ledger.open()
    for n in range(int(count)):
        await ledger.take([ConditionEvent("r@1", f"{name}{n}/c", "level", Change.RAISED,
                           Phase.SETTLED, "red", 4, n, "at_or_above", {})])
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def settings(cluster: Cluster, request: pytest.FixtureRequest) -> DatabaseSettings:
    return cluster.create(f"p{abs(hash(request.node.name)) % 10**12}")


@pytest.fixture
async def ledger(settings: DatabaseSettings) -> AsyncIterator[Ledger]:
    database = Database(settings)
    await database.open()
    made = Ledger(database, Hands().now_ms)
    await made.open()
    yield made
    await database.close()


async def test_processes_that_race_write_one_chain(settings: DatabaseSettings) -> None:
    """They start on an empty database: of the migrations, too, there is one."""
    words = [sys.executable, "-c", CHILD, settings.url, str(settings.password_file)]
    children = [
        await asyncio.create_subprocess_exec(*words, name, str(EACH)) for name in ("a", "b", "c")
    ]
    async with asyncio.timeout(LIMIT_S):
        assert [await child.wait() for child in children] == [0, 0, 0]
    database = Database(settings)
    await database.open()
    report = await audit.verify(database)
    assert (report.lines, report.findings) == (3 * EACH, [])
    await database.close()


async def test_events_wait_while_the_server_is_gone_and_every_line_is_told(
    cluster: Cluster,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(clerk, "RETRY_S", (0.05,))
    heard: list[int] = []
    ledger.listen(lambda records: heard.extend(record.seq for record in records))
    await ledger.take([event("raised", 1)])
    cluster.kill()
    taking = asyncio.create_task(Clerk(ledger).take([event("upgraded", 4, 5)]))
    async with asyncio.timeout(LIMIT_S):
        while "event=events_wait count=1" not in caplog.text:
            await asyncio.sleep(0.01)
    assert ledger.fault
    with pytest.raises(DatabaseUnavailableError):
        await ledger.counts()
    cluster.start()
    async with asyncio.timeout(LIMIT_S):
        await taking
    assert not ledger.fault
    assert (heard, await ledger.counts()) == ([1, 2], {("open", "red"): 1})
    assert "event=database_back" in caplog.text
    assert caplog.text.count("event=database_unavailable") == 1
    assert PASSWORD not in caplog.text


async def test_a_server_that_goes_is_noticed_though_nothing_happens(
    cluster: Cluster, ledger: Ledger
) -> None:
    await ledger.look()
    assert not ledger.fault
    cluster.kill()
    await ledger.look()
    assert "Connect call failed" in ledger.fault
    cluster.start()
    await ledger.look()
    assert not ledger.fault


async def test_a_commit_whose_answer_was_lost_is_told_with_the_next(ledger: Ledger) -> None:
    heard: list[int] = []

    def hear(records: Sequence[Record]) -> None:
        heard.extend(record.seq for record in records)

    other = Ledger(ledger._database, Hands().now_ms)  # writes what `ledger` never heard of
    await other.open()
    ledger.listen(hear)
    await other.take([event("raised", 1), event("upgraded", 2, 3)])
    await ledger.take([event("upgraded", 2, 3)])
    assert (heard, ledger.head.seq) == ([1, 2], 2)


async def test_a_frozen_server_is_unavailable_and_not_for_ever(
    cluster: Cluster, settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "STATEMENT_S", 1.0)
    monkeypatch.setattr(postgresql, "CONNECT_S", 1.0)
    async with running_proxy(cluster.host, cluster.port) as proxy, asyncio.timeout(LIMIT_S):
        database = Database(cluster.settings(settings.url.rpartition("/")[2], proxy.port))
        await database.open()
        ledger = Ledger(database, Hands().now_ms)
        await ledger.take([event("raised", 1)])
        proxy.freeze()
        for _ in range(2):
            with pytest.raises(DatabaseUnavailableError):
                await ledger.take([event("upgraded", 2, 3)])
        proxy.thaw()
        monkeypatch.setattr(postgresql, "CONNECT_S", LIMIT_S)
        await ledger.take([event("upgraded", 2, 3)])
        assert (await audit.verify(database))[::2] == (2, [])
        await database.close()


async def test_a_server_that_is_told_to_lose_commits_does_not_lose_ours(
    cluster: Cluster, settings: DatabaseSettings
) -> None:
    name = settings.url.rpartition("/")[2]
    cluster.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    database = Database(settings)
    await database.open()
    for opened, wanted in ((database.writing(), "on"), (database.reading(), "off")):
        async with opened as connection:
            found = await connection.exec_driver_sql("SHOW synchronous_commit")
            assert found.scalar() == wanted
    await database.close()


async def test_what_cannot_be_opened_is_named_without_the_password(
    cluster: Cluster, settings: DatabaseSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = tmp_path / "wrong"
    wrong.write_text("hunter2\n")
    narrow = cluster.create("narrow", "ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
    for broken, says in (
        (dataclasses.replace(settings, password_file=wrong), "password authentication failed"),
        (dataclasses.replace(settings, password_file=tmp_path / "none"), "No such file"),
        (cluster.settings("nowhere"), 'database "nowhere" does not exist'),
        (cluster.settings("x", 1), "Connect call failed"),
        (narrow, "make it with ENCODING 'UTF8'"),
    ):
        database = Database(broken)
        with pytest.raises(DatabaseError, match=says) as caught:
            await database.open()
        assert "hunter2" not in f"{caught.value!r} {caplog.text}"
        assert PASSWORD not in f"{caught.value!r} {caplog.text}"


async def test_a_new_password_needs_no_restart(
    cluster: Cluster, settings: DatabaseSettings, tmp_path: Path
) -> None:
    name = settings.url.rpartition("/")[2]
    cluster.sql(f"CREATE ROLE clerk LOGIN SUPERUSER PASSWORD 'first'; SELECT '{name}'")
    file = tmp_path / "password"
    file.write_text("first")
    database = Database(DatabaseSettings(settings.url.replace("egret@", "clerk@"), file))
    await database.open()
    cluster.sql("ALTER ROLE clerk PASSWORD 'second'")
    file.write_text("second")
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'clerk'")
    ledger = Ledger(database, Hands().now_ms)
    await ledger.take([event("raised", 1)])
    assert ledger.head.seq == 1
    await database.close()


async def test_a_later_version_is_left_alone(cluster: Cluster, ledger: Ledger) -> None:
    name = ledger._database.name.rpartition("/")[2]
    cluster.sql("UPDATE alembic_version SET version_num = '9999'", name)
    with pytest.raises(DatabaseError, match="later version"):
        await Database(cluster.settings(name)).open()
