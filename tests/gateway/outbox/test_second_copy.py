"""An outbox can be read by somebody else, while its gateway writes and after it is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from egret_core.codec import decode_batch
from egret_core.messages import ChannelMeta, Kind
from egret_gateway.clock import Clock
from egret_gateway.config import OutboxSettings
from egret_gateway.outbox import second_copy
from egret_gateway.outbox.outbox import Outbox
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT_S = 20
META = ChannelMeta("bridge", "wl", "water_level", "m", "valley-zero", "none@1", 60)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kinds(path: Path) -> list[str]:
    return [decode_batch(copy.payload).kind for copy in second_copy.read(path)]


def test_what_is_committed_is_read_beside_its_writer_and_after_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "g", Clock("rtc"), [META], OutboxSettings())
    outbox.open()
    emit = outbox.emitter(0.0)
    emit([Sample("bridge", "wl", int(time.monotonic() * 1000), 1.25)], {})
    try:
        until(lambda: Kind.READINGS in kinds(outbox.path))
        found = second_copy.read(outbox.path)
        assert [copy.row for copy in found] == sorted(copy.row for copy in found)
        assert not any(copy.settled for copy in found)
        assert second_copy.read(outbox.path, found[-1].row) == []
        assert second_copy.tally(outbox.path) == (0, len(found))
        assert second_copy.tally(outbox.path, found[0].row) == (0, 1)
        outbox.settle([found[0].row])
        emit([Sample("bridge", "wl", int(time.monotonic() * 1000), 1.26)], {})
        until(lambda: len(second_copy.read(outbox.path)) == len(found) + 1)
        assert second_copy.tally(outbox.path) == (1, len(found)), "the mark came with that commit"
        assert [copy.settled for copy in second_copy.read(outbox.path)][:2] == [True, False]
    finally:
        outbox.close()
    assert [copy.payload for copy in second_copy.read(outbox.path)][:-1] == [
        copy.payload for copy in found
    ]


def test_a_file_not_laid_out_yet_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").touch()
    assert second_copy.read(tmp_path / "outbox.db") == []
    assert second_copy.tally(tmp_path / "outbox.db") == (0, 0)


def test_looking_makes_no_outbox(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        second_copy.read(tmp_path / "outbox.db")
    with pytest.raises(FileNotFoundError):
        second_copy.tally(tmp_path / "outbox.db")
    assert list(tmp_path.iterdir()) == []
