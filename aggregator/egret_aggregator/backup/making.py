"""Making a backup while the centre runs.

The order is what makes it whole (decision 14): pin the journal; where its consumers are; ledger,
then series; last the journal's entries since the first step. Whatever is copied later is ahead of
what was copied before, and a centre that starts from it catches up with itself.
"""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from egret_aggregator.backup import folder as place
from egret_aggregator.backup import inventory
from egret_aggregator.backup.manifest import SETTINGS, Manifest
from egret_aggregator.database import Database, portable, snapshot
from egret_aggregator.errors import BackupError
from egret_aggregator.journal.copying import JournalCopy
from egret_aggregator.journal.pin import Pin

if TYPE_CHECKING:
    from egret_aggregator.backup.folder import Said
    from egret_aggregator.config import CentreConfig, DatabaseSettings
    from egret_aggregator.database.portable import Exported

SPARE = 1.1  # of the room that the files take now: they grow while they are copied


def make(
    settings: CentreConfig,
    database: Path | DatabaseSettings,
    folder: Path,
    *,
    now_ms: int,
    secrets: bool,
    said: Said,
) -> Manifest:
    """Copy a centre, running or not, into a folder; return the manifest.

    Args:
        settings: its settings.
        database: where its ledger is.
        folder: a new one, or one that an unfinished backup left.
        now_ms: the centre's time.
        secrets: whether passwords and private keys go along.
        said: told how far each part is.

    Raises:
        BackupError: it cannot be made; what was copied is no backup then.
        DatabaseError: the ledger does not answer.
    """
    journal = settings.data / "journal.db"
    if not journal.exists():
        raise BackupError(f"{settings.data}: there is no journal yet", "name a centre that has run")
    if folder.absolute().is_relative_to(settings.data.absolute()):
        raise BackupError(f"{folder}: is within the data folder", "name one on another disk")
    place.begin(folder)
    _room(settings, folder)
    with Pin(journal).held():
        copy = JournalCopy(journal, folder / place.JOURNAL)
        try:
            copy.begin()
            ledger = asyncio.run(_ledger(database, folder / place.LEDGER, said))
            for path in inventory.databases(settings):
                target = folder / place.DATA / path.name
                snapshot.copy(path, target, partial(said, path.name))
            _files(settings, folder, secrets=secrets)
            copied = copy.follow(partial(said, "journal"))
        finally:
            copy.close()
    manifest = Manifest(
        created_ms=now_ms,
        egret=version("egret-ews"),
        database="sqlite" if isinstance(database, Path) else "postgresql",
        revision=ledger.revision,
        rows=ledger.rows,
        head_seq=ledger.head.seq,
        head_hash=ledger.head.hash,
        journal_head=copied.head,
        journal_entries=copied.entries,
        positions=copied.positions,
        secrets=secrets,
        files=place.copies(folder, said),
    )
    place.finish(folder, manifest)
    return manifest


async def _ledger(place_: Path | DatabaseSettings, target: Path, said: Said) -> Exported:
    database = Database(place_)
    await database.open()
    try:
        return await portable.export(database, target, partial(said, "ledger"))
    finally:
        await database.close()


def _files(settings: CentreConfig, folder: Path, *, secrets: bool) -> None:
    named = inventory.secret_files(settings)
    for name, top in {place.DATA: settings.data, **inventory.folders(settings)}.items():
        for path in inventory.files(top, secrets=secrets, named=named.values()):
            place.put(path, folder / name / path.relative_to(top))
    if secrets:
        for key, path in named.items():
            place.put(path, folder / place.SECRETS / key)
    place.put(Path(settings.file), folder / SETTINGS)


def _room(settings: CentreConfig, folder: Path) -> None:
    """Refuse a disk that is too small before anything is copied."""
    files = [path for path in settings.data.glob("*.db*") if path.is_file()]
    need_b = int(SPARE * sum(path.stat().st_size for path in files))
    free_b = shutil.disk_usage(folder).free
    if free_b < need_b:
        raise BackupError(
            f"{folder}: {free_b >> 20} MB free, up to {need_b >> 20} MB needed",
            "make room, or name a folder on a larger disk",
        )
