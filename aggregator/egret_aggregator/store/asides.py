"""What is kept beside the series: each once, and no one gateway crowds out the others.

The newest stay. A gateway that sends without end what must be set aside loses its own oldest
first, for it may have a tenth of the room; table `share` counts what each has. Readings that a
server refused are nowhere else: they have a room of their own, which no faulty sender's fills.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from egret_aggregator.database import sqlite
from egret_aggregator.store import interface
from egret_aggregator.store.origins import REFUSED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from egret_aggregator.store.model import Aside

_DIGEST_B = 16  # of SHA-256 over an aside: equal ones are kept once
_REFUSED = "refused "  # before the gateway's name in table `share`; a name has no blank
_IS_REFUSED = f"why LIKE '{REFUSED}%'"
_SHARE = f"CASE WHEN {_IS_REFUSED} THEN '{_REFUSED}' || gateway ELSE gateway END"
_HELD = "SELECT coalesce(sum(rows), 0), coalesce(sum(bytes), 0) FROM share WHERE"


def share_of(aside: Aside) -> str:
    """Return whose share of which room an aside takes."""
    return (_REFUSED if aside.why.startswith(REFUSED) else "") + aside.gateway


def pool_of(share: str) -> str:
    """Return the room that a share is of."""
    return _REFUSED if share.startswith(_REFUSED) else ""


def limits(pool: str, *, whole: bool) -> tuple[int, int]:
    """Return the rows and bytes of a room, or of one share of it."""
    rows, size_b = interface.ASIDES_MAX, interface.ASIDES_MAX_B
    if pool:
        rows, size_b = interface.REFUSED_MAX, interface.REFUSED_MAX_B
    part = 1 if whole else interface.ASIDES_OF_ONE
    return rows // part, size_b // part


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
        f"SELECT {_SHARE}, count(*), sum(length(body)) FROM aside WHERE id > ? GROUP BY 1",  # noqa: S608
        (last,),
    ).fetchall()
    sqlite.insert(
        db,
        "INSERT INTO share(gateway, rows, bytes)",
        added,
        "ON CONFLICT(gateway) DO UPDATE SET rows = rows + excluded.rows,"
        " bytes = bytes + excluded.bytes",
    )
    shares = [share for share, _, _ in added]
    gone = sum(_give_way(db, pool_of(share), share) for share in shares)
    return gone + sum(_give_way(db, pool, None) for pool in sorted(set(map(pool_of, shares))))


def _give_way(db: sqlite3.Connection, pool: str, share: str | None) -> int:
    """Remove the oldest of a share, or of a whole room, while there are too many."""
    rows_max, bytes_max = limits(pool, whole=share is None)
    where = _IS_REFUSED if pool else f"NOT {_IS_REFUSED}"
    own: list[str] = []
    if share is None:
        held = db.execute(f"{_HELD} gateway {'' if pool else 'NOT'} LIKE '{_REFUSED}%'")
    else:
        held = db.execute(f"{_HELD} gateway = ?", (share,))
        where, own = f"gateway = ? AND {where}", [share.removeprefix(pool)]
    rows, size_b = held.fetchone()
    going: list[tuple[int, str]] = []
    upto = 0
    oldest = db.execute(
        f"SELECT id, {_SHARE}, length(body) FROM aside WHERE {where} ORDER BY id",  # noqa: S608
        own,
    )
    while rows > rows_max or size_b > bytes_max:
        found = oldest.fetchone()
        if found is None:
            break  # a share of a file from before rooms were apart counts what is in the other
        upto, owner, body_b = found
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
