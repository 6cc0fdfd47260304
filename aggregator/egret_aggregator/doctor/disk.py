"""The disk under the data folder: its room, and how long a commit waits for it."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from typing import TYPE_CHECKING

from egret_aggregator.database.sqlite import RESERVE_B
from egret_aggregator.doctor.finding import Finding, Result

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.config import CentreConfig

ROOM = "disk"
SYNCS = 15  # of one page each: a quarter of a second on a disk, nothing on flash
SLOW_S = 0.05  # of one fsync: at that, a commit of each second's readings is still no queue
LEAST_B = 4 * RESERVE_B  # free; at RESERVE_B the store stops and only warnings are written
_PAGE = b"\0" * 4096
_GB = 1e9


def disk(settings: CentreConfig) -> Result:
    """Look at room and speed; OSError where the folder cannot be used."""
    folder = nearest(settings.data)
    free_b = shutil.disk_usage(folder).free
    found: list[Finding] = []
    if free_b < LEAST_B:
        found.append(Finding(f"only {free_b / _GB:.1f} GB are free", "make room"))
    journal = settings.data / "journal.db"
    used_b = journal.stat().st_size if journal.exists() else 0
    wanted_b = settings.journal.max_mb * 1024 * 1024 + RESERVE_B
    if free_b + used_b < wanted_b:
        found.append(
            Finding(
                f"the journal may take {settings.journal.max_mb} MB, and the disk has "
                f"{(free_b + used_b) // 1024 // 1024}: an outage of the store ends there",
                "make room, or set [journal] max_mb lower",
            )
        )
    sync_s = fsync_s(folder)
    if sync_s > SLOW_S:
        found.append(
            Finding(
                f"a commit waits {sync_s * 1000:.0f} ms for the disk",
                "move [centre] data to a disk of its own, or one with a write cache that holds",
            )
        )
    seen = f"{free_b / _GB:.1f} GB free, {sync_s * 1000:.1f} ms a commit, {folder}"
    return Result(ROOM, seen, tuple(found))


def nearest(folder: Path) -> Path:
    """Return a folder, or the one above it that is there already."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def fsync_s(folder: Path) -> float:
    """Return how long a write of one page takes until it is on the disk: the median of some."""
    spans = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            began_s = time.monotonic()
            file.write(_PAGE)
            file.flush()
            os.fsync(file.fileno())
            spans.append(time.monotonic() - began_s)
    return statistics.median(spans)
