"""Work that the file is spared: looks that write nothing, orders that read it once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.field_box import HandClock, sample

from egret_gateway.clock import Clock
from egret_gateway.outbox import ageing
from egret_gateway.outbox.ageing import Ageing
from egret_gateway.outbox.file import IDS_FROM, OutboxFile
from egret_gateway.outbox.model import NewRow
from egret_gateway.outbox.scribe import Scribe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY_MS = 86_400_000
KEEP_MS = DAY_MS


class Days:
    """A file whose oldest batches are settled and a day old, and a clock by hand."""

    def __init__(self, folder: Path) -> None:
        self.hands = HandClock()
        self.file = OutboxFile(folder / "outbox.db", "boot-1")
        self.ageing = Ageing(KEEP_MS)
        self.scribe = Scribe("XM-TA-0042", Clock(hands=self.hands.hands()), ())

    def commit(self) -> int:
        (parcel,) = self.scribe.readings(self.file, [sample(1.0, self.hands.mono)])
        return parcel.id

    def look(self) -> int:
        """Look for age; return how many rows of any table it changed."""
        before = self.file.db.total_changes
        self.ageing.look(self.file, self.hands.mono, self.hands.wall)
        return self.file.db.total_changes - before

    def ids(self) -> list[int]:
        return [row[0] for row in self.file.db.execute("SELECT id FROM batch ORDER BY id")]


@pytest.fixture
def days(tmp_path: Path) -> Iterator[Days]:
    it = Days(tmp_path)
    yield it
    it.file.close()


def test_a_look_that_finds_nothing_old_writes_nothing(days: Days) -> None:
    days.commit()
    for _ in range(9):
        assert days.ageing.due(days.hands.mono)
        assert days.look() == 0
        assert not days.ageing.due(days.hands.mono)
        days.hands.pass_ms(ageing.LOOK_MS)


def test_every_ten_minutes_it_is_written_down_how_far_we_are(days: Days) -> None:
    row_id = days.commit()
    days.look()
    assert days.file.fact(IDS_FROM) == 0
    days.hands.pass_ms(ageing.MARK_MS)
    assert days.look() > 0
    assert days.file.fact(IDS_FROM) == row_id + 1
    assert days.file.fact(ageing.AGED) == days.hands.wall - KEEP_MS
    days.hands.pass_ms(ageing.LOOK_MS)
    assert days.look() == 0


def test_old_copies_go_within_minutes_of_their_date(days: Days) -> None:
    days.look()
    days.file.settle([first := days.commit()])
    days.hands.pass_ms(ageing.LOOK_MS)
    second = days.commit()
    for _ in range(KEEP_MS // ageing.LOOK_MS - 1):
        days.look()
        days.hands.pass_ms(ageing.LOOK_MS)
    days.look()
    assert days.ids() == [first, second]
    days.hands.pass_ms(ageing.LOOK_MS)
    days.look()
    assert days.ids() == [second]
    assert days.file.fact(ageing.AGED) == days.hands.wall - KEEP_MS


def test_starts_in_a_row_give_a_leaping_clock_no_credit(days: Days) -> None:
    days.file.settle([days.commit()])
    days.hands.pass_ms(1000)
    days.file.settle([days.commit()])
    for _ in range(1000):
        days.ageing = Ageing(KEEP_MS)
        days.hands.pass_ms(10)
        days.ageing.look(days.file, days.hands.mono, days.hands.wall + 40 * 365 * DAY_MS)
    assert days.ids() == [1, 2]


def steps_of(file: OutboxFile, log: str, wanted: tuple[tuple[int, int], ...]) -> int:
    """Requeue; return how many hundreds of steps SQLite took."""
    taken = [0]

    def count() -> int:
        taken[0] += 1
        return 0

    file.db.set_progress_handler(count, 100)
    assert file.requeue(log, wanted).queued == wanted
    file.db.set_progress_handler(None, 0)
    return taken[0]


def test_one_odd_id_does_not_make_an_order_read_the_log_for_each_range(days: Days) -> None:
    file, count, ranges = days.file, 4000, 100
    file.db.execute("BEGIN")
    for number in range(count):
        new = NewRow("readings", False, False, 1, 1, "boot-1", 10**12 + number)
        file.add(new, b"x", draft=False)
    wanted = tuple((at * 40 + 11, at * 40 + 13) for at in range(ranges - 1))
    file.settle(range(1, count + 1))
    file.db.execute("COMMIT")
    even = steps_of(file, file.current.id, wanted)
    waiting = file.unsettled
    assert waiting == 3 * len(wanted)
    file.db.execute("BEGIN")
    file.settle(range(1, count + 1))
    file.db.execute("UPDATE batch SET id = 4000000000 WHERE id = 7")
    file.db.execute("COMMIT")
    file.reload()
    odd = steps_of(file, file.current.id, wanted)
    assert file.unsettled == waiting
    found = file.db.execute("SELECT seq FROM batch WHERE state = 0 ORDER BY seq").fetchall()
    assert [row[0] for row in found] == [n for low, high in wanted for n in range(low, high + 1)]
    assert odd < even + 10 * count / 100, "about one look at the rows, not one for each range"
