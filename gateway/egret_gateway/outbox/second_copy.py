"""An outbox read by somebody else than its gateway: the second copy, for audits and drills.

It opens the file to read only, beside the gateway that writes it or where a card was left.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.outbox.model import State
from egret_gateway.outbox.schema import connect_reader

if TYPE_CHECKING:
    from pathlib import Path


class Copy(NamedTuple):
    """One batch as it was committed.

    Attributes:
        row: its place in the file, growing; settled: the centre has answered for it.
        draft: its times are not sealed yet; payload: its bytes as they travel.
    """

    row: int
    settled: bool
    draft: bool
    payload: bytes


def read(path: Path, after_row: int = 0) -> list[Copy]:
    """Return every batch in the file after a row, oldest first.

    Raises:
        FileNotFoundError: there is no such outbox (none is made by looking).
    """
    if not path.exists():
        raise FileNotFoundError(str(path))
    with closing(connect_reader(path)) as db:
        rows = db.execute(
            "SELECT id, state != ?, hash = '', payload FROM batch WHERE id > ? ORDER BY id",
            (State.UNSETTLED, after_row),
        ).fetchall()
    return [Copy(row, bool(settled), bool(draft), body) for row, settled, draft, body in rows]
