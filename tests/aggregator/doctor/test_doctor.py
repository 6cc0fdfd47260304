"""The doctor at centres that run, that do not, and that are ill."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from rig.centre_half import free_port
from rig.centre_process import CentreProcess, command, settings_file

from egret_aggregator import config
from egret_aggregator.clock import Clock
from egret_aggregator.data_lock import held, is_held
from egret_aggregator.database.examination import examine as examine_file
from egret_aggregator.doctor import disk, examination, examine
from egret_aggregator.doctor.clock import clock
from egret_aggregator.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from egret_aggregator.doctor import Finding


@pytest.fixture(autouse=True)
def in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    # A container's kernel may call its clock unsynchronised: that is the machine's matter.
    monkeypatch.setattr("egret_aggregator.doctor.clock.synchronised", lambda: True)


async def looked(path: Path, conf: Path | None = None) -> Mapping[str, tuple[Finding, ...]]:
    results = await examine(config.load(path), Clock(), conf)
    return {result.room: result.findings for result in results}


async def ill(path: Path, conf: Path | None = None) -> list[str]:
    """Return the rooms with findings; this machine's disk may be slow or full."""
    return [room for room, found in (await looked(path, conf)).items() if found and room != "disk"]


async def journal_of(path: Path, *ticks_ms: int) -> Path:
    data = path.parent / "data"
    data.mkdir(mode=0o750, exist_ok=True)
    journal = Journal(data / "journal.db", keep_ms=10**9, max_bytes=10**9)
    await journal.open()
    for now_ms in ticks_ms:
        await journal.tick(now_ms)
    await journal.close()
    return data


async def test_a_centre_that_never_ran_is_well(tmp_path: Path) -> None:
    path = settings_file(tmp_path)
    assert await ill(path) == []
    assert not (tmp_path / "data").exists(), "nothing was made"


@pytest.mark.parametrize("name", ["journal.db", "series.db", "egret.db"])
async def test_a_file_that_is_no_database_is_named(tmp_path: Path, name: str) -> None:
    path = settings_file(tmp_path)
    data = await journal_of(path, 1)
    (data / name).write_bytes(b"no database at all" * 1000)
    room = {"journal.db": "journal", "series.db": "store", "egret.db": "ledger"}[name]
    found = await ill(path)
    assert room in found
    assert set(found) <= {room, "clock"}  # which asks the journal for its newest instant


async def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE t(a TEXT)")
        db.execute("CREATE INDEX i ON t(a)")
        db.executemany("INSERT INTO t VALUES (?)", [(f"{n:0200}",) for n in range(500)])
    assert examine_file(file, 30.0).fault == ""
    raw = bytearray(file.read_bytes())
    raw[8 * 4096 : 12 * 4096] = bytes(4 * 4096)
    file.write_bytes(raw)
    assert examine_file(file, 30.0).fault


