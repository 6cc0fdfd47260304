"""One data folder, one centre: two would give two entries one id and end each other's broker."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from egret_aggregator.errors import FolderError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "centre.lock"  # holds the process id of the centre that runs


class FolderLock:
    """An advisory lock that the system drops when the process dies, however it dies.

    Args:
        folder: the data folder; it is made where there is none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle = -1

    def take(self) -> None:
        """Take it.

        Raises:
            FolderError: another centre runs on the folder, or it cannot be written.
        """
        path = self._folder / NAME
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise FolderError(str(error), "make the data folder writable for this user") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            who = os.pread(handle, 20, 0).decode(errors="replace").strip()
            os.close(handle)
            raise FolderError(
                f"{self._folder}: another centre runs on it (process {who or 'unknown'})",
                "stop it, or give this one a data folder of its own: [centre] data",
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def give(self) -> None:
        """Give it back; harmless where it was not taken."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
