"""One outbox, one process: two writers would give two batches one identity."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from egret_gateway.errors import OutboxError

if TYPE_CHECKING:
    from pathlib import Path


class FileLock:
    """An advisory lock that the system drops when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def take(self) -> None:
        """Take it, making the folder.

        Raises:
            OutboxError: another process has it, or the folder cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise OutboxError(
                str(self._path), str(error), "make the data folder writable for this user"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise OutboxError(
                str(self._path),
                "another process has this outbox",
                "stop the other gateway, or give this one a data folder of its own",
            ) from error
        self._handle = handle

    def give(self) -> None:
        """Give it back; harmless where it was not taken."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
