"""The damaged file goes and the new one comes; a power cut between them costs neither.

The new file is made whole beside the damaged one, under a name of its own. Only then is the damaged
one set aside, and the new one takes its name: where that was cut short, the next start ends it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ASIDE_MAX = 3  # damaged files kept: evidence, on a card that is already failing
_COMPANIONS = ("-wal", "-shm")


def fresh_place(path: Path) -> Path:
    """Return where the new file is made, with nothing left there."""
    fresh = path.with_name(f"{path.name}.new")
    _remove(fresh)
    return fresh


def exchange(path: Path) -> None:
    """Set the damaged file aside and put the new one, whole and closed, in its place."""
    taken = [path.with_name(f"{path.name}.damaged-{n}") for n in range(1, ASIDE_MAX + 1)]
    place = next((p for p in taken if not p.exists()), taken[-1])
    _remove(place)
    # The file first: while it is there, what waits in its write-ahead file must be, too.
    path.replace(place)
    _rename_if_there(_beside(path, "-wal"), _beside(place, "-wal"))
    finish(path)


def finish(path: Path) -> None:
    """End an exchange that was cut short; drop a new file that was not whole yet."""
    fresh = path.with_name(f"{path.name}.new")
    if path.exists() or not fresh.exists():
        _remove(fresh)
        return
    # What is left beside the damaged one was read into the new one, and must not meet it.
    for companion in _COMPANIONS:
        _beside(path, companion).unlink(missing_ok=True)
    fresh.replace(path)
    _make_durable(path.parent)


def _beside(path: Path, companion: str) -> Path:
    return path.with_name(path.name + companion)


def _remove(path: Path) -> None:
    for companion in (*_COMPANIONS, ""):
        _beside(path, companion).unlink(missing_ok=True)


def _rename_if_there(part: Path, place: Path) -> None:
    if part.exists():
        part.replace(place)


def _make_durable(folder: Path) -> None:
    """Bring names to the disk: a rename alone may wait in memory."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
