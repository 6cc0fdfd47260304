"""The journal's parts on their own: filling, memory, parses, what is oldest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.batches import LOG, T0_MS, batch, incoming, payload, series

from egret_aggregator.journal import Entry, EntryKind, Fill, Level, Verdict, schema
from egret_aggregator.journal import decoded as decoded_module
from egret_aggregator.journal import tail as tail_module
from egret_aggregator.journal.books import Books
from egret_aggregator.journal.decoded import DecodeCache
from egret_aggregator.journal.desk import RING_SEEN_MAX, Desk
from egret_aggregator.journal.tail import Tail
from egret_aggregator.journal.trim import oldest_to_go, remove
from egret_core.errors import WireError
from egret_core.messages import Taking

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from egret_core.messages import Batch


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = schema.open_file(tmp_path / "journal.db")
    yield opened
    opened.close()


def entry(number: int, partition: int = 0, body: bytes = b"", received_ms: int = T0_MS) -> Entry:
    return Entry(number, partition, EntryKind.BATCH, "gw1", LOG, number, received_ms, body)


@pytest.mark.parametrize(
    ("used", "level", "taking"),
    [
        (0, Level.ROOM, Taking.ALL),
        (499, Level.ROOM, Taking.ALL),
        (500, Level.FILLING, Taking.ALL),
        (799, Level.FILLING, Taking.ALL),
        (800, Level.FRESH_ONLY, Taking.FRESH),
        (999, Level.FRESH_ONLY, Taking.FRESH),
        (1000, Level.FULL, Taking.NONE),
        (5000, Level.FULL, Taking.NONE),
    ],
)
def test_the_steps_of_a_filling_journal(used: int, level: Level, taking: Taking) -> None:
    fill = Fill(used, 1000)
    assert (fill.level, fill.taking, fill.share) == (level, taking, used / 1000)


def test_only_what_is_durable_and_equal_may_be_acknowledged() -> None:
    assert [verdict for verdict in Verdict if verdict.got] == [
        Verdict.NEW,
        Verdict.AGAIN,
        Verdict.DUPLICATE,
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40),
    st.dictionaries(st.integers(0, 3), st.integers(0, 45), max_size=4),
    st.integers(1, 50),
)
def test_the_tail_gives_what_lies_after_the_positions(
    partitions: list[int], positions: dict[int, int], limit: int
) -> None:
    tail = Tail({})
    entries = [entry(at, partition) for at, partition in enumerate(partitions, 1)]
    tail.add(entries)
    expected = [e for e in entries if e.id > positions.get(e.partition, 0)][:limit]
    assert tail.covers(positions)
    assert tail.after(positions, limit) == expected


def test_the_tail_is_bounded_and_knows_what_it_no_longer_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tail_module, "TAIL_MAX_B", 5000)
    tail = Tail({1: 7})
    tail.add(entry(8 + at, at % 2, b"x" * 700) for at in range(20))
    assert tail.newest == 27
    assert [e.id for e in tail.after({}, 99)] == [23, 24, 25, 26, 27]
    assert tail.covers({0: 22, 1: 21})
    assert not tail.covers({0: 21, 1: 21}) or tail.after({0: 21, 1: 21}, 1)[0].id == 23
    assert not tail.covers({0: 3, 1: 27})
    # One entry larger than the whole tail still stays: someone waits for it.
    tail.add([entry(28, 0, b"x" * 9000)])
    assert [e.id for e in tail.after({}, 99)] == [28]


def test_a_parse_is_shared_and_the_oldest_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded_module, "FRESH_MAX", 10)
    monkeypatch.setattr(decoded_module, "ANEW_MAX", 6)
    cache = DecodeCache()
    first = entry(1, body=payload(1, series(4)))
    cache.put(1, batch(1, series(4)))
    assert cache.batch(first) is cache.batch(first)
    assert cache.readings(first) is cache.readings(first)
    assert [r.value for r in cache.readings(first).dated] == [0.0, 0.125, 0.25, 0.375]
    kept, read = cache.batch(first), cache.readings(first)
    cache.put(2, batch(2, series(4)))
    assert cache.batch(first) is kept
    cache.put(3, batch(3, series(4)))
    assert cache.batch(first) is not kept
    assert cache.batch(first) == kept
    assert cache.readings(first) is not read
    assert cache.readings(first) == read
    with pytest.raises(WireError):
        cache.batch(entry(9, body=b"no batch"))


def test_who_is_behind_parses_anew_and_pushes_out_nothing_that_is_still_to_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoded_module, "FRESH_MAX", 8)
    monkeypatch.setattr(decoded_module, "ANEW_MAX", 8)
    parsed: list[bytes] = []
    decode = decoded_module.decode_batch

    def counted(body: bytes) -> Batch:
        parsed.append(body)
        return decode(body)

    monkeypatch.setattr(decoded_module, "decode_batch", counted)
    cache = DecodeCache()
    entries = [entry(n, body=payload(n, series(4))) for n in range(1, 7)]
    for one in entries:
        cache.put(one.id, batch(one.id, series(4)))
    for one in entries:  # the judge comes after the intake is done
        assert [r.value for r in cache.readings(one).dated] == [0.0, 0.125, 0.25, 0.375]
        assert cache.batch(one).seq == one.id
        assert cache.readings(one) is cache.readings(one)  # the recorder, a little later
    assert parsed == [one.payload for one in entries[:4]]  # each once; the intake's two stayed


def test_what_gave_way_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded_module, "FRESH_MAX", 8)
    monkeypatch.setattr(decoded_module, "ANEW_MAX", 4)
    cache = DecodeCache()
    for number in range(1, 50):
        one = entry(number, body=payload(number, series(4)))
        if number % 3:
            cache.put(number, batch(number, series(4)))
        cache.readings(one)
        cache.put(number, batch(number, series(4)))
    held = [len(value) for value in vars(cache).values() if isinstance(value, dict)]
    assert held == [2, 1, 2]  # two that came, one parsed anew, what was read of two


def fill_table(db: sqlite3.Connection, times: list[int]) -> None:
    db.executemany(
        "INSERT INTO entry VALUES (?, ?, 'batch', 'gw1', 'l', 1, ?, x'')",
        [(10 + 3 * at, at % 2, time) for at, time in enumerate(times)],
    )


def test_what_is_older_than_the_tail_is_found_by_halving(db: sqlite3.Connection) -> None:
    plenty = Fill(0, 1000)
    assert oldest_to_go(db, plenty, 100) == 0
    fill_table(db, [10 * at for at in range(50)])
    for before_ms in (0, 1, 10, 11, 249, 490, 491, 9999):
        older = [10 + 3 * at for at in range(50) if 10 * at < before_ms]
        found = oldest_to_go(db, plenty, before_ms)
        rows = db.execute("SELECT count(*) FROM entry WHERE id <= ?", (found,)).fetchone()[0]
        assert rows == len(older)


def test_want_of_room_lets_the_oldest_share_go(db: sqlite3.Connection) -> None:
    fill_table(db, [0] * 101)
    assert oldest_to_go(db, Fill(440, 1000), 0) == 0
    assert oldest_to_go(db, Fill(900, 1000), 0) == 10 + 150
    remove(db, {0: 40, 1: 0})
    assert db.execute("SELECT count(*) FROM entry").fetchone() == (101 - 6,)
    assert db.execute("SELECT min(id) FROM entry WHERE partition = 0").fetchone() == (46,)
    remove(db, {})


def test_a_rolled_back_transaction_leaves_the_books_as_they_were(db: sqlite3.Connection) -> None:
    books = Books(db)
    key = ("gw1", LOG)
    books.take(key, 5, "00" * 8, T0_MS)
    books.lose(key, ((1, 4),))
    assert books.has(key, 5)
    books.forget()
    assert not books.has(key, 5)
    assert books.known(key) == ()
    books.take(key, 6, "11" * 8, T0_MS)
    books.adopt(books.flush())
    assert books.known(key) == ((6, 6),)
    assert Books(db).known(key) == ((6, 6),)
    assert books.hashes([incoming(6), incoming(7)]) == {(key, 6): "11" * 8}


def test_the_ring_of_untaken_batches_remembers_few_identities(db: sqlite3.Connection) -> None:
    desk = Desk(db, 1000, 1, ("judge",))
    one = incoming(1)
    items = [one._replace(seq=seq) for seq in range(1, RING_SEEN_MAX + 11)]
    taken = desk.append(items, T0_MS)
    assert {done.verdict for done in taken} == {Verdict.HELD}
    outcome = desk.adopt(desk.flush())
    assert len(desk._ringed) == RING_SEEN_MAX
    assert len(outcome.entries) == len(items)
    assert db.execute("SELECT count(*) FROM entry").fetchone() == (0,)


def test_what_a_failed_transaction_would_have_shown_is_shown_by_the_next(
    db: sqlite3.Connection,
) -> None:
    desk = Desk(db, 1000, 1, ("judge",))
    desk.append([incoming(1), incoming(1)], T0_MS)
    desk.forget()
    desk.append([incoming(1), incoming(1), incoming(2)], T0_MS)
    assert [entry.seq for entry in desk.adopt(desk.flush()).entries] == [1, 2]
    desk.append([incoming(1), incoming(2)], T0_MS)
    assert desk.adopt(desk.flush()).entries == []
