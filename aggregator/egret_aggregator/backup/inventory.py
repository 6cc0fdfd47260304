"""What of a centre is copied as it lies: files of the data folder, the catalogue, secrets.

Databases in use are not copied as they lie; see `making`.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egret_aggregator import data_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egret_aggregator.config import CentreConfig

# The embedded broker's store is a relay's: nothing depends on what it keeps.
_LEFT = ("broker", data_lock.FILE, data_lock.RESTORING)
_PASSING = (".pin", ".db", ".db-wal", ".db-shm", ".pid", ".log", ".sock", ".tmp")
_KEY = ".key"  # a private key, wherever it lies
_SECRET_KEYS = ("password_file", "token_file", "key_file")


def databases(settings: CentreConfig) -> list[Path]:
    """Return the SQLite files beside journal and ledger: the series, and what else rooms keep."""
    kept = sorted(settings.data.glob("*.db"))
    return [path for path in kept if path.name not in ("journal.db", "egret.db")]


def data_files(settings: CentreConfig, *, secrets: bool) -> Iterator[Path]:
    """Yield the other files of the data folder; private keys only where secrets are wanted."""
    for path in sorted(settings.data.rglob("*")):
        top = path.relative_to(settings.data).parts[0]
        if top in _LEFT or path.suffix in _PASSING or not path.is_file():
            continue
        if secrets or path.suffix != _KEY:
            yield path


def catalogue_files(settings: CentreConfig) -> Iterator[Path]:
    """Yield the files of the catalogue."""
    yield from sorted(path for path in settings.catalogue.rglob("*") if path.is_file())


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
