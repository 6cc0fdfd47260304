"""Tokens and their lines in the ledger: both or neither, and no secret anywhere on disk."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.ledgers import Hands
from sqlalchemy.exc import DBAPIError

from egret_aggregator.database import Database
from egret_aggregator.errors import DatabaseError
from egret_aggregator.tokens import DAYS_MAX, TOKEN_MAX, Denial, Role, Seat, Tokens
from egret_aggregator.warnings import Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY_MS = 86_400_000


class Office:
    """Tokens over a real file, with a clock that a test turns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_ms = DAY_MS
        self.database = Database(path)
        self.ledger = Ledger(self.database, Hands().now_ms)
        self.tokens = Tokens(self.database, self.ledger, lambda: self.now_ms)

    def raw(self, *statements: str) -> list[tuple[object, ...]]:
        db = sqlite3.connect(self.path)
        try:
            with db:
                for statement in statements:
                    found = db.execute(statement).fetchall()
        finally:
            db.close()
        return found


@asynccontextmanager
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    opened = Office(tmp_path / "egret.db")
    await opened.database.open()
    try:
        await opened.ledger.open()
        yield opened
    finally:
        await opened.database.close()


def on_disk(folder: Path, secret: str) -> list[str]:
    """Name the files that hold a secret."""
    return [file.name for file in folder.iterdir() if secret.encode() in file.read_bytes()]


async def test_a_token_and_its_line_are_one(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        _, row = await here.tokens.add("li", Role.OFFICER)
        here.raw(
            "CREATE TRIGGER full BEFORE INSERT ON ledger "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        with pytest.raises(DBAPIError, match="full"):
            await here.tokens.add("wu", Role.ADMIN)
        # A token that no line tells of would let somebody in unseen.
        assert [kept.name for kept in await here.tokens.everything()] == ["li"]
        with pytest.raises(DBAPIError, match="full"):
            await here.tokens.revoke(row.id)
        assert (await here.tokens.everything())[0].revoked_ms is None
        here.raw("DROP TRIGGER full")
        assert await here.tokens.revoke(row.id)
        assert here.raw("SELECT kind FROM ledger ORDER BY seq") == [
            ("token_added",),
            ("token_revoked",),
        ]


async def test_revoking_what_is_not_good_leaves_no_line(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        _, row = await here.tokens.add("li", Role.OFFICER)
        done = await asyncio.gather(*(here.tokens.revoke(row.id) for _ in range(5)))
        assert sorted(done) == [False] * 4 + [True]
        assert not await here.tokens.revoke("nothing")
        assert here.ledger.head.seq == 2


async def test_its_life_ends_to_the_millisecond(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        token, row = await here.tokens.add("li", Role.VIEWER, 1)
        seat = Seat(row.id, "li", Role.VIEWER, row.expires_ms)
        here.now_ms = row.expires_ms - 1
        assert await here.tokens.seat(token) == seat
        assert await here.tokens.still(seat)
        here.now_ms = row.expires_ms
        assert await here.tokens.seat(token) is Denial.EXPIRED
        assert not await here.tokens.still(seat)
        await here.tokens.revoke(row.id)
        assert await here.tokens.seat(token) is Denial.REVOKED


async def test_only_the_whole_secret_opens(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        token, _ = await here.tokens.add("li", Role.ADMIN, DAYS_MAX)
        other, _ = await here.tokens.add("wu", Role.VIEWER)
        secret = token.split("_", 2)[2]
        swapped = f"egret_{other.split('_')[1]}_{secret}"
        for wrong in (token[:-1], token + "A", token.upper(), swapped, f" {token}"):
            assert await here.tokens.seat(wrong) in (Denial.UNKNOWN, Denial.MALFORMED), wrong
        assert isinstance(await here.tokens.seat(token), Seat)


async def test_the_file_holds_the_hash_and_nothing_to_make_a_token_of(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        token, row = await here.tokens.add("li", Role.ADMIN)
        secret = token.split("_", 2)[2]
        assert row.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert not on_disk(tmp_path, secret)


async def test_no_two_tokens_are_alike(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        made = [await here.tokens.add("li", Role.VIEWER) for _ in range(20)]
        assert len({row.id for _, row in made}) == 20
        assert len({token.split("_", 2)[2] for token, _ in made}) == 20
        assert all(len(token) < TOKEN_MAX for token, _ in made)


@given(st.text(max_size=TOKEN_MAX + 5))
def test_no_text_is_a_fault(text: str) -> None:
    class Nobody(Tokens):
        def __init__(self) -> None:
            """Nothing is asked of a database for what is no token."""

    parts = text.split("_", 2)
    if len(parts) == 3 and parts[0] == "egret" and len(text) <= TOKEN_MAX:
        return
    assert asyncio.run(Nobody().seat(text)) is Denial.MALFORMED


def test_each_role_may_what_the_one_before_may() -> None:
    assert sorted(Role, key=lambda role: role.rank) == [
        *(Role.FEEDER, Role.VIEWER, Role.OFFICER, Role.ADMIN)
    ]


async def test_a_file_that_is_none_of_ours_is_named_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "egret.db"
    path.write_bytes(b"x" * 10_000)
    database = Database(path)
    with pytest.raises(DatabaseError, match=r"egret\.db: .*not a database"):
        await database.open()
    with pytest.raises(RuntimeError, match="not open"):
        async with database.reading():
            pass
    assert path.read_bytes() == b"x" * 10_000