async def test_a_large_file_is_read_for_a_limited_time(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE t(a TEXT)")
        db.executemany("INSERT INTO t VALUES (?)", [(f"{n:0200}",) for n in range(20_000)])
    found = examine_file(file, 0.0)
    assert (found.fault, found.whole) == ("", False)
    assert found.used_b > 4_000_000


async def test_a_clock_behind_the_journal_is_a_finding(tmp_path: Path) -> None:
    data = await journal_of(settings_file(tmp_path), 1_800_000_000_000)
    (found,) = clock(data, 1_700_000_000_000).findings
    assert "2027-01-15T08:00:00.000Z" in found.what
    assert clock(data, 1_800_000_000_000 - 59_000).findings == ()


async def test_a_clock_nobody_keeps_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.doctor.clock.synchronised", lambda: False)
    (found,) = clock(tmp_path, 1).findings
    assert "chrony" in found.remedy


async def test_a_consumer_far_behind_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.doctor.rooms.BEHIND_ENTRIES", 2)
    path = settings_file(tmp_path)
    data = await journal_of(path, 1, 2, 3, 4)
    journal = Journal(data / "journal.db", keep_ms=10**9, max_bytes=10**9)
    await journal.open()
    await journal.save("judge", {-1: 4}, {})
    await journal.save("recorder", {-1: 1}, {})
    await journal.close()
    (found,) = (await looked(path))["journal"]
    assert found.what == "recorder is 3 entries behind"


async def test_a_disk_that_is_slow_or_small_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.load(settings_file(tmp_path))
    monkeypatch.setattr(disk, "fsync_s", lambda _: 0.2)
    monkeypatch.setattr(disk, "LEAST_B", 10**18)
    monkeypatch.setattr(disk, "RESERVE_B", 10**18)
    slow = [finding.what for finding in disk.disk(settings).findings]
    assert len(slow) == 3
    assert "a commit waits 200 ms for the disk" in slow
    assert disk.nearest(tmp_path / "a" / "b") == tmp_path


def test_the_speed_of_a_disk_is_measured(tmp_path: Path) -> None:
    assert 0 < disk.fsync_s(tmp_path) < 60
    assert list(tmp_path.iterdir()) == []


async def test_rules_that_cannot_be_read_are_named_with_their_key(tmp_path: Path) -> None:
    path = settings_file(tmp_path)
    rules = tmp_path / "catalogue/rules.toml"
    rules.write_text(rules.read_text().replace("st0007/wl", "st9/wl"))
    (found,) = (await looked(path))["catalogue"]
    assert "rules.toml" in found.what
    assert found.remedy
    rules.write_text("")
    (found,) = (await looked(path))["catalogue"]
    assert found.what == "no rule: nothing is judged"


async def test_a_room_that_does_not_answer_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(examination, "LOOK_S", 2.0)
    monkeypatch.setattr(examination, "broker", never)
    found = await looked(settings_file(tmp_path))
    assert found["broker"][0].what == "no answer within 2 s"
    assert found["catalogue"] == ()


def foreign(path: Path, port: int, more: str = "") -> Path:
    text = path.read_text()
    head, _, tail = text.partition("[broker]\n")
    path.write_text(f"{head}[broker]\nembedded = false\n{more}" + tail.split("\n", 1)[1])
    path.write_text(path.read_text().replace("[api]", f"port = {port}\n[api]"))
    return path


async def test_a_broker_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    path = foreign(settings_file(tmp_path), free_port())
    (found,) = (await looked(path))["broker"]
    assert "refused" in found.what.lower()
    assert "[broker] host and port" in found.remedy


def test_a_lock_tells_whether_a_centre_runs(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "none")
    with held(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


@pytest.mark.system
async def test_a_running_centre_is_not_disturbed_and_told_of(tmp_path: Path) -> None:
    port = free_port()
    path = settings_file(tmp_path, api_port=port)
    (tmp_path / "data").mkdir(mode=0o750)
    async with CentreProcess(path) as centre:
        report: dict[str, Any] = {}
        async with asyncio.timeout(60):
            while report.get("centre", {}).get("seen") != "running, ready":
                code, out, err = await command("doctor", str(path), "--json")
                assert code in (0, 1), err
                report = {room["room"]: room for room in json.loads(out)["rooms"]}
        assert report["broker"]["ok"], report["broker"]
        assert "answered in" in report["broker"]["seen"]
        for room in ("centre", "journal", "store", "ledger", "files", "catalogue"):
            assert report[room]["ok"], report[room]
        assert "event=broker_lost" not in centre.log()
        code, _ = await centre.ended()
        assert code == 0


@pytest.mark.system
async def test_findings_are_shown_with_what_to_do_and_exit_1(tmp_path: Path) -> None:
    path = foreign(settings_file(tmp_path), free_port())
    code, out, err = await command("doctor", str(path), "--broker-conf", str(path))
    assert (code, err) == (1, "") or "RuntimeWarning" in err
    assert "look  broker" in out
    assert "do: set set_tcp_nodelay true" not in out or "do: " in out
    code, _, err = await command("doctor", str(tmp_path / "none.toml"))
    assert code == 1
    assert "none.toml" in err
