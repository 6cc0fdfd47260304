"""The books of received and lost seqs, against a plain model, and their bounds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from rig.batches import LOG, OTHER_LOG, T0_MS, incoming

from egret_aggregator.database import sqlite
from egret_aggregator.journal import Verdict, schema
from egret_aggregator.journal.books import CLASHES_MAX, HASH_KEPT_MS, RANGES_MAX, Books
from egret_aggregator.journal.desk import Desk
from egret_core.seqranges import numbers, of_numbers, size

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

KEYS = [("gw1", LOG), ("gw1", OTHER_LOG), ("gw2", LOG)]
seqs = st.integers(1, 40)
keys = st.sampled_from(KEYS)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = schema.open_file(tmp_path / "journal.db")
    yield opened
    opened.close()


def digest(key: tuple[str, str], seq: int, content: int) -> str:
    return f"{KEYS.index(key):04x}{seq:08x}{content:04x}"


class BooksAgainstSets(RuleBasedStateMachine):
    """Transactions that are committed or rolled back, restarts, and seqs that are forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()

    @initialize()
    def open(self) -> None:
        self.db = schema.open_file(Path(self.folder.name) / "journal.db")
        self.books = Books(self.db)
        self.received: dict[tuple[str, str], dict[int, str]] = {key: {} for key in KEYS}
        self.lost: dict[tuple[str, str], set[int]] = {key: set() for key in KEYS}

    @rule(
        taken=st.lists(st.tuples(keys, seqs, st.integers(0, 1)), max_size=12),
        lost=st.lists(st.tuples(keys, seqs, st.integers(0, 5)), max_size=3),
        committed=st.booleans(),
    )
    def transact(
        self,
        taken: list[tuple[tuple[str, str], int, int]],
        lost: list[tuple[tuple[str, str], int, int]],
        *,
        committed: bool,
    ) -> None:
        sqlite.begin(self.db)
        here: dict[tuple[str, str], dict[int, str]] = {key: {} for key in KEYS}
        for key, seq, content in taken:
            known = here[key].get(seq) or self.received[key].get(seq)
            assert self.books.has(key, seq) is (known is not None)
            assert self.books.staged_hash(key, seq) == here[key].get(seq)
            if known is None:
                here[key][seq] = digest(key, seq, content)
                self.books.take(key, seq, here[key][seq], T0_MS)
        for key, first, more in lost:
            self.books.lose(key, ((first, first + more),))
        changed = self.books.flush()
        if not committed:
            sqlite.rollback(self.db)
            self.books.forget()
            return
        sqlite.commit(self.db)
        self.books.adopt(changed)
        for key, found in here.items():
            self.received[key] |= found
        for key, first, more in lost:
            self.lost[key] |= set(range(first, first + more + 1))

    @rule(kept=st.dictionaries(keys, st.sets(seqs)))
    def keep_only(self, kept: dict[tuple[str, str], set[int]]) -> None:
        before = sum(map(len, self.received.values()))
        sqlite.begin(self.db)
        forgotten = self.books.keep_only({key: of_numbers(some) for key, some in kept.items()})
        changed = self.books.flush()
        sqlite.commit(self.db)
        self.books.adopt(changed)
        for key, found in self.received.items():
            self.received[key] = {s: d for s, d in found.items() if s in kept.get(key, set())}
        assert sum(forgotten.values()) == before - sum(map(len, self.received.values()))

    @rule()
    def restart(self) -> None:
        self.db.close()
        self.db = schema.open_file(Path(self.folder.name) / "journal.db")
        self.books = Books(self.db)

    @invariant()
    def the_books_are_the_sets(self) -> None:
        for key in KEYS:
            known = set(self.received[key]) | self.lost[key]
            assert set(numbers(self.books.known(key))) == known
            asked = [incoming(seq, gateway=key[0], log=key[1]) for seq in range(1, 41)]
            found = self.books.hashes(asked)
            assert found == {(key, seq): text for seq, text in self.received[key].items()}

    def teardown(self) -> None:
        self.db.close()
        self.folder.cleanup()


TestBooksAgainstSets = BooksAgainstSets.TestCase
TestBooksAgainstSets.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


def test_other_contents_of_one_identity_are_kept_to_a_limit(db: sqlite3.Connection) -> None:
    desk = Desk(db, 10**9, 2**26, ())
    one = incoming(1)
    desk.append([one], T0_MS)
    desk.adopt(desk.flush())
    twins = [one._replace(hash=f"{n:016x}") for n in range(CLASHES_MAX + 5)]
    for twin in twins:
        (taken,) = desk.append([twin], T0_MS)
        assert taken.verdict is Verdict.CONFLICT, "each is refused, kept or not"
        desk.adopt(desk.flush())
    assert db.execute("SELECT count(*) FROM clash").fetchone() == (CLASHES_MAX,)
    kept = db.execute("SELECT count(*) FROM entry WHERE kind = 'conflict'").fetchone()
    assert kept == (CLASHES_MAX,)


def test_losses_without_end_leave_the_newest_known(db: sqlite3.Connection) -> None:
    books, key = Books(db), KEYS[0]
    every_second = tuple((2 * n, 2 * n) for n in range(1, RANGES_MAX + 101))
    books.lose(key, every_second)
    books.adopt(books.flush())
    assert books.known(key) == every_second[-RANGES_MAX:]
    assert Books(db).known(key) == books.known(key)
    # Ranges that are joined are few, however much they hold.
    books.lose(key, ((1, 10**9),))
    books.adopt(books.flush())
    assert (len(books.known(key)), size(books.known(key))) == (1, 10**9)


def test_hashes_are_forgotten_by_age_only(db: sqlite3.Connection) -> None:
    books, key = Books(db), KEYS[0]
    for seq in range(1, 4001):
        books.take(key, seq, digest(key, seq, 0), T0_MS + seq)
    books.adopt(books.flush())
    books.expire(T0_MS + HASH_KEPT_MS)
    assert db.execute("SELECT count(*) FROM seen").fetchone() == (4000,)
    books.expire(T0_MS + HASH_KEPT_MS + 2001)
    assert db.execute("SELECT min(seq), count(*) FROM seen").fetchone() == (2001, 2000)
    assert books.known(key) == ((1, 4000),), "what was received stays known"
    # A clock set back forgets nothing.
    books.expire(T0_MS - HASH_KEPT_MS)
    assert db.execute("SELECT count(*) FROM seen").fetchone() == (2000,)


@pytest.mark.parametrize("seq", [1, 2**53 - 1])
def test_the_smallest_and_the_largest_seq_are_kept(db: sqlite3.Connection, seq: int) -> None:
    books, key = Books(db), KEYS[0]
    books.take(key, seq, digest(key, 1, 0), T0_MS)
    books.adopt(books.flush())
    assert Books(db).known(key) == ((seq, seq),)
    assert not Books(db).fragmented(key, seq)
