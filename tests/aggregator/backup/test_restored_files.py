"""Files of a backup: whole or not there, their owner's, secrets only where asked for."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rig.backups import backed_up, backed_up_at, put_back, told_of
from rig.small_centre import SmallCentre

from egret_aggregator import config, data_lock
from egret_aggregator.backup import folder as place
from egret_aggregator.backup import inventory
from egret_aggregator.backup.manifest import PARTS
from egret_aggregator.errors import BackupError
from egret_aggregator.journal.copying import JournalCopy

KILLED = """
import sys
from pathlib import Path
from egret_aggregator.backup import folder
folder.put(Path(sys.argv[1]), Path(sys.argv[2]), 0o644)
"""


@dataclass
class Enrolled:
    """Settings that name a folder for enrolment, as far as an inventory looks at them."""

    data: Path
    catalogue: Path
    enrolment: Any


async def test_killed_within_a_copy_it_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    """A private key that is half there, and readable by all, would be both."""
    source, target = tmp_path / "source", tmp_path / "new" / "ca.key"
    os.mkfifo(source)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(source), str(target)
    )
    writer = await asyncio.to_thread(os.open, source, os.O_WRONLY)
    await asyncio.to_thread(os.write, writer, b"k" * 65536)
    part = target.with_name("ca.key.part")
    async with asyncio.timeout(60):
        while not part.exists():
            await asyncio.sleep(0.01)
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    child.kill()
    await child.wait()
    os.close(writer)
    assert not target.exists()
    source.unlink()
    source.write_bytes(b"whole")
    place.put(source, target, 0o640)
    assert target.read_bytes() == b"whole"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["ca.key"]


async def test_a_catalogue_half_put_back_is_put_back_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = SmallCentre(tmp_path)
    await backed_up_at(1.0, centre, tmp_path / "backup")
    shutil.rmtree(centre.data)
    rules = centre.settings.catalogue / "rules.toml"
    whole = rules.read_text()
    rules.unlink()
    real = os.fsync

    def stops(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().name == "rules.toml.part":
            os.ftruncate(handle, 9)
            raise KeyboardInterrupt
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", stops)
        with pytest.raises(KeyboardInterrupt):
            await put_back(centre, tmp_path / "backup")
    assert not rules.exists()
    restored = await put_back(centre, tmp_path / "backup")
    assert (rules.read_text(), restored.left) == (whole, [])
    assert not list(centre.settings.catalogue.glob("*.part"))


async def test_what_the_settings_call_a_secret_is_one_wherever_it_lies(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    path = tmp_path / "centre.toml"
    keys = '[store]\nkind = "influx"\nurl = "http://127.0.0.1:1"\n'
    path.write_text(path.read_text() + keys + 'token_file = "data/influx.token"\n')
    async with centre.running():
        await centre.levels(1, 1.0)
        await centre.quiet()
        (centre.data / "influx.token").write_text("hunter4")
        centre.settings = config.load(path)
        (tmp_path / "backup").mkdir(mode=0o755)
        (tmp_path / "backup").chmod(0o755)
        await backed_up(centre, tmp_path / "backup")
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    files = [path for path in (tmp_path / "backup").rglob("*") if path.is_file()]
    assert not any(b"hunter4" in path.read_bytes() for path in files)


async def test_a_database_store_without_its_file_or_with_another_is_said(tmp_path: Path) -> None:
    """The backup is of a centre whose series were SQLite's; the settings name InfluxDB now."""
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 1.0)
        await centre.quiet()
        await backed_up(centre, tmp_path / "backup")
        (centre.data / "influx.db").write_bytes(b"no database" * 1000)
    shutil.copytree(tmp_path / "backup", tmp_path / "torn")
    shutil.copy(
        tmp_path / "backup" / "data" / "series.db", tmp_path / "torn" / "data" / "influx.db"
    )
    told_of(tmp_path / "torn", "data/influx.db")
    path = tmp_path / "centre.toml"
    path.write_text(path.read_text() + '[store]\nkind = "influx"\nurl = "http://127.0.0.1:1"\n')
    centre.settings = config.load(path)
    shutil.rmtree(centre.data)
    with pytest.raises(BackupError, match=r"influx.db: no such table: channel: make room"):
        await put_back(centre, tmp_path / "torn")
    restored = await put_back(centre, tmp_path / "backup")
    assert restored.report.findings == []
    assert not (centre.data / "influx.db").exists()
    assert not (centre.data / data_lock.RESTORING).exists()


async def test_a_disk_that_fills_under_the_journals_copy_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = SmallCentre(tmp_path)

    def small(copy: JournalCopy) -> None:
        copy._db.execute("PRAGMA max_page_count=1")
        begin(copy)

    begin = JournalCopy.begin
    monkeypatch.setattr(JournalCopy, "begin", small)
    async with centre.running():
        await centre.levels(1, 1.0)
        await centre.quiet()
        await centre.judge.flush()
        with pytest.raises(
            BackupError, match="the journal is not copied: database or disk is full"
        ):
            await backed_up(centre, tmp_path / "backup")


async def test_what_the_settings_have_no_place_for_is_named(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    await backed_up_at(1.0, centre, tmp_path / "backup")
    own = tmp_path / "backup" / "enrolment" / "ca.pem"
    own.parent.mkdir()
    own.write_text("public")
    told_of(tmp_path / "backup", "enrolment/ca.pem")
    shutil.rmtree(centre.data)
    restored = await put_back(centre, tmp_path / "backup")
    assert restored.homeless == ["enrolment/ca.pem"]


@pytest.mark.parametrize("where", ["data/broker", "etc/broker"])
def test_an_enrolment_goes_back_to_where_the_settings_name_it(tmp_path: Path, where: str) -> None:
    enrolment = SimpleNamespace(folder=tmp_path / where)
    settings: Any = Enrolled(tmp_path / "data", tmp_path / "catalogue", enrolment)
    assert inventory.targets(settings)["enrolment"] == enrolment.folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works for another user")
async def test_what_root_puts_back_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    await backed_up_at(4.5, centre, tmp_path / "backup")
    shutil.rmtree(centre.data)
    rules = centre.settings.catalogue / "rules.toml"
    rules.unlink()
    centre.data.mkdir()
    for folder in (centre.data, centre.settings.catalogue):
        os.chown(folder, 65534, 65533)
    await put_back(centre, tmp_path / "backup")
    for path in (rules, *centre.data.rglob("*")):
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65533), path


@pytest.mark.parametrize(("where", "own"), [("data/broker", False), ("etc/broker", True)])
def test_where_gateways_are_enrolled_is_copied_once(
    tmp_path: Path, where: str, *, own: bool
) -> None:
    enrolment = SimpleNamespace(folder=tmp_path / where)
    settings: Any = Enrolled(tmp_path / "data", tmp_path / "catalogue", enrolment)
    wanted = {"catalogue": tmp_path / "catalogue"} | (
        {"enrolment": enrolment.folder} if own else {}
    )
    assert inventory.folders(settings) == wanted
    assert set(wanted) < set(PARTS)
