"""A disk of a few megabytes that really fills up: a file system in memory, where root may mount."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_B = 4096


def why_no_disk() -> str:
    """Return what is missing for a `SmallDisk`, "" for nothing."""
    if os.geteuid() != 0:
        return "only root may mount a file system"
    if shutil.which("mount") is None:
        return "mount is not installed"
    made = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"],
        check=False,
        capture_output=True,
    )
    return "" if made.returncode == 0 else "this machine does not let us mount"


class SmallDisk:
    """`disk.path` lies on it; `fill` leaves no free block, `relieve` gives them back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * BLOCK_B)

    def relieve(self) -> None:
        self._ballast.unlink()

    def freeze(self) -> None:
        """Remount it to read only, as a failing card does."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True)

    def thaw(self) -> None:
        subprocess.run(["mount", "-o", "remount,rw", str(self.path)], check=True)


@contextmanager
def small_disk(path: Path, size_kb: int) -> Iterator[SmallDisk]:
    path.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "none", str(path)]
    subprocess.run(mount, check=True)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
