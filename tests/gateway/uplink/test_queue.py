"""What is sent next: the order over one outbox, with time as a number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from egret_core.messages import Kind, Taking
from egret_gateway.outbox import Parcel
from egret_gateway.uplink import queue as rules
from egret_gateway.uplink.queue import Queue
from egret_gateway.uplink.window import Verdict, Window, key_of

if TYPE_CHECKING:
    from egret_gateway.outbox.reader import Reader

T0 = 5_000_000
LOG, FORMER = "a" * 32, "b" * 32


def parcel(
    row: int, *, cut: int | None = T0, urgent: bool = False, kind: str = Kind.READINGS,
    log: str = LOG, size: int = 100,
) -> Parcel:  # fmt: skip
    return Parcel(row, log, row, f"{row:016x}", kind, urgent, cut, b"x" * size)


def old(row: int, *, size: int = 100, log: str = LOG) -> Parcel:
    return parcel(row, cut=None, size=size, log=log)


@dataclass
class Shelf:
    """The outbox's rows as its reader gives them: unsettled ones, in order."""

    rows: list[Parcel] = field(default_factory=list)
    looks: int = 0
    page: int = 64

    async def metas(self) -> list[Parcel]:
        return [row for row in self.rows if row.kind == Kind.META]

    async def urgent(self, after: int) -> list[Parcel]:
        return [row for row in self.rows if row.urgent and row.id > after]

    async def oldest(self, after: int) -> list[Parcel]:
        self.looks += 1
        return [row for row in self.rows if row.id > after][: self.page]


class Line:
    """A queue over a shelf, and a window that takes what it gives."""

    def __init__(self, *rows: Parcel) -> None:
        self.shelf = Shelf(list(rows))
        self.queue = Queue(lambda: cast("Reader", self.shelf))
        self.window = Window(T0, lambda: 0.0)
        self.now = T0

    async def next(self) -> tuple[int, Verdict] | None:
        found = await self.queue.sendable(self.window, lambda: self.now)
        if found is None:
            return None
        self.window.sent(*found, self.now)
        return found[0].id, found[1]

    async def all(self) -> list[int]:
        out = []
        while (found := await self.next()) is not None:
            out.append(found[0])
        return out

    def ack(self, item: Parcel) -> None:
        flight = self.window.acked(key_of(item), item.hash, self.now)
        assert flight is not None
        self.queue.settled(flight.parcel)

    def commit(self, *items: Parcel) -> None:
        self.shelf.rows.extend(items)
        self.queue.committed(items)


async def test_meta_goes_ahead_of_urgent_ahead_of_fresh_ahead_of_backlog() -> None:
    line = Line(old(1), old(2))
    line.commit(parcel(3), parcel(4, urgent=True), parcel(5, kind=Kind.META))
    assert await line.all() == [5, 4, 3, 1, 2]


async def test_a_batch_is_sent_once_though_memory_and_file_both_have_it() -> None:
    line = Line(parcel(1, kind=Kind.META), parcel(2, urgent=True), parcel(3))
    line.queue.committed(line.shelf.rows)
    assert sorted(await line.all()) == [1, 2, 3]


async def test_what_is_settled_but_not_yet_marked_is_not_sent_again() -> None:
    line = Line(old(1), old(2), old(3))
    assert await line.all() == [1, 2, 3]
    for item in line.shelf.rows:
        line.ack(item)
    line.queue.restart()
    assert await line.all() == []
    line.queue.requeued("f" * 32, ((1, 3),))
    assert await line.all() == [], "another log's"
    line.queue.requeued(line.shelf.rows[0].log, ((2, 3),))
    assert await line.all() == [2, 3], "the centre asked for these again, and for no others"


async def test_a_fresh_batch_that_found_no_place_goes_as_backlog_in_its_turn() -> None:
    line = Line()
    line.window.batches = 1.0
    line.commit(*(parcel(row) for row in range(1, 8)))
    first = await line.all()
    assert first == [1, 2, 3, 4, 5], "four places of its own and one of the backlog's"
    line.now = T0 + 60_001
    line.window._heard_ms = line.now
    for row in first:
        line.ack(line.shelf.rows[row - 1])
    assert await line.next() == (6, Verdict.BACKLOG)


async def test_more_fresh_than_memory_holds_are_found_in_the_file() -> None:
    line = Line()
    line.window.batches = 1000.0
    line.commit(*(parcel(row) for row in range(1, rules.FRESH_MAX + 51)))
    found = await line.all()
    assert sorted(found) == list(range(1, rules.FRESH_MAX + 51))


