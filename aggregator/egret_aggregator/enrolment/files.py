"""Files that appear whole or not at all, with the right mode from their first byte on."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE = 0o600  # for who runs the centre: CA key, passwords, bundles
BROKER = 0o640  # for the broker's group too: its key and its accounts
PUBLIC = 0o644


def write(path: Path, text: str, mode: int) -> None:
    """Write a file durably, in place of the one before; root writes for the folder's owner.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w") as file:
        _hand_over(handle, path.parent)
        os.fchmod(handle, mode)
        file.write(text)
        file.flush()
        os.fsync(handle)
    new.replace(path)
    _durable(path.parent)


def remove(path: Path) -> None:
    """Remove a file durably; one that is gone already is fine.

    Raises:
        OSError: it could not be removed.
    """
    path.unlink(missing_ok=True)
    _durable(path.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from changing the accounts for the time of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        _hand_over(handle, folder)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _hand_over(handle: int, folder: Path) -> None:
    """Give what root made to the folder's owner: a centre that is not root must go on with it."""
    if os.geteuid() == 0:
        os.fchown(handle, folder.stat().st_uid, -1)


def _durable(folder: Path) -> None:
    """Make what a folder lists durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
