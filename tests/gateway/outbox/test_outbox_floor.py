"""The last commit's date bars clocks that lag: no start and no order may put it back."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.box_file import opened
from rig.field_box import METAS, HandClock, make_outbox, samples

from egret_gateway.clock import Clock
from egret_gateway.config import OutboxSettings
from egret_gateway.outbox import Outbox
from egret_gateway.outbox.file import OutboxFile
from egret_gateway.outbox.model import NewRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egret_core.messages import ChannelMeta

DAY_MS = 86_400_000
OTHER_METAS = METAS[:1]


def fill(folder: Path, count: int, step_ms: int = 1000) -> HandClock:
    """Commit batches of one reading; return the clock as it stands at the last."""
    hands = HandClock()
    outbox = make_outbox(folder, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        for number in range(1, count + 1):
            hands.pass_ms(step_ms)
            emit(samples(1, number, hands.mono), {})
            ear.until_parcels(number)
    return hands


def lagging(hands: HandClock, lag_ms: int) -> Clock:
    """Return the clock of the next boot, set by nothing but an RTC that lags."""
    later = HandClock(mono=5000, wall=hands.wall - lag_ms, boot="boot-2")
    return Clock(hands=replace(later.hands(), disciplined=lambda: False))


def floor_after(folder: Path, clock: Clock, metas: Sequence[ChannelMeta] = METAS) -> int:
    with opened(make_outbox(folder, clock, metas=metas)):
        pass
    return clock.vouched().floor_ms


@pytest.mark.parametrize("metas", [METAS, OTHER_METAS], ids=["same meta", "other meta"])
def test_a_start_that_writes_its_meta_dates_it_by_no_lagging_rtc(
    tmp_path: Path, metas: Sequence[ChannelMeta]
) -> None:
    hands = fill(tmp_path, 3)
    clock = lagging(hands, 30 * DAY_MS)
    assert floor_after(tmp_path, clock, metas) == hands.wall
    assert clock.vouched().now_ms is None
    assert floor_after(tmp_path, lagging(hands, 30 * DAY_MS), metas) == hands.wall


def test_a_salvage_dates_its_records_by_no_lagging_rtc(tmp_path: Path) -> None:
    hands = fill(tmp_path, 40)
    file = tmp_path / "outbox.db"
    body = bytearray(file.read_bytes())
    body[-4096:] = b"\x5a" * 4096
    file.write_bytes(body)
    # The newest rows are lost: the floor is that of what was saved, and no lower.
    floor = floor_after(tmp_path, lagging(hands, 30 * DAY_MS))
    assert list(tmp_path.glob("*.damaged-1"))
    assert hands.wall - 60_000 < floor <= hands.wall
    assert floor_after(tmp_path, lagging(hands, 30 * DAY_MS)) == floor


async def test_batches_cut_anew_keep_their_dates_and_not_the_floor(tmp_path: Path) -> None:
    hands = fill(tmp_path, 10, step_ms=DAY_MS)
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox):
        outbox.settle([row.id for row in await outbox.reader.oldest(0) if row.seq > 4])
        await outbox.divide(log := outbox.current_log)
        assert outbox.current_log != log
    assert floor_after(tmp_path, lagging(hands, 5 * DAY_MS)) == hands.wall


def test_a_file_that_another_gateway_filled_keeps_its_floor(tmp_path: Path) -> None:
    hands = fill(tmp_path, 10, step_ms=DAY_MS)
    with opened(outbox := make_outbox(tmp_path, Clock(hands=hands.hands()))):
        outbox.settle(range(5, 12))
    clock = lagging(hands, 5 * DAY_MS)
    with opened(Outbox(tmp_path, "XM-TA-0043", clock, METAS, OutboxSettings())):
        pass
    assert floor_after(tmp_path, again := lagging(hands, 5 * DAY_MS)) == hands.wall
    assert again.vouched().now_ms is None


def settled_and_gone(file: OutboxFile, row_id: int) -> None:
    """Remove a batch as ageing does."""
    file.db.execute("BEGIN IMMEDIATE")
    row = file.db.execute("SELECT id, log, seq, state, hash FROM batch WHERE id = ?", (row_id,))
    file.remove([row.fetchone()])
    file.db.execute("COMMIT")


def test_undated_rows_do_not_hide_what_was_marked(tmp_path: Path) -> None:
    hands = fill(tmp_path, 2)
    with closing(OutboxFile(tmp_path / "outbox.db", "boot-1")) as file:
        file.mark()
        file.db.execute("UPDATE batch SET cut_real = 0")
        file.db.execute("DELETE FROM fact WHERE key = 'ids_from'")
    with closing(OutboxFile(tmp_path / "outbox.db", "boot-1")) as file:
        assert file.last_real == hands.wall


def test_the_floor_outlives_the_last_row_that_has_a_date(tmp_path: Path) -> None:
    hands = fill(tmp_path, 3)
    with closing(OutboxFile(tmp_path / "outbox.db", "boot-1")) as file:
        file.number_from(1 << 32)  # as after a salvage
        file.add(NewRow("readings", False, False, 1, 1, "boot-1", 0), b"{}", draft=True)
        settled_and_gone(file, 4)
    with closing(OutboxFile(tmp_path / "outbox.db", "boot-1")) as file:
        assert file.last_real == hands.wall


def test_what_is_dated_late_tells_the_time_as_well(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    with closing(OutboxFile(tmp_path / "outbox.db", "boot-1")) as file:
        new = NewRow("readings", False, False, 1, 1, "boot-1", 0)
        row_id = file.add(new, b"{}", draft=True).id
        file.seal(row_id, b"sealed", later := file.last_real + DAY_MS)
        file.mark()
    with closing(OutboxFile(tmp_path / "outbox.db", "boot-1")) as file:
        assert file.last_real == later
