"""Room laid by for the day the disk is full: even a deletion must first be written somewhere."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RESERVE_B = 4 * 1024 * 1024  # bytes: deleting 2 % of a file of 512 MB writes about 1 MB
SHARE = 0.125  # of the outbox's own limit and of the disk at most, where they are small
ROOM = 2  # times its size must be free before it is laid by again
_CHUNK_B = 64 * 1024
_log = logging.getLogger(__name__)


class Reserve:
    """A file of bytes that mean nothing; spent on a full disk, laid by again when there is room."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._size = min(RESERVE_B, int(max_bytes * SHARE))

    def lay_by(self) -> bool:
        """Make it whole where the disk has room to spare; tell whether it is."""
        with suppress(OSError):
            disk = os.statvfs(self._path.parent)
            size = min(self._size, int(disk.f_blocks * disk.f_frsize * SHARE))
            if self._held() >= size:
                return True
            if self.disk_free() < ROOM * size:
                return False
            with self._path.open("ab") as file:
                while (left := size - file.tell()) > 0:
                    file.write(b"\xe5" * min(left, _CHUNK_B))
            return True
        return False

    def disk_free(self) -> int:
        """Return the bytes that the disk still has for us, 0 where it cannot be asked."""
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def spend(self) -> bool:
        """Give its room back to the disk; False where there was none."""
        try:
            held = self._held()
            if not held:
                return False
            os.truncate(self._path, 0)
        except OSError:
            return False
        _log.warning("outbox reserve=%s spent bytes=%d", self._path, held)
        return True

    def _held(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0
