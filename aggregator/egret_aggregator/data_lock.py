"""One data folder, one centre: two would kill each other's broker and number one journal twice."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from egret_aggregator.errors import DataFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "centre.lock"
RESTORING = "restore.unfinished"  # lies in the folder while a backup is being put back


@contextmanager
def held(folder: Path, *, restoring: bool = False) -> Iterator[None]:
    """Hold the folder for this process; the system lets go when it dies, however it dies.

    Args:
        folder: the data folder, made where there is none.
        restoring: whether what a restore left half done may be there.

    Raises:
        DataFolderError: another process has it, it cannot be written, or a restore was cut short.
    """
    try:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            give(folder, like=folder.parent)
        handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        give(folder / FILE, like=folder)
    except OSError as error:
        raise DataFolderError(
            f"{folder}: {error.strerror}", "make [centre] data a folder this user can write"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataFolderError(
                f"{folder}: another centre runs on this data",
                "stop it, or give this one a [centre] data of its own",
            ) from error
        if not restoring and (folder / RESTORING).exists():
            raise DataFolderError(
                f"{folder}: a restore was cut short here", "run `egret-aggregator restore` again"
            )
        yield
    finally:
        os.close(handle)


def give(path: Path, *, like: Path) -> None:
    """Where root works for the centre, let a file belong to whoever owns a folder."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def is_held(folder: Path) -> bool:
    """Tell whether a centre runs on a folder; one that starts in this very instant is refused."""
    try:
        handle = os.open(folder / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
