"""While a backup runs nothing is trimmed: a file beside the journal whose lock the backup holds.

The system lets go of the lock when the backup dies, however it dies, so no pin is ever forgotten.
A pin that may not be looked at counts as held, until the journal needs the room.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from egret_aggregator import data_lock
from egret_aggregator.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".pin"
TRIES, PAUSE_S = 40, 0.05  # the writer looks at the lock for microseconds, by taking it


class Pin:
    """The pin of one journal.

    Args:
        journal: the journal's file.
    """

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_suffix(SUFFIX)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the journal from being trimmed until the block ends.

        Raises:
            BackupError: another backup holds it; or, at the end, the journal ran out of room and
                was trimmed all the same.
        """
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            data_lock.give(self._path, like=self._path.parent)
            self._lock(handle)
            try:
                yield
                if not self._stands(handle):
                    raise BackupError(
                        f"{self._path}: the journal ran out of room and was trimmed meanwhile",
                        "let its consumers catch up, or give [journal] max_mb more; begin anew",
                    )
            finally:
                if self._stands(handle):
                    self._path.unlink()
        finally:
            os.close(handle)

    def holds(self) -> bool:
        """Tell whether a backup holds the journal now."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            # It is there and we may not look: rather too long a journal than a torn backup.
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def give_up(self) -> None:
        """Trim in spite of the backup: it will see that its pin is gone, and say so."""
        with suppress(OSError):
            self._path.unlink()

    def _lock(self, handle: int) -> None:
        for _ in range(TRIES):
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(PAUSE_S)
        raise BackupError(
            f"{self._path}: another backup of this centre runs", "wait until it has ended"
        )

    def _stands(self, handle: int) -> bool:
        try:
            here, there = os.fstat(handle), self._path.stat()
        except OSError:
            return False
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
