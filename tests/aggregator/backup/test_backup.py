"""A backup made while the centre goes on, put back, is a centre that goes on."""

from __future__ import annotations

import asyncio
import shutil
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from rig import databases
from rig.backups import backed_up, backed_up_at, put_back
from rig.small_centre import SmallCentre

from egret_aggregator import config, data_lock
from egret_aggregator.backup import folder as place
from egret_aggregator.backup import inventory, making, restoring
from egret_aggregator.database import Database
from egret_aggregator.errors import BackupError, DataFolderError
from egret_aggregator.warnings import audit
from egret_aggregator.warnings.acts import Act
from egret_aggregator.warnings.record import Kind

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_happens_between_the_copies_is_in_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions are copied, then the ledger, then the series, then the journal: all move on."""
    centre = SmallCentre(tmp_path)
    reached, go_on = threading.Event(), threading.Event()
    real = inventory.databases

    def waits(settings: object) -> list[Path]:
        reached.set()
        assert go_on.wait(60)
        return real(settings)  # type: ignore[arg-type]

    monkeypatch.setattr(inventory, "databases", waits)
    async with centre.running():
        await centre.levels(1, 2.0, 3.5)
        await centre.standing()
        making_it = asyncio.create_task(backed_up(centre, tmp_path / "backup"))
        await asyncio.to_thread(reached.wait, 60)  # positions and ledger are copied
        await centre.levels(3, 4.5, 4.6)
        (before,) = await centre.standing()
        go_on.set()
        manifest = await making_it
        head = centre.ledger.head
        values = await centre.values()
    assert manifest.head_seq < head.seq
    shutil.rmtree(centre.data)
    restored = await put_back(centre, tmp_path / "backup")
    assert restored.report.findings == []
    async with centre.running():
        assert not centre.behind
        (after,) = await centre.standing()
        assert (after.level, after.onset_ms, after.id) == ("red", before.onset_ms, before.id)
        assert await centre.values() == values == [2.0, 3.5, 4.5, 4.6]
        await centre.levels(5, 4.7)
        assert len(await centre.values()) == 5


@pytest.mark.usefixtures("engine")
async def test_the_ledger_goes_on_with_a_line_that_says_so(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    manifest = await backed_up_at(4.5, centre, tmp_path / "backup")
    shutil.rmtree(centre.data)
    other = SmallCentre(tmp_path / "other")
    restored = await put_back(other, tmp_path / "backup")
    assert (restored.manifest, restored.left, restored.homeless) == (manifest, [], [])
    assert restored.report.lines == manifest.head_seq + 1
    async with other.running():
        assert await other.ledger.after(manifest.head_seq, 1) == []  # it concerns no warning
        assert other.ledger.head.seq == manifest.head_seq + 1
    told = databases.rows(
        other.data / "egret.db", "SELECT kind, actor FROM ledger ORDER BY seq DESC LIMIT 1"
    )
    assert told == [(str(Kind.RESTORED), "console")]


@pytest.mark.usefixtures("engine")
async def test_a_backup_moves_a_ledger_between_databases(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 4.5)
        (warning,) = await centre.standing()
        await backed_up(centre, tmp_path / "backup")
    other = SmallCentre(tmp_path / "other")
    other.place = other.data / "egret.db"  # a file, whatever it came from
    await put_back(other, tmp_path / "backup")
    async with other.running():
        assert await other.standing() == [warning]
        database = Database(other.place)
        await database.open()
        assert (await audit.verify(database)).findings == []
        await database.close()


async def test_a_restore_over_something_is_refused_by_name(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 1.0)
        await centre.quiet()
        await backed_up(centre, tmp_path / "backup")
        with pytest.raises(DataFolderError, match="another centre runs on this data"):
            await put_back(centre, tmp_path / "backup")
    before = sorted(path.name for path in centre.data.iterdir())
    with pytest.raises(DataFolderError, match=r"is not empty: egret.db"):
        await put_back(centre, tmp_path / "backup")
    assert sorted(path.name for path in centre.data.iterdir()) == before


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("when", ["_files", "_end"])
async def test_a_restore_cut_short_is_seen_and_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Before the ledger is filled, or after it."""
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 4.5)
        (warning,) = await centre.standing()
        manifest = await backed_up(centre, tmp_path / "backup")
    other = SmallCentre(tmp_path / "other")

    def breaks(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restoring, when, breaks)
        with pytest.raises(KeyboardInterrupt):
            await put_back(other, tmp_path / "backup")
    with pytest.raises(DataFolderError, match="restore was cut short here: run"):
        await other.running().__aenter__()
    restored = await put_back(other, tmp_path / "backup")
    assert restored.report.lines == manifest.head_seq + 1
    assert not (other.data / data_lock.RESTORING).exists()
    async with other.running():
        assert await other.standing() == [warning]


