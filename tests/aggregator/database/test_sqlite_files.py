"""How the centre's SQLite files are opened and filled."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.database import sqlite

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)",)


@given(st.integers(0, 5 * sqlite.ROWS_MAX))
def test_chunks_are_powers_of_two_and_lose_nothing(count: int) -> None:
    rows = list(range(count))
    parts = list(sqlite.chunks(rows))
    assert [row for part in parts for row in part] == rows
    assert all(len(part) & (len(part) - 1) == 0 for part in parts)
    assert len(parts) <= count // sqlite.ROWS_MAX + 11


def test_a_file_is_durable_at_each_commit(tmp_path: Path) -> None:
    with closing(sqlite.connect(tmp_path / "a.db", writer=True)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_rows_go_in_and_their_number_comes_back(tmp_path: Path) -> None:
    with closing(sqlite.connect(tmp_path / "a.db", writer=True)) as db:
        sqlite.prepare(db, TABLES, version=3, application=7)
        rows = [(at, str(at)) for at in range(2500)]
        assert sqlite.insert(db, "INSERT INTO t(a, b)", rows) == 2500
        twice = sqlite.insert(
            db, "INSERT INTO t(a, b)", [*rows[:9], (-1, "x")], "ON CONFLICT DO NOTHING"
        )
        assert twice == 1
        assert sqlite.insert(db, "INSERT INTO t(a, b)", []) == 0
        assert db.execute("SELECT count(*), sum(a) FROM t").fetchone() == (
            2501,
            sum(range(2500)) - 1,
        )
        before = sqlite.used_bytes(db)
        db.execute("DELETE FROM t")
        assert sqlite.used_bytes(db) < before


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with closing(sqlite.connect(tmp_path / "a.db", writer=True)) as db:
        sqlite.prepare(db, TABLES, version=3, application=7)
        sqlite.rollback(db)
        sqlite.begin(db)
        sqlite.insert(db, "INSERT INTO t(a, b)", [(1, "x")])
        sqlite.rollback(db)
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with closing(sqlite.connect(tmp_path / "a.db", writer=True)) as db:
        sqlite.prepare(db, TABLES, version=3, application=7)
        with closing(sqlite.connect(tmp_path / "a.db", writer=False)) as reader:
            assert reader.execute("SELECT count(*) FROM t").fetchone() == (0,)
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.execute("INSERT INTO t VALUES (1, 'x')")


@pytest.mark.parametrize(("version", "application"), [(4, 7), (2, 7), (3, 8)])
def test_a_file_of_another_version_or_kind_is_left_alone(
    tmp_path: Path, version: int, application: int
) -> None:
    with closing(sqlite.connect(tmp_path / "a.db", writer=True)) as db:
        sqlite.prepare(db, TABLES, version=version, application=application)
        sqlite.prepare(db, TABLES, version=version, application=application)
        with pytest.raises(sqlite3.DatabaseError, match=f"version {version} of"):
            sqlite.prepare(db, TABLES, version=3, application=7)
