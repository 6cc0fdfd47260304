"""A data folder belongs to one centre at a time, and to nobody once that one is dead."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from egret_aggregator import data_lock
from egret_aggregator.errors import DataFolderError

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from egret_aggregator import data_lock
with data_lock.held(Path(sys.argv[1])):
    sys.stdout.write("taken\\n")
    sys.stdout.flush()
    sys.stdin.readline()
"""


def test_it_is_held_once_and_the_folder_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with data_lock.held(folder):
        with (
            pytest.raises(DataFolderError, match="another centre") as caught,
            data_lock.held(folder),
        ):
            pass
        assert str(folder) in str(caught.value)
        assert "[centre] data" in caught.value.remedy
    with data_lock.held(folder):
        assert (folder / data_lock.FILE).exists()


def test_it_is_given_back_when_what_held_it_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), data_lock.held(tmp_path):
        raise ValueError("inside")
    with data_lock.held(tmp_path):
        pass


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
        with pytest.raises(DataFolderError), data_lock.held(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
        holder.stdin.close()
    with data_lock.held(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataFolderError, match="can write"), data_lock.held(tmp_path):
        pass
    tmp_path.chmod(0o700)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(DataFolderError, match="can write"), data_lock.held(tmp_path / "data"):
        pass
