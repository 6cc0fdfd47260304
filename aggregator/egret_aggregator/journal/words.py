"""Senders' own words for their batches: which were taken, and what was answered.

They stand in the journal's table of state, under the source's name, and are written in the same
commit as the batch.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.journal.books import HASH_KEPT_MS

if TYPE_CHECKING:
    import sqlite3

    from egret_aggregator.journal.receipt import Handed

WORDS_MAX = 20_000  # of one source: one a minute for two weeks, about 6 MB
FORGET_EVERY = 256  # batches of a source between two looks for words to forget
_AT = "json_extract(CAST(value AS TEXT), '$.at')"


class Known(NamedTuple):
    """A word that was taken: the content's digest, and the answer."""

    digest: str
    answer: bytes


def kept(handed: Handed, now_ms: int) -> bytes:
    """Return what is kept of a word; a thousand refusals alike are small once compressed."""
    answer = base64.b64encode(zlib.compress(handed.answer)).decode()
    return json.dumps({"digest": handed.digest, "answer": answer, "at": now_ms}).encode()


def known(db: sqlite3.Connection, key: tuple[str, str], staged: bytes | None) -> Known | None:
    """Return what is known of a word, in the running transaction or before; None for nothing."""
    if staged is None:
        row = db.execute("SELECT value FROM state WHERE consumer = ? AND key = ?", key).fetchone()
        if row is None:
            return None
        staged = row[0]
    before = json.loads(staged)
    return Known(before["digest"], zlib.decompress(base64.b64decode(before["answer"])))


def forget(db: sqlite3.Connection, source: str, now_ms: int) -> None:
    """Forget a source's words that are older than 35 days, or too many."""
    crowd = db.execute(
        f"SELECT {_AT} FROM state WHERE consumer = ? ORDER BY 1 DESC LIMIT 1 OFFSET ?",  # noqa: S608
        (source, WORDS_MAX),
    ).fetchone()
    upto = max(now_ms - HASH_KEPT_MS, -1 if crowd is None else crowd[0])
    db.execute(f"DELETE FROM state WHERE consumer = ? AND {_AT} <= ?", (source, upto))  # noqa: S608


def forget_all(db: sqlite3.Connection, source: str) -> None:
    """Forget all of a source's words: some of its batches are gone, and no word says which."""
    db.execute("DELETE FROM state WHERE consumer = ?", (source,))
