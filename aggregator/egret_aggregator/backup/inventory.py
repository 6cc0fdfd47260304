"""What of a centre is copied as it lies: files of the data folder, other folders, secrets.

Databases in use are not copied as they lie; see `making`.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egret_aggregator import data_lock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from egret_aggregator.config import CentreConfig

# The embedded broker's store is a relay's: nothing depends on what it keeps.
_LEFT = ("broker/jetstream/", data_lock.FILE, data_lock.RESTORING)
_PASSING = (".pin", ".db", ".db-wal", ".db-shm", ".pid", ".log", ".sock", ".tmp", ".part")
_SECRET = (".key", ".password")  # private keys and passwords, wherever they lie
ENROLMENT = "enrolment"
_SECRET_KEYS = ("password_file", "token_file", "key_file")


def databases(settings: CentreConfig) -> list[Path]:
    """Return the SQLite files beside journal and ledger: the series, and what else rooms keep."""
    kept = sorted(settings.data.glob("*.db"))
    return [path for path in kept if path.name not in ("journal.db", "egret.db")]


def folders(settings: CentreConfig) -> dict[str, Path]:
    """Return the folders beside the data folder, by their name in a backup.

    That is the catalogue, and where gateways are enrolled if that is not within the data folder.
    """
    found = {"catalogue": settings.catalogue}
    path = getattr(getattr(settings, ENROLMENT, None), "folder", None)
    if isinstance(path, Path) and not path.absolute().is_relative_to(settings.data.absolute()):
        found[ENROLMENT] = path
    return found


def targets(settings: CentreConfig) -> dict[str, Path]:
    """Return where the folders of a backup go back to, by their name in it.

    Where gateways are enrolled may lie within the data folder now, and have lain outside then.
    """
    found = folders(settings)
    path = getattr(getattr(settings, ENROLMENT, None), "folder", None)
    return found | ({ENROLMENT: path} if isinstance(path, Path) else {})


def files(folder: Path, *, secrets: bool, named: Collection[Path] = ()) -> Iterator[Path]:
    """Yield the files of a folder; private keys and passwords only where secrets are wanted.

    Args:
        folder: its files, and those of its folders.
        secrets: whether they are wanted.
        named: secrets by the settings' word, whatever their names are.
    """
    secret = {path.resolve() for path in named}
    for path in sorted(folder.rglob("*")):
        within = path.relative_to(folder).as_posix()
        if within.startswith(_LEFT) or path.suffix in _PASSING or not path.is_file():
            continue
        if secrets or (path.suffix not in _SECRET and path.resolve() not in secret):
            yield path


def secret_files(settings: CentreConfig) -> dict[str, Path]:
    """Return the files that the settings name as secrets, by `table.key`."""
    found: dict[str, Path] = {}
    for item in fields(settings):
        table = getattr(settings, item.name)
        if not is_dataclass(table):
            continue
        for key in _SECRET_KEYS:
            path = getattr(table, key, None)
            if isinstance(path, Path):
                found[f"{item.name}.{key}"] = path
    return found
