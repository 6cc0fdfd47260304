"""A data folder belongs to one centre at a time, and to nobody once that one is dead."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from egret_aggregator.errors import FolderError
from egret_aggregator.folder_lock import NAME, FolderLock

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys, time
from pathlib import Path
from egret_aggregator.folder_lock import FolderLock
FolderLock(Path(sys.argv[1])).take()
sys.stdout.write("taken\\n")
sys.stdout.flush()
sys.stdin.readline()
"""


def test_it_is_taken_once_and_names_its_holder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    lock = FolderLock(folder)
    lock.take()
    with pytest.raises(FolderError, match=f"process {os.getpid()}") as caught:
        FolderLock(folder).take()
    assert str(folder) in str(caught.value)
    assert "[centre] data" in caught.value.remedy
    lock.give()
    lock.give()
    again = FolderLock(folder)
    again.take()
    again.give()
    assert (folder / NAME).read_text() == f"{os.getpid()}\n"


def test_a_holder_that_is_killed_leaves_it_free(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == b"taken\n"
        with pytest.raises(FolderError, match=f"process {holder.pid}"):
            FolderLock(tmp_path).take()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
        holder.stdin.close()
    lock = FolderLock(tmp_path)
    lock.take()
    lock.give()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(FolderError, match="writable"):
        FolderLock(tmp_path).take()
    tmp_path.chmod(stat.S_IRWXU)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(FolderError, match="make the data folder writable"):
        FolderLock(tmp_path / "data").take()
