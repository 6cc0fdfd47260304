"""What is kept beside the series: each once, and no one gateway crowds out the others.

The newest stay. A gateway that sends without end what must be set aside loses its own oldest
first, for it may have a tenth of the room; table `share` counts what each has.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from egret_aggregator.database import sqlite
from egret_aggregator.store import interface

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from egret_aggregator.store.model import Aside

_DIGEST_B = 16  # of SHA-256 over an aside: equal ones are kept once
_ALL = "SELECT coalesce(sum(rows), 0), coalesce(sum(bytes), 0) FROM share"
_OWN = "SELECT rows, bytes FROM share WHERE gateway = ?"


def keep(db: sqlite3.Connection, asides: Sequence[Aside]) -> int:
    """Keep asides that are new; return how many older ones gave way."""
    if not asides:
        return 0
    last = int(db.execute("SELECT coalesce(max(id), 0) FROM aside").fetchone()[0])
    sqlite.insert(
        db,
        "INSERT INTO aside(gateway, log, seq, at, why, received_ms, body, digest)",
        [(*aside, _digest(aside)) for aside in asides],
        "ON CONFLICT(digest) DO NOTHING",
    )
    added = db.execute(
        "SELECT gateway, count(*), sum(length(body)) FROM aside WHERE id > ? GROUP BY gateway",
        (last,),
    ).fetchall()
    sqlite.insert(
        db,
        "INSERT INTO share(gateway, rows, bytes)",
        added,
        "ON CONFLICT(gateway) DO UPDATE SET rows = rows + excluded.rows,"
        " bytes = bytes + excluded.bytes",
    )
    gone = sum(_give_way(db, gateway) for gateway, _, _ in added)
    return gone + (_give_way(db, None) if added else 0)


def _give_way(db: sqlite3.Connection, gateway: str | None) -> int:
    """Remove the oldest of a gateway, or of all, while there are too many."""
    part = 1 if gateway is None else interface.ASIDES_OF_ONE
    rows_max, bytes_max = interface.ASIDES_MAX // part, interface.ASIDES_MAX_B // part
    where, own = ("true", []) if gateway is None else ("gateway = ?", [gateway])
    rows, size_b = db.execute(_ALL if gateway is None else _OWN, own).fetchone()
    going: list[tuple[int, str]] = []
    upto = 0
    oldest = db.execute(
        f"SELECT id, gateway, length(body) FROM aside WHERE {where} ORDER BY id",  # noqa: S608
        own,
    )
    while rows > rows_max or size_b > bytes_max:
        upto, owner, body_b = oldest.fetchone()
        going.append((body_b, owner))
        rows, size_b = rows - 1, size_b - body_b
    oldest.close()
    if going:
        db.execute(f"DELETE FROM aside WHERE {where} AND id <= ?", [*own, upto])  # noqa: S608
        db.executemany(
            "UPDATE share SET rows = rows - 1, bytes = bytes - ? WHERE gateway = ?", going
        )
    return len(going)


def _digest(aside: Aside) -> bytes:
    head = json.dumps(aside[:5]).encode()
    return hashlib.sha256(head + b"\0" + aside.body).digest()[:_DIGEST_B]