@pytest.mark.parametrize("engine", databases.BOTH[1:], indirect=True)
async def test_a_database_with_another_ledger_is_left_alone(tmp_path: Path, engine: str) -> None:
    centre, other = SmallCentre(tmp_path), SmallCentre(tmp_path / "other")
    for one, level in ((centre, 4.5), (other, 4.6)):
        await backed_up_at(level, one, one.data.parent / "backup")
    shutil.rmtree(other.data)
    before = databases.rows(other.data / "egret.db", "SELECT * FROM ledger ORDER BY seq")
    with pytest.raises(BackupError, match="holds another ledger: restore into an empty"):
        await put_back(other, tmp_path / "backup")
    after = databases.rows(other.data / "egret.db", "SELECT * FROM ledger ORDER BY seq")
    assert before == after != []


@pytest.mark.parametrize("engine", databases.BOTH[1:], indirect=True)
async def test_a_database_that_outlived_its_centre_loses_nothing(
    tmp_path: Path, engine: str
) -> None:
    """The disk of the centre is gone, the database is on another machine: it is ahead."""
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 3.5)
        await centre.quiet()
        manifest = await backed_up(centre, tmp_path / "backup")
        await centre.levels(2, 4.5)
        (warning,) = await centre.standing()
        act = Act(Kind.ACKNOWLEDGED, warning.id, "officer:li", note="seen")
        acted = (await centre.ledger.act(act)).state
        head = centre.ledger.head.seq
    shutil.rmtree(centre.data)
    restored = await put_back(centre, tmp_path / "backup")
    assert (restored.report.lines, restored.report.findings) == (head + 1, [])
    assert manifest.head_seq < head
    async with centre.running():
        assert not centre.behind
        assert await centre.standing() == [acted]
        await centre.levels(2, 4.5)  # as a gateway sends it again
        assert await centre.standing() == [acted]
        assert await centre.values() == [3.5, 4.5]


async def test_only_the_owner_may_read_it_and_secrets_come_when_asked_for(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    password = tmp_path / "broker.password"
    password.write_text("hunter2")
    path = tmp_path / "centre.toml"
    keys = '[broker]\nusername = "c"\npassword_file = "broker.password"\n'
    path.write_text(path.read_text() + keys)
    centre.settings = config.load(path)
    async with centre.running():
        broker = centre.data / "broker"
        (broker / "jetstream").mkdir(parents=True)
        (broker / "jetstream" / "1.blk").write_text("a relay's")
        (broker / "ca.key").write_text("hunter3")
        (broker / "ca.pem").write_text("public")
        (broker / "ca.pem").chmod(0o644)
        await centre.levels(1, 1.0)
        await centre.quiet()
        await backed_up(centre, tmp_path / "open")
        await backed_up(centre, tmp_path / "secret", secrets=True)
    for name, wanted in (("open", False), ("secret", True)):
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        text = b"".join(path.read_bytes() for path in files)
        assert ((b"hunter2" in text), (b"hunter3" in text)) == (wanted, wanted)
        assert ((b"public" in text), (b"a relay's" in text)) == (True, False)
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
    password.unlink()
    shutil.rmtree(centre.data)
    await put_back(centre, tmp_path / "secret")
    assert password.read_text() == "hunter2"
    assert (broker / "ca.key").read_text() == "hunter3"
    assert stat.S_IMODE((broker / "ca.pem").stat().st_mode) == 0o644


async def test_a_catalogue_that_is_there_stays_and_the_difference_is_named(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    await backed_up_at(1.0, centre, tmp_path / "backup")
    shutil.rmtree(centre.data)
    rules = centre.settings.catalogue / "rules.toml"
    rules.write_text(rules.read_text() + "# edited since\n")
    (centre.settings.catalogue / "stations.toml").unlink()
    restored = await put_back(centre, tmp_path / "backup")
    assert restored.left == [str(rules)]
    assert (centre.settings.catalogue / "stations.toml").exists()
    assert rules.read_text().endswith("# edited since\n")


async def test_a_place_that_cannot_be_is_refused_before_anything_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 1.0)
        await centre.quiet()
        with pytest.raises(BackupError, match="is within the data folder: name one on another"):
            await backed_up(centre, centre.data / "backup")
        monkeypatch.setattr(making, "SPARE", 1e9)
        with pytest.raises(BackupError, match="make room, or name a folder on a larger disk"):
            await backed_up(centre, tmp_path / "backup")
    assert not (tmp_path / "backup" / place.DATA / "journal.db").exists()
