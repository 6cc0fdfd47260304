"""The store leaves the end of the disk to the ledger, and goes on by itself when there is room."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from rig.batches import T0_MS, incoming
from rig.centre_half import until

from egret_aggregator import recorder as module
from egret_aggregator.database import sqlite
from egret_aggregator.errors import StoreError
from egret_aggregator.journal import Journal
from egret_aggregator.recorder import Recorder
from egret_aggregator.store import SqliteStore, StoredReading

if TYPE_CHECKING:
    from pathlib import Path

ROW = StoredReading("st1", "wl", T0_MS, 1.0, None, 1, 0, 0, 40)
ALL_B = 10**15


async def test_the_last_of_the_disk_is_not_for_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "series.db")
    await store.open()
    with monkeypatch.context() as full:
        full.setattr(sqlite, "RESERVE_B", ALL_B)
        with pytest.raises(StoreError, match="kept for warnings"):
            await store.write([ROW], positions={3: 7})
        assert await store.position() == {}
        assert "kept for warnings" in (await store.health()).last_error
    assert (await store.write([ROW], positions={3: 7})).accepted == 1
    assert await store.position() == {3: 7}
    await store.close()


async def test_a_disk_that_does_not_answer_is_a_fault_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> int:
        raise OSError(5, "Input/output error")

    store = SqliteStore(tmp_path / "series.db")
    await store.open()
    with monkeypatch.context() as broken:
        broken.setattr(sqlite, "spare_bytes", gone)
        with pytest.raises(StoreError, match="Input/output error"):
            await store.write([ROW])
    await store.close()


async def test_the_recorder_waits_for_room_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", (0.01,))
    journal = Journal(tmp_path / "journal.db", keep_ms=10**9, max_bytes=2**26)
    store = SqliteStore(tmp_path / "series.db")
    await journal.open()
    await store.open()
    recorder = Recorder(journal, store, owner=lambda *_: None, known=())
    await recorder.open()
    task = asyncio.create_task(recorder.run())
    with monkeypatch.context() as full:
        # The journal was looked at before the disk filled: it takes, the store does not.
        full.setattr(sqlite, "RESERVE_B", ALL_B)
        await journal.append([incoming(seq) for seq in range(1, 9)], T0_MS)
        await until(lambda: recorder.failures >= 3)
        assert (recorder.recorded, recorder.recorded_to_ms) == (0, 0)
    await until(lambda: recorder.position >= journal.head)
    assert (recorder.recorded, recorder.recorded_to_ms) == (16, T0_MS)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await journal.close()
    await store.close()
