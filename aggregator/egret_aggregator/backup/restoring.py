"""Putting a backup back: into an empty data folder, and nothing else needs to be done.

A mark lies in the folder until all is there: a centre does not start over half a restore, and a
restore that was cut short begins anew.
"""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator import data_lock
from egret_aggregator.backup import folder as place
from egret_aggregator.backup import inventory
from egret_aggregator.backup.manifest import SETTINGS
from egret_aggregator.database import Database, ledger_rows, portable
from egret_aggregator.errors import BackupError, DataFolderError, StoreError
from egret_aggregator.store import chosen
from egret_aggregator.store.influx import state as influx
from egret_aggregator.warnings import Ledger, audit
from egret_aggregator.warnings.record import Head, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from egret_aggregator.backup.folder import Said
    from egret_aggregator.backup.manifest import Manifest
    from egret_aggregator.config import CentreConfig, DatabaseSettings

ACTOR = "console"
AHEAD_MS = 86_400_000  # a day: readings dated ahead of the centre's clock are in a bucket too


class Restored(NamedTuple):
    """What was put back.

    Attributes:
        manifest: of the backup; report: on the ledger as it is now.
        left: files that were there already, differ and stayed.
        homeless: what of the backup these settings name no place for: it was not put back.
    """

    manifest: Manifest
    report: audit.Report
    left: list[str]
    homeless: list[str]


def restore(
    settings: CentreConfig,
    database: Path | DatabaseSettings,
    folder: Path,
    *,
    now_ms: Callable[[], int],
    said: Said,
) -> Restored:
    """Fill an empty data folder, and an empty database, from a backup.

    Args:
        settings: of the centre that goes on.
        database: where its ledger shall be.
        folder: the backup.
        now_ms: the centre's clock.
        said: told how far each part is.

    Raises:
        BackupError: the backup is not whole, or the database is not empty.
        DataFolderError: a centre runs on the folder, or something is in it.
    """
    manifest = place.checked(folder, said)
    portable.check(folder / place.LEDGER)
    with data_lock.held(settings.data, restoring=True):
        mark = settings.data / data_lock.RESTORING
        again = mark.exists()
        _emptied(settings.data, again=again)
        mark.touch()
        left = _files(settings, folder, manifest, said)
        _doubt(settings, now_ms() + AHEAD_MS)
        store = Database(database)
        report = asyncio.run(
            _ledger(store, folder / place.LEDGER, manifest, now_ms, again=again, said=said)
        )
        _given(settings.data)
        _end(mark)
    return Restored(manifest, report, *left)


def _emptied(data: Path, *, again: bool) -> None:
    """Refuse a folder with anything in it; what half a restore left goes."""
    inside = sorted(
        path for path in data.iterdir() if path.name not in (data_lock.FILE, data_lock.RESTORING)
    )
    if inside and not again:
        raise DataFolderError(
            f"{data}: is not empty: {inside[0].name}",
            "move what is there away, or name another [centre] data",
        )
    for path in inside:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _doubt(settings: CentreConfig, until_ms: int) -> None:
    """Let a bucket that is newer than its file be asked for what it holds, not overwritten."""
    path = chosen.file(settings.store, settings.data)
    if settings.store.kind != "influx" or not path.exists():
        return  # without a file the bucket is adopted as it is
    try:
        influx.doubt(path, until_ms)
    except StoreError as error:
        raise BackupError(
            str(error), "make room on its disk, then give the same command again"
        ) from error


def _given(data: Path) -> None:
    """Let all in the data folder belong to its owner: root may have put it back."""
    for path in data.rglob("*"):
        data_lock.give(path, like=data)


def _files(
    settings: CentreConfig, folder: Path, manifest: Manifest, said: Said
) -> tuple[list[str], list[str]]:
    """Put files back; return those that were there and differ, and those without a place."""
    secrets, tops = inventory.secret_files(settings), inventory.targets(settings)
    left: list[str] = []
    homeless: list[str] = []
    for number, entry in enumerate(manifest.files, 1):
        top, _, rest = entry.path.partition("/")
        source = folder / entry.path
        if top == place.DATA:
            if entry.path != place.LEDGER:
                place.put(source, settings.data / rest, entry.mode)
        else:
            target = tops[top] / rest if top in tops else secrets.get(rest)
            if target is None:
                if entry.path != SETTINGS:
                    homeless.append(entry.path)
            elif not _kept(source, target, left):
                place.put(source, target, entry.mode)
        said("files", number, len(manifest.files))
    return left, homeless


def _kept(source: Path, target: Path, left: list[str]) -> bool:
    """Tell whether a file is there already; what differs is noted and stays."""
    if not target.exists():
        return False
    if target.read_bytes() != source.read_bytes():
        left.append(str(target))
    return True


async def _ledger(
    database: Database,
    export: Path,
    manifest: Manifest,
    now_ms: Callable[[], int],
    *,
    again: bool,
    said: Said,
) -> audit.Report:
    try:
        if not await _goes_on(database, manifest):
            await portable.load(database, export, partial(said, "ledger"))
        ledger = Ledger(database, now_ms)
        await ledger.open()
        async with database.reading() as connection:
            noted = await ledger_rows.after(connection, manifest.head_seq, 1, (Kind.RESTORED,))
        if not (again and noted):
            told = {"created_ms": manifest.created_ms, "head": manifest.head_seq}
            await ledger.note(ACTOR, Kind.RESTORED, told)
        return await audit.verify(database)
    finally:
        await database.close()


async def _goes_on(database: Database, manifest: Manifest) -> bool:
    """Tell whether the database holds the backup's ledger, or its continuation; it is open then.

    A database on another machine outlives the centre: what it has beyond the backup is kept.
    """
    await database.open()
    ledger = Ledger(database, lambda: 0)
    await ledger.open()
    if ledger.head.seq == 0:
        await database.close()
        return False
    if not await ledger.holds(Head(manifest.head_seq, manifest.head_hash)):
        raise BackupError(
            f"{database.name}: holds another ledger", "restore into an empty database"
        )
    return True


def _end(mark: Path) -> None:
    """Take the mark away, once all else is durable."""
    place.durable(mark.parent)
    mark.unlink()
    place.durable(mark.parent)