async def test_a_paused_centre_gets_urgent_ones_only_and_the_file_is_left_alone() -> None:
    line = Line(old(1))
    line.window.centre(Taking.NONE, "run", T0, live=True)
    line.commit(parcel(2), parcel(3, urgent=True))
    assert await line.all() == [3]
    assert line.shelf.looks == 0
    line.window.centre(Taking.ALL, "run", T0, live=True)
    assert await line.all() == [2, 1]


async def test_fresh_only_holds_the_backlog_and_lets_fresh_pass() -> None:
    line = Line(old(1), old(2))
    line.window.centre(Taking.FRESH, "run", T0, live=True)
    line.commit(parcel(3))
    assert await line.all() == [3]
    line.window.centre(Taking.ALL, "run", T0, live=True)
    assert await line.all() == [1, 2]


async def test_the_file_is_read_on_from_where_it_was_left() -> None:
    line = Line(*(old(row) for row in range(1, 6)))
    line.shelf.page = 2
    line.window.batches = 1000.0
    assert await line.all() == [1, 2, 3, 4, 5]
    looks = line.shelf.looks
    assert await line.all() == []
    assert line.shelf.looks == looks, "dry: nothing is read until something is new"
    line.shelf.rows.append(old(6))
    line.queue.rewind(5)
    assert await line.all() == [6]


async def test_a_rewind_while_the_file_is_read_is_not_overrun() -> None:
    line = Line(old(5))
    real = line.shelf.oldest

    async def oldest(after: int) -> list[Parcel]:
        found = await real(after)
        if line.shelf.looks == 1:
            line.shelf.rows.insert(0, old(2))
            line.queue.rewind(1)
        return found

    line.shelf.oldest = oldest  # type: ignore[method-assign]
    line.queue._cursor = 3
    line.queue._restart = False
    assert await line.all() == [2, 5]


async def test_a_log_that_is_left_is_not_sent_any_more() -> None:
    line = Line(old(1, log=FORMER), old(2))
    line.commit(parcel(3, log=FORMER), parcel(4, log=FORMER, urgent=True), parcel(5))
    line.queue.leave(FORMER)
    assert await line.all() == [5, 2]
    line.queue.leave("")
    line.queue.restart()
    line.shelf.rows = [old(6)]
    assert await line.all() == [6]


async def test_a_batch_put_off_blocks_nobody_behind_it() -> None:
    line = Line(old(1), old(2))
    line.window.put_off(key_of(old(1)), T0)
    assert await line.all() == [2]
    line.now += 300_000
    assert line.window.ripe(line.now)
    line.queue.restart()
    line.ack(old(2))
    assert await line.all() == [1]


async def test_a_large_batch_waits_for_room_and_is_not_skipped() -> None:
    line = Line(*(old(row, size=30_000) for row in range(1, 8)))
    first = await line.all()
    assert 1 <= len(first) < 7
    for row in first:
        line.ack(line.shelf.rows[row - 1])
    assert (await line.all())[0] == first[-1] + 1, "in order, the next one next"


async def test_one_batch_larger_than_the_window_still_goes_alone() -> None:
    line = Line(old(1, size=64 * 1024), old(2, size=64 * 1024))
    line.window.batches = 4.0
    assert await line.all() == [1]
    line.ack(line.shelf.rows[0])
    assert await line.all() == [2]


@pytest.mark.parametrize("count", [rules.SETTLED_MAX, rules.SETTLED_MAX + 10])
async def test_the_memory_of_settled_ids_is_bounded(count: int) -> None:
    line = Line()
    for row in range(1, count + 1):
        line.queue.settled(old(row))
    assert len(line.queue._settled) == rules.SETTLED_MAX
    assert next(iter(line.queue._settled)) == count - rules.SETTLED_MAX + 1


async def test_urgent_ones_beyond_memory_are_not_lost_while_the_centre_takes_nothing() -> None:
    line = Line()
    line.window.centre(Taking.NONE, "run", T0, live=True)
    line.commit(*(parcel(row, urgent=True) for row in range(1, 81)))
    sent = await line.all()
    assert len(sent) == 64
    line.window.centre(Taking.ALL, "run", T0, live=True)
    for row in sent:
        line.ack(line.shelf.rows[row - 1])
    rest = await line.all()
    assert sorted([*sent, *rest]) == list(range(1, 81))
